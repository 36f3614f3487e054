/* SPDX-License-Identifier: MIT */
/* Faults instead of an answer: every refusal's bytes, Retry-After in all its forms, and connections that end.
 */
#include "raw_kit.h"

#include "http/date.h"

static void begin(struct kit *k, struct raw *r, const char *suffix)
{
    struct sim_opts o;
    char model[96];

    sim_opts_default(&o);
    snprintf(model, sizeof model, "any~ttft=1s,gap=10ms,tokens=6,%s", suffix);
    kit_init(k, &o);
    raw_chat(r, k, model, false);
    kit_run(k, 20 * CLOCK_SECOND_US);
}

static void end(struct kit *k, struct raw *r)
{
    raw_fini(r);
    kit_fini(k);
}

TEST(refusals_have_the_words_of_those_who_refuse)
{
    static const struct {
        const char *suffix, *line, *says;
    } ROWS[] = {
        {"400", "HTTP/1.1 400 ", "\"type\":\"invalid_request_error\",\"param\":\"messages\""},
        {"401", "HTTP/1.1 401 ", "{\"error\":{\"message\":\"Authentication Fails, "},
        {"402", "HTTP/1.1 402 ",
         "{\"error\":{\"message\":\"Insufficient Balance\",\"type\":\"unknown_error\",\"param\":null,"
         "\"code\":\"invalid_request_error\"}}"},
        {"404", "HTTP/1.1 404 ", "\"code\":\"model_not_found\""},
        {"422", "HTTP/1.1 422 ", "\"code\":\"invalid_parameter\""},
        {"429", "HTTP/1.1 429 ", "\"code\":\"rate_limit_exceeded\""},
        {"500", "HTTP/1.1 500 ", "\"code\":\"internal_error\""},
        {"502", "HTTP/1.1 502 ", "Content-Type: text/html\r\n"},
        {"503", "HTTP/1.1 503 ", "\"code\":\"overloaded\""},
        {"529", "HTTP/1.1 529 ",
         "\r\n\r\n{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}"},
        {"loading", "HTTP/1.1 503 ",
         "\r\n\r\n{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}"},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct kit k;
        struct raw r;

        begin(&k, &r, ROWS[i].suffix);
        if (!CHECK(slice_starts(buf_slice(&r.got), slice_of(ROWS[i].line)) && buf_has(&r.got, ROWS[i].says)))
            printf("# %s: %.*s\n", ROWS[i].suffix, (int)r.got.n, r.got.p);
        CHECK_INT(sim_stats(k.sim)->refused_n, 1);
        CHECK(r.stream != NULL); /* the connection goes on */
        end(&k, &r);
    }
}

TEST(retry_after_has_every_form)
{
    static const struct {
        const char *suffix, *header;
    } ROWS[] = {
        {"429", "\r\nRetry-After: 1\r\n"},
        {"429,retry_after=30", "\r\nRetry-After: 30\r\n"},
        {"429,retry_after=0", "\r\nRetry-After: 0\r\n"},
        {"429,retry_after=-5", "\r\nRetry-After: -5\r\n"},
        {"429,retry_after=huge", "\r\nRetry-After: 99999999999999999999\r\n"},
        {"429,retry_after=garbage", "\r\nRetry-After: soon; maybe\r\n"},
        {"503,retry_after=7", "\r\nRetry-After: 7\r\n"},
        {"retry_after=7,529", "\r\nRetry-After: 7\r\n"},
    };
    struct kit k;
    struct raw r;

    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        begin(&k, &r, ROWS[i].suffix);
        if (!CHECK(buf_has(&r.got, ROWS[i].header)))
            printf("# %s: %.*s\n", ROWS[i].suffix, (int)r.got.n, r.got.p);
        end(&k, &r);
    }
    begin(&k, &r, "429,retry_after=none");
    CHECK(!buf_has(&r.got, "Retry-After"));
    end(&k, &r);
    begin(&k, &r, "503");
    CHECK(!buf_has(&r.got, "Retry-After"));
    end(&k, &r);
}

TEST(retry_after_can_be_a_date)
{
    static const struct {
        const char *suffix;
        int64_t ahead_s;
    } ROWS[] = {
        {"429,retry_after=date:30s", 30}, {"503,retry_after=date:2m", 120}, {"429,retry_after=past", -60}};

    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct slice text;
        int64_t at_s = 0;
        struct kit k;
        struct raw r;

        begin(&k, &r, ROWS[i].suffix);
        text =
            slice_from(buf_slice(&r.got), (size_t)slice_find(buf_slice(&r.got), SLICE("Retry-After: ")) + 13);
        text.n = DATE_BYTES;
        CHECK(date_parse(text, 0, &at_s));
        CHECK_INT(at_s, 1000000 + ROWS[i].ahead_s); /* the world began at that second */
        end(&k, &r);
    }
}

TEST(connections_end_instead_of_an_answer)
{
    static const struct {
        const char *suffix, *bytes;
        enum err why;
    } ROWS[] = {
        {"drop", "", ERR_RESET},
        {"halfclose", "", ERR_EOF},
        {"garbage", "SSH-2.0-sim\r\n", ERR_EOF},
        {"reset_head", "HTTP/1.1 200 OK\r\nContent-Ty", ERR_RESET},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct kit k;
        struct raw r;

        begin(&k, &r, ROWS[i].suffix);
        CHECK(slice_starts(buf_slice(&r.got), slice_of(ROWS[i].bytes)));
        CHECK_INT((long long)r.got.n, i == 2 ? 48 : (long long)strlen(ROWS[i].bytes));
        CHECK_INT(r.why, ROWS[i].why);
        CHECK_INT(sim_stats(k.sim)->cut_n, 1);
        end(&k, &r);
    }
}

TEST(an_engine_that_loads_says_so)
{
    struct sim_opts o;
    struct caller *early, *late;
    struct kit k;

    sim_opts_default(&o);
    o.loading_us = 30 * CLOCK_SECOND_US;
    kit_init(&k, &o);
    early = kit_chat(&k, "any", true, "x", "");
    kit_run(&k, 30 * CLOCK_SECOND_US);
    late = kit_chat(&k, "any", true, "x", "");
    kit_run(&k, 30 * CLOCK_SECOND_US);
    CHECK_INT(early->status, 503);
    CHECK(buf_has(&early->body, "\"type\":\"unavailable_error\""));
    CHECK(late->complete && late->done);
    kit_fini(&k);
}
