/* SPDX-License-Identifier: MIT */
/* What clients ask for in headers: classes never above the key's, deadlines in whole milliseconds, patience
 * as the SDKs state it. */
#include "gateway/wishes.h"

#include "base/assert.h"
#include "tap.h"

static enum err read_wishes(const char *name, const char *value, const struct config_key *key,
                            struct wishes *out, const char **param)
{
    struct header h = {slice_of(name), slice_of(value)};
    struct http_request rq = {.headers = &h, .headers_n = name != NULL};
    const char *why = NULL;
    enum err e;

    *out = (struct wishes){.deadline_ms = -1, .timeout_s = -1};
    *param = NULL;
    e = wishes_read(&rq, key, out, &why, param);
    CHECK_INT(e == ERR_BAD_FIELD, why != NULL);
    CHECK_INT(e == ERR_BAD_FIELD, *param != NULL);
    return e;
}

TEST(a_request_without_wishes_has_its_keys_class_and_no_bounds_of_its_own)
{
    static const struct config_key BULK = {.priority = PRIORITY_BULK}, TOP = {.priority = PRIORITY_CRITICAL};
    const struct config_key *keys[] = {NULL, &BULK, &TOP};
    static const enum priority WANT[] = {PRIORITY_NORMAL, PRIORITY_BULK, PRIORITY_CRITICAL};

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const char *param;
        struct wishes got;

        CHECK_INT(read_wishes(NULL, NULL, keys[i], &got, &param), ERR_OK);
        CHECK_INT(got.priority, WANT[i]);
        CHECK_INT(got.deadline_ms, 0);
        CHECK(got.timeout_s == 0);
    }
}

TEST(no_class_is_above_the_keys)
{
    for (int best = 0; best <= PRIORITY_N; best++) { /* the last: no key */
        struct config_key key = {.priority = (enum priority)best};
        int most = best == PRIORITY_N ? PRIORITY_NORMAL : best;

        for (int asked = 0; asked < PRIORITY_N; asked++) {
            const char *param;
            struct wishes got;

            CHECK_INT(read_wishes("X-Tidegate-Priority", config_priority_name((enum priority)asked),
                                  best == PRIORITY_N ? NULL : &key, &got, &param),
                      ERR_OK);
            CHECK_INT(got.priority, asked > most ? asked : most);
        }
    }
}

TEST(decisions_are_told_to_whoever_says_so_plainly)
{
    static const struct {
        const char *value;
        enum err err;
        bool why;
    } ROWS[] = {{"1", ERR_OK, true},         {"true", ERR_OK, true},       {"True", ERR_OK, true},
                {"0", ERR_OK, false},        {"", ERR_OK, false},          {"false", ERR_OK, false},
                {"2", ERR_BAD_FIELD, false}, {"yes", ERR_BAD_FIELD, false}};
    const char *param;
    struct wishes got;

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        CHECK_INT(read_wishes("X-Tidegate-Why", ROWS[i].value, NULL, &got, &param), ROWS[i].err);
        CHECK_INT(got.why, ROWS[i].why);
        if (ROWS[i].err != ERR_OK)
            CHECK_STR(param, "x-tidegate-why");
    }
    CHECK_INT(read_wishes(NULL, NULL, NULL, &got, &param), ERR_OK);
    CHECK(!got.why);
}

TEST(a_class_that_is_none_is_refused)
{
    static const char *const VALUES[] = {"urgent",        "High",      "0", "high,bulk",
                                         "normal normal", "criticall", "*"};

    for (size_t i = 0; i < COUNT_OF(VALUES); i++) {
        const char *param;
        struct wishes got;

        CHECK_INT(read_wishes("x-tidegate-priority", VALUES[i], NULL, &got, &param), ERR_BAD_FIELD);
        CHECK_STR(param, "x-tidegate-priority");
    }
}

TEST(deadlines_are_whole_milliseconds_up_to_a_day)
{
    static const struct {
        const char *value;
        long long ms; /* 0: refused */
    } ROWS[] = {{"1", 1},
                {"1500", 1500},
                {"86400000", 86400000},
                {"007", 7},
                {"0", 0},
                {"86400001", 0},
                {"-1", 0},
                {"+1", 0},
                {"1.5", 0},
                {"1e3", 0},
                {"5s", 0},
                {"0x10", 0},
                {"1 2", 0},
                {"99999999999999999999", 0},
                {"18446744073709551617", 0}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        const char *param;
        struct wishes got;
        enum err e = read_wishes("X-Tidegate-Deadline-Ms", ROWS[i].value, NULL, &got, &param);

        if (!CHECK_INT(e, ROWS[i].ms > 0 ? ERR_OK : ERR_BAD_FIELD))
            printf("# %s\n", ROWS[i].value);
        if (e == ERR_OK)
            CHECK_INT(got.deadline_ms, ROWS[i].ms);
        else
            CHECK_STR(param, "x-tidegate-deadline-ms");
    }
}

TEST(an_sdks_patience_is_read_when_it_is_a_number_and_never_refused)
{
    static const struct {
        const char *value;
        double s;
    } ROWS[] = {{"600", 600}, {"2.5", 2.5}, {"None", 0},
                {"", 0},      {"0", 0},     {"11111111111111111111111111111111111111", 0}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        const char *param;
        struct wishes got;

        CHECK_INT(read_wishes("X-Stainless-Read-Timeout", ROWS[i].value, NULL, &got, &param), ERR_OK);
        CHECK(got.timeout_s == ROWS[i].s);
    }
}

TEST(gateways_in_a_row_are_counted_and_too_many_are_a_loop)
{
    static const struct {
        const char *value;
        int hops; /* -1: a loop */
    } ROWS[] = {{"0", 0},    {"1", 1},  {"3", 3},    {"4", -1}, {"1000", -1},
                {"1001", 0}, {"-1", 0}, {"many", 0}, {"", 0},   {"99999999999999999999", 0}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        const char *param;
        struct wishes got;
        enum err e = read_wishes("X-Tidegate-Hops", ROWS[i].value, NULL, &got, &param);

        CHECK_INT(e, ROWS[i].hops < 0 ? ERR_LOOP : ERR_OK);
        if (e == ERR_OK)
            CHECK_INT(got.hops, ROWS[i].hops);
    }
}
