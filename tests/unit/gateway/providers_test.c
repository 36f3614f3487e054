/* SPDX-License-Identifier: MIT */
/* The whole gateway before providers that refuse in their own words: where the request goes, and what the
 * client is told when it can go nowhere. In virtual time; the first endpoint's bytes are the test's. */
#include "wire_kit.h"

#define LOADING "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}"
#define NO_QUOTA                                               \
    "{\"error\":{\"message\":\"You exceeded your current "     \
    "quota.\",\"type\":\"insufficient_quota\",\"param\":null," \
    "\"code\":\"insufficient_quota\"}}"
#define QUEUE_FULL                                              \
    "{\"object\":\"error\",\"message\":\"The request queue is " \
    "full.\",\"type\":\"x\",\"param\":null,\"code\":503}"
#define DONE                                                                                    \
    "{\"id\":\"c\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"at last\"}," \
    "\"finish_reason\":\"stop\"}]}"

/* The engine first, then a simulator. */
#define TWO(provider)                                                              \
    "listen: 127.0.0.1:80\n"                                                       \
    "endpoints:\n"                                                                 \
    "  - {name: raw, provider: " provider ", url: 'http://10.0.0.3', key: none}\n" \
    "  - {name: sim, provider: openai, url: 'http://10.0.0.1/v1', key: none}\n"    \
    "models: [{name: '*', tiers: [[{endpoint: raw}], [{endpoint: sim}]]}]\n"

static int64_t ended(const struct world *w, enum outcome o)
{
    return world_metric(w, METRIC_CALLS, stats_endpoint_outcome(0, o));
}

TEST(an_engine_that_loads_is_passed_over_and_counted_as_loading)
{
    struct world *w = wire_world(TWO("llama"), -1, NULL);

    for (int stream = 0; stream < 2; stream++) {
        struct origin o;
        struct wire c;

        origin_open(&o, w, origin_response("503 Service Unavailable", "", LOADING));
        wire_open(&c, w);
        wire_ask(&c, "", story_body("any", stream, "hello", NULL));
        CHECK(wire_wait(&c, stream ? "[DONE]" : "}", 5 * STORY_S));
        CHECK_INT(wire_status(&c), 200);
        CHECK(wire_expect(&c, "X-Tidegate-Endpoint: sim\r\n") &&
              wire_expect(&c, "X-Tidegate-Attempts: 2\r\n"));
        CHECK(origin_was_asked(&o, "POST /v1/chat/completions "));
        wire_close(&c);
        origin_close(&o);
        world_run(w, 2 * STORY_S); /* it is left alone for a second */
    }
    CHECK_INT(ended(w, OUTCOME_LOADING), 2);
    CHECK_INT(ended(w, OUTCOME_SERVER_BUSY) + ended(w, OUTCOME_SERVER_ERROR), 0);
    CHECK_INT(outcome_row(OUTCOME_LOADING)->breaker, BREAKER_NOTHING);
    story_end(&w);
}

TEST(alone_it_is_an_honest_503_that_says_when_to_come_back_and_later_it_answers)
{
    struct world *w = wire_world(ORIGIN_YAML("llama", "none"), -1, NULL);
    struct origin o;
    struct wire c;

    origin_open(&o, w, origin_response("503 Service Unavailable", "", LOADING));
    wire_open(&c, w);
    wire_ask(&c, "", story_body("any", true, "hello", NULL));
    CHECK(wire_wait(&c, "}}", 5 * STORY_S));
    CHECK_INT(wire_status(&c), 503);
    CHECK(wire_expect(&c, "Retry-After: 1\r\n") && wire_expect(&c, "\"code\":\"upstream_loading\""));
    CHECK(wire_expect(&c, "Loading model. Retry after") && !wire_has(&c, "X-Should-Retry"));
    wire_close(&c);
    o.reply = slice_of(origin_response("200 OK", "Content-Type: application/json\r\n", DONE));
    wire_open(&c, w);
    wire_ask(&c, "", story_body("any", false, "hello", NULL));
    CHECK(wire_wait(&c, "at last", 5 * STORY_S));
    wire_close(&c);
    origin_close(&o);
    story_end(&w);
}

TEST(a_busy_engines_own_retry_after_is_passed_on)
{
    struct world *w = wire_world(ORIGIN_YAML("sglang", "none"), -1, NULL);
    struct origin o;
    struct wire c;

    origin_open(&o, w, origin_response("503 Service Unavailable", "Retry-After: 7\r\n", QUEUE_FULL));
    wire_open(&c, w);
    wire_ask(&c, "", story_body("any", false, "hello", NULL));
    CHECK(wire_wait(&c, "}}", 5 * STORY_S));
    CHECK_INT(wire_status(&c), 503);
    CHECK(wire_expect(&c, "Retry-After: 7\r\n") && wire_expect(&c, "\"code\":\"upstream_busy\""));
    CHECK_INT(ended(w, OUTCOME_SERVER_BUSY), 1);
    wire_close(&c);
    origin_close(&o);
    story_end(&w);
}

/* A 429 that no waiting ends. */
TEST(an_account_without_money_is_the_operators_or_with_key_client_the_clients)
{
    static const struct {
        const char *yaml;
        int status;
        const char *code;
        enum outcome outcome;
    } ROWS[] = {
        {ORIGIN_YAML("openai", "key-for-raw"), 502, "upstream_balance_exhausted", OUTCOME_BALANCE},
        {ORIGIN_YAML("openai", "client"), 429, "insufficient_quota", OUTCOME_CLIENT_CREDENTIAL},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct world *w = wire_world(ROWS[i].yaml, -1, NULL);
        struct origin o;
        struct wire c;
        char code[64];

        snprintf(code, sizeof code, "\"code\":\"%s\"", ROWS[i].code);
        origin_open(&o, w, origin_response("429 Too Many Requests", "Retry-After: 3\r\n", NO_QUOTA));
        wire_open(&c, w);
        wire_ask(&c, "", story_body("any", false, "hello", NULL));
        CHECK(wire_wait(&c, "}}", 5 * STORY_S));
        CHECK_INT(wire_status(&c), ROWS[i].status);
        CHECK(wire_expect(&c, code) && wire_expect(&c, "X-Should-Retry: false\r\n"));
        CHECK(!wire_has(&c, "Retry-After"));
        CHECK_INT(ended(w, ROWS[i].outcome), 1);
        wire_close(&c);
        origin_close(&o);
        story_end(&w);
    }
}

TEST(headers_pass_in_both_directions)
{
    static const char FROM[] =
        "OpenAI-Version: 2020-10-01\r\nopenai-processing-ms: 12\r\nX-Request-Id: theirs\r\n"
        "Set-Cookie: a=b\r\nx-ratelimit-remaining-requests: 1\r\nopenai-organization: org\r\n"
        "Content-Type: application/json\r\n";
    struct world *w = wire_world(ORIGIN_YAML("openai", "key-for-raw"), -1, NULL);

    for (int i = 0; i < 2; i++) {
        struct origin o;
        struct wire c;

        origin_open(&o, w, origin_response(i ? "400 Bad Request" : "200 OK", FROM, i ? "{}" : DONE));
        wire_open(&c, w);
        wire_ask(&c, "OpenAI-Beta: b=1\r\nCookie: c=d\r\nOpenAI-Organization: mine\r\nX-Request-Id: ours\r\n",
                 story_body("any", false, "hello", NULL));
        CHECK(wire_wait(&c, "}", 5 * STORY_S));
        CHECK_INT(wire_status(&c), i ? 400 : 200);
        CHECK(wire_expect(&c, "openai-version: 2020-10-01\r\n"));
        CHECK(wire_expect(&c, "openai-processing-ms: 12\r\n"));
        CHECK(wire_expect(&c, "X-Tidegate-Upstream-Id: theirs\r\n") &&
              wire_expect(&c, "X-Request-Id: ours\r\n"));
        CHECK(!wire_has(&c, "ookie") && !wire_has(&c, "ratelimit") && !wire_has(&c, "rganization"));
        CHECK(origin_was_asked(&o, "openai-beta: b=1\r\n") && origin_was_asked(&o, "X-Request-Id: ours\r\n"));
        CHECK(!origin_was_asked(&o, "ookie") && !origin_was_asked(&o, "rganization"));
        wire_close(&c);
        origin_close(&o);
    }
    story_end(&w);
}

/* The second endpoint's answer carries nothing of the first one's. */
TEST(headers_come_from_the_endpoint_that_answered)
{
    struct world *w = wire_world(TWO("vllm"), -1, NULL);
    struct origin o;
    struct wire c;

    origin_open(&o, w, origin_response("500 Oops", "X-Request-Id: first\r\nopenai-version: 1\r\n", "{}"));
    wire_open(&c, w);
    wire_ask(&c, "", story_body("any", false, "hello", NULL));
    CHECK(wire_wait(&c, "}", 5 * STORY_S));
    CHECK_INT(wire_status(&c), 200);
    CHECK(!wire_has(&c, "first") && !wire_has(&c, "openai-version"));
    wire_close(&c);
    origin_close(&o);
    story_end(&w);
}
