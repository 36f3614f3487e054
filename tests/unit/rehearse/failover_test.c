/* SPDX-License-Identifier: MIT */
/* What a rehearsal says of configurations whose behaviour is known. */
#include "rehearse/failover.h"

#include "base/clock.h"
#include "tap.h"

#define ENDPOINTS                                                                                   \
    "endpoints:\n"                                                                                  \
    "  - {name: a, provider: deepseek, url: \"https://api.deepseek.com\", key: sk-canary-of-a}\n"   \
    "  - {name: b, provider: openai, url: \"http://127.0.0.1:1/other/v1\", socket: \"@nowhere\"}\n" \
    "  - {name: c, provider: anthropic, url: \"https://api.anthropic.com\", key: sk-canary-of-c}\n" \
    "  - {name: d, provider: vllm, url: \"http://127.0.0.1:3\", proxy: \"http://127.0.0.1:9\"}\n"

static struct config *parse(const char *yaml)
{
    struct config_report report;
    struct config *c = NULL;

    CHECK(config_parse(slice_of(yaml), "t", &config_env_process, &c, &report) == ERR_OK);
    return c;
}

/* The row of that case, or NULL. */
static const struct failover_row *find(const struct failover *f, enum failover_where where,
                                       enum failover_how how)
{
    for (size_t i = 0; i < f->rows_n; i++) {
        if (f->rows[i].where == where && f->rows[i].how == how)
            return &f->rows[i];
    }
    return NULL;
}

static bool answers(const struct failover *f, enum failover_where where, enum failover_how how,
                    const char *by)
{
    const struct failover_row *row = find(f, where, how);

    return row && row->status == 200 && strcmp(row->by, by) == 0;
}

static bool refuses(const struct failover *f, enum failover_where where, enum failover_how how, int status,
                    const char *code)
{
    const struct failover_row *row = find(f, where, how);

    return row && row->by[0] == 0 && row->status == status && strcmp(row->code, code) == 0;
}

TEST(t28_the_next_tier_answers_when_the_first_fails)
{
    struct config *c = parse(ENDPOINTS "models: [{name: m, tiers: [[{endpoint: a}], [{endpoint: b}]]}]\n");
    struct failover f;

    failover_rehearse(c, 0, SURFACE_CHAT, &f);
    CHECK(answers(&f, FAILOVER_NONE, FAILOVER_WELL, "a"));
    CHECK(answers(&f, FAILOVER_FIRST, FAILOVER_DOWN, "b"));
    CHECK(answers(&f, FAILOVER_FIRST, FAILOVER_BUSY, "b"));
    CHECK(answers(&f, FAILOVER_FIRST, FAILOVER_KEY, "b"));
    CHECK(answers(&f, FAILOVER_FIRST, FAILOVER_MONEY, "b"));
    CHECK(refuses(&f, FAILOVER_ALL, FAILOVER_DOWN, 503, "upstream_unreachable"));
    CHECK(refuses(&f, FAILOVER_ALL, FAILOVER_BUSY, 429, "upstream_rate_limited"));
    CHECK(find(&f, FAILOVER_TIER, FAILOVER_DOWN) == NULL); /* the first is all of the tier */
    CHECK_INT(f.rows_n, 8);
    config_unref(&c);
}

TEST(t28_one_endpoint_has_nobody_to_fail_over_to)
{
    struct config *c = parse(ENDPOINTS "models: [{name: m, tiers: [[{endpoint: a}]], deadline: 20s}]\n");
    struct failover f;

    failover_rehearse(c, 0, SURFACE_CHAT, &f);
    CHECK(answers(&f, FAILOVER_NONE, FAILOVER_WELL, "a"));
    CHECK(refuses(&f, FAILOVER_FIRST, FAILOVER_DOWN, 503, "upstream_unreachable"));
    CHECK(refuses(&f, FAILOVER_FIRST, FAILOVER_KEY, 502, "upstream_credential_refused"));
    CHECK(refuses(&f, FAILOVER_FIRST, FAILOVER_MONEY, 502, "upstream_balance_exhausted"));
    CHECK(refuses(&f, FAILOVER_FIRST, FAILOVER_SILENT, 504, "deadline_exceeded"));
    CHECK_INT(find(&f, FAILOVER_FIRST, FAILOVER_SILENT)->after_us, 20 * CLOCK_SECOND_US);
    CHECK_INT(f.rows_n, 6);
    config_unref(&c);
}

TEST(t28_one_attempt_does_not_reach_the_second_endpoint)
{
    struct config *c = parse(ENDPOINTS "models: [{name: m, tiers: [[{endpoint: a}], [{endpoint: b}]]}]\n"
                                       "limits: {attempts: 1}\n");
    struct failover f;

    failover_rehearse(c, 0, SURFACE_CHAT, &f);
    CHECK(refuses(&f, FAILOVER_FIRST, FAILOVER_DOWN, 503, "upstream_unreachable"));
    config_unref(&c);
}

TEST(t28_a_whole_tier_and_all_tiers_are_cases_of_their_own)
{
    struct config *c =
        parse(ENDPOINTS "models: [{name: m, tiers: [[{endpoint: a, weight: 1}, {endpoint: b, weight: "
                        "3}], [{endpoint: d}]]}]\n");
    struct failover f;

    failover_rehearse(c, 0, SURFACE_CHAT, &f);
    CHECK(answers(&f, FAILOVER_NONE, FAILOVER_WELL, "b"));
    CHECK(answers(&f, FAILOVER_FIRST, FAILOVER_DOWN, "a"));
    CHECK(answers(&f, FAILOVER_TIER, FAILOVER_DOWN, "d"));
    CHECK(answers(&f, FAILOVER_TIER, FAILOVER_BUSY, "d"));
    CHECK(refuses(&f, FAILOVER_ALL, FAILOVER_DOWN, 503, "upstream_unreachable"));
    CHECK_INT(f.rows_n, 10);
    config_unref(&c);
}

TEST(any_name_any_provider_and_the_clients_own_key)
{
    struct config *c =
        parse("endpoints: [{name: e, provider: openai, url: \"https://api.example.com/v1\", key: "
              "client}]\n"
              "models: [{name: \"*\", tiers: [[{endpoint: e}]]}]\n");
    struct failover f;

    failover_rehearse(c, 0, SURFACE_CHAT, &f);
    CHECK(answers(&f, FAILOVER_NONE, FAILOVER_WELL, "e"));
    CHECK(find(&f, FAILOVER_FIRST, FAILOVER_KEY)->status == 401); /* it is the client's own */
    config_unref(&c);
}

TEST(every_provider_can_be_rehearsed)
{
    for (int p = 0; p < PROVIDER_N; p++) {
        char yaml[256];
        struct config *c;
        struct failover f;

        snprintf(yaml, sizeof(yaml),
                 "endpoints: [{name: e, provider: %s, url: \"https://host.example/v1\", key: sk-x}]\n"
                 "models: [{name: m, tiers: [[{endpoint: e}]]}]\n",
                 config_provider_name((enum provider)p));
        c = parse(yaml);
        failover_rehearse(c, 0, SURFACE_CHAT, &f);
        CHECK(answers(&f, FAILOVER_NONE, FAILOVER_WELL, "e"));
        config_unref(&c);
    }
}

TEST(t28_an_api_that_only_one_endpoint_speaks_has_no_fall_back)
{
    struct config *c = parse(ENDPOINTS "models: [{name: m, tiers: [[{endpoint: c}], [{endpoint: b}]]}]\n");
    struct failover f;

    CHECK(!failover_differs(c, 0, SURFACE_CHAT));
    CHECK(failover_differs(c, 0, SURFACE_MESSAGES) && failover_differs(c, 0, SURFACE_RESPONSES));
    failover_rehearse(c, 0, SURFACE_CHAT, &f);
    CHECK(answers(&f, FAILOVER_FIRST, FAILOVER_DOWN, "b"));
    failover_rehearse(c, 0, SURFACE_MESSAGES, &f);
    CHECK(answers(&f, FAILOVER_NONE, FAILOVER_WELL, "c"));
    CHECK(refuses(&f, FAILOVER_FIRST, FAILOVER_DOWN, 529, "upstream_unreachable")); /* as Anthropic says it */
    CHECK_INT(f.rows_n, 6); /* all that speak it are the first */
    failover_rehearse(c, 0, SURFACE_RESPONSES, &f);
    CHECK(answers(&f, FAILOVER_NONE, FAILOVER_WELL, "b"));
    config_unref(&c);
}
