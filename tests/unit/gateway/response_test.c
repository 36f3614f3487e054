/* SPDX-License-Identifier: MIT */
/* What clients get besides the answer's own bytes: heads, labels, comments, errors and advice; byte by byte,
 * between a client and an endpoint that speak raw HTTP. */
#include "gateway/response.h"

#include "wire_kit.h"

#define ANSWER "{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}"
#define TOKEN "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
#define STOP "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define DONE "data: [DONE]\n\n"

struct scene {
    struct world *w;
    struct origin origin;
    struct wire c;
};

static void scene_begin(struct scene *s, const char *yaml, const char *more, const char *reply)
{
    struct story story;

    story_init(&story, yaml);
    story.more = more;
    s->w = story_begin(&story);
    origin_open(&s->origin, s->w, reply);
    wire_open(&s->c, s->w);
}

static void scene_end(struct scene *s)
{
    wire_close(&s->c);
    origin_close(&s->origin);
    story_end(&s->w);
}

/* One request and everything that comes within a second. */
static int ask(struct scene *s, bool stream, const char *headers)
{
    wire_ask(&s->c, headers, story_body("any", stream, "hello", NULL));
    world_run(s->w, STORY_S);
    return wire_status(&s->c);
}

static const char *events(const char *body)
{
    return origin_response("200 OK", "Content-Type: text/event-stream\r\n", body);
}

static const char *json(const char *status, const char *headers, const char *body)
{
    char all[512];

    snprintf(all, sizeof all, "Content-Type: application/json\r\n%s", headers);
    return origin_response(status, all, body);
}

/* -- heads ---------------------------------------------------------------------------------------------- */

TEST(a_plain_answer_has_its_length_its_labels_and_its_own_bytes)
{
    struct scene s;

    scene_begin(&s, ORIGIN_YAML("openai", "none"), NULL,
                json("200 OK", "Server: nginx\r\nSet-Cookie: a=b\r\nX-Powered-By: x\r\n", ANSWER));
    CHECK_INT(ask(&s, false, ""), 200);
    CHECK(wire_expect(&s.c, "Content-Type: application/json\r\n"));
    CHECK(
        wire_expect(&s.c, "X-Tidegate-Endpoint: raw\r\nX-Tidegate-Attempts: 1\r\nX-Tidegate-Wait-Ms: 0\r\n"));
    CHECK(wire_expect(&s.c, "X-Request-Id: req_"));
    CHECK(!wire_has(&s.c, "Set-Cookie") && !wire_has(&s.c, "nginx") && !wire_has(&s.c, "X-Powered-By"));
    CHECK(!wire_has(&s.c, "Transfer-Encoding") && !wire_has(&s.c, "X-Accel-Buffering"));
    CHECK(slice_eq(wire_body(&s.c), SLICE(ANSWER)));
    scene_end(&s);
}

TEST(a_stream_is_never_to_be_buffered_and_ends_with_its_end_mark)
{
    struct scene s;

    scene_begin(&s, ORIGIN_YAML("openai", "none"), NULL, events(TOKEN STOP DONE));
    CHECK_INT(ask(&s, true, ""), 200);
    CHECK(wire_expect(&s.c, "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                            "X-Accel-Buffering: no\r\n"));
    CHECK(wire_expect(&s.c, "Transfer-Encoding: chunked\r\n"));
    CHECK(wire_expect(&s.c, "X-Tidegate-Endpoint: raw\r\n"));
    CHECK(wire_expect(&s.c, TOKEN) && wire_expect(&s.c, DONE));
    CHECK(slice_ends(wire_body(&s.c), SLICE("\r\n0\r\n\r\n")));
    CHECK(!s.c.closed);
    scene_end(&s);
}

TEST(old_clients_get_a_stream_until_the_connection_ends)
{
    struct slice body;
    char head[256];
    struct scene s;

    scene_begin(&s, ORIGIN_YAML("openai", "none"), NULL, events(TOKEN STOP DONE));
    body = story_body("any", true, "hello", NULL);
    snprintf(head, sizeof head, "POST /chat/completions HTTP/1.0\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
             body.n);
    wire_send(&s.c, head);
    wire_send_n(&s.c, body);
    world_run(s.w, STORY_S);
    CHECK(slice_eq(wire_body(&s.c), SLICE(TOKEN STOP DONE)));
    CHECK(s.c.closed && s.c.why == ERR_EOF);
    scene_end(&s);
}

/* -- what goes up --------------------------------------------------------------------------------------- */

TEST(no_credential_or_cookie_of_the_client_goes_up_unless_its_key_is_the_endpoints)
{
    static const struct {
        const char *yaml, *want;
    } ROWS[] = {{ORIGIN_YAML("openai", "none"), NULL},
                {ORIGIN_YAML("openai", "own-secret"), "Authorization: Bearer own-secret\r\n"},
                {ORIGIN_YAML("openai", "client"), "Authorization: Bearer key-for-tests\r\n"}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct scene s;

        scene_begin(&s, ROWS[i].yaml, NULL, json("200 OK", "", ANSWER));
        CHECK_INT(ask(&s, false,
                      "Cookie: session=canary\r\nX-Api-Key: canary\r\nX-Own: canary\r\n"
                      "TraceParent: 00-1-2-01\r\nX-Request-Id: mine\r\n"),
                  200);
        CHECK(!origin_was_asked(&s.origin, "canary"));
        CHECK(origin_was_asked(&s.origin, "POST /v1/chat/completions HTTP/1.1\r\nHost: 10.0.0.3\r\n"));
        CHECK(origin_was_asked(&s.origin, "traceparent: 00-1-2-01\r\n"));
        CHECK(origin_was_asked(&s.origin, "X-Request-Id: mine\r\n"));
        CHECK_INT(origin_was_asked(&s.origin, "Authorization"), ROWS[i].want != NULL);
        CHECK(ROWS[i].want == NULL || origin_was_asked(&s.origin, ROWS[i].want));
        scene_end(&s);
    }
}

/* -- errors of the endpoint ----------------------------------------------------------------------------- */

#define WORDS "{\"error\":{\"message\":\"Their words.\",\"param\":\"p\",\"code\":\"their_code\"}}"

TEST(what_a_client_is_told_of_an_endpoints_refusal)
{
    static const struct {
        const char *key, *status;
        int sent;
        const char *code, *param;
        bool words; /* the endpoint's own are passed on */
    } ROWS[] = {
        {"none", "400 Bad Request", 400, "their_code", "\"p\"", true},
        {"none", "404 Not Found", 404, "their_code", "\"p\"", true},
        {"none", "422 Unprocessable", 422, "their_code", "\"p\"", true},
        {"secret", "401 Unauthorized", 502, "upstream_credential_refused", "null", false},
        {"secret", "403 Forbidden", 502, "upstream_credential_refused", "null", false},
        {"secret", "402 Payment Required", 502, "upstream_balance_exhausted", "null", false},
        {"client", "401 Unauthorized", 401, "their_code", "\"p\"", true},
        {"client", "402 Payment Required", 402, "their_code", "\"p\"", true},
        {"client", "403 Forbidden", 403, "their_code", "\"p\"", true},
        {"none", "429 Too Many", 429, "upstream_rate_limited", "null", true},
        {"none", "500 Oops", 502, "upstream_error", "null", true},
        {"none", "503 Busy", 503, "upstream_busy", "null", true},
        {"none", "302 Found", 502, "upstream_error", "null", false},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char yaml[512], code[64], param[64];
        struct scene s;

        snprintf(yaml, sizeof yaml, ORIGIN_YAML("openai", "%s"), ROWS[i].key);
        snprintf(code, sizeof code, "\"code\":\"%s\"", ROWS[i].code);
        snprintf(param, sizeof param, "\"param\":%s,", ROWS[i].param);
        scene_begin(&s, yaml, NULL, json(ROWS[i].status, "", WORDS));
        CHECK_INT(ask(&s, i % 2, ""), ROWS[i].sent);
        CHECK(wire_expect(&s.c, code) && wire_expect(&s.c, param));
        CHECK_INT(wire_has(&s.c, "Their words."), ROWS[i].words);
        CHECK_INT(wire_has(&s.c, "X-Should-Retry: false"), ROWS[i].sent < 429 || i == 3 || i == 4 || i == 5);
        CHECK(wire_expect(&s.c, "X-Tidegate-Endpoint: raw\r\n"));
        CHECK(!s.c.closed); /* an error is an answer: the connection stays */
        scene_end(&s);
    }
}

TEST(an_error_inside_a_stream_that_has_not_begun_has_the_status_that_it_names)
{
    static const struct {
        const char *code;
        int sent;
    } ROWS[] = {{"400", 400}, {"422", 422}, {"429", 429}, {"503", 503}, {"500", 502}, {"\"odd\"", 502}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct scene s;
        char body[256];

        snprintf(body, sizeof body, "data: {\"error\":{\"message\":\"Their words.\",\"code\":%s}}\n\n",
                 ROWS[i].code);
        scene_begin(&s, ORIGIN_YAML("openai", "none"), NULL, events(body));
        CHECK_INT(ask(&s, true, ""), ROWS[i].sent);
        CHECK(wire_expect(&s.c, "Their words."));
        CHECK(wire_expect(&s.c, "Content-Type: application/json\r\n"));
        scene_end(&s);
    }
}

TEST(an_error_inside_a_stream_that_has_begun_is_its_last_event_and_the_stream_breaks_off)
{
    struct scene s;

    scene_begin(&s, ORIGIN_YAML("openai", "none"), NULL,
                events(TOKEN "data: {\"error\":{\"message\":\"Their words.\"}}\n\n"));
    CHECK_INT(ask(&s, true, ""), 200);
    CHECK(wire_expect(&s.c, "data: {\"error\":{\"message\":\"Their words. "));
    CHECK(wire_expect(&s.c, "\"code\":\"upstream_error\"}}\n\n"));
    CHECK(!wire_has(&s.c, "[DONE]") && !slice_ends(wire_body(&s.c), SLICE("0\r\n\r\n")));
    CHECK(s.c.closed);
    scene_end(&s);
}

TEST(words_that_are_long_hold_keys_or_controls_are_cut_hidden_and_cleaned)
{
    char body[4096], long_words[3000];
    struct scene s;

    memset(long_words, '\\', sizeof long_words); /* each becomes two */
    long_words[2000] = '\0';
    snprintf(body, sizeof body,
             "{\"error\":{\"message\":\"key sk-abcdefghijklmnopqrstuvwxyz0123456789 is\\nbad \\u0000 %s\"}}",
             long_words);
    scene_begin(&s, ORIGIN_YAML("openai", "client"), NULL, json("401 Unauthorized", "", body));
    CHECK_INT(ask(&s, false, ""), 401);
    CHECK(wire_expect(&s.c, "key sk-*** is bad"));
    CHECK(!wire_has(&s.c, "abcdefghijkl"));
    CHECK(s.c.got.n < 2000);
    scene_end(&s);
}

/* -- advice --------------------------------------------------------------------------------------------- */

TEST(retry_after_is_the_endpoints_rounded_up_and_at_most_a_minute)
{
    static const struct {
        const char *status, *header, *sent;
    } ROWS[] = {
        {"429 Too Many", "Retry-After: 7\r\n", "Retry-After: 7\r\n"},
        {"429 Too Many", "Retry-After: 3600\r\n", "Retry-After: 60\r\n"},
        {"429 Too Many", "retry-after-ms: 1200\r\n", "Retry-After: 2\r\n"},
        {"429 Too Many", "Retry-After: 0\r\n", "Retry-After: 0\r\n"},
        {"429 Too Many", "Retry-After: soon\r\n", "Retry-After: 1\r\n"},
        {"429 Too Many", "", "Retry-After: 1\r\n"},
        {"503 Busy", "Retry-After: Fri, 30 Oct 2026 00:00:31 GMT\r\n", "Retry-After: 31\r\n"},
        {"503 Busy", "Retry-After: Fri, 30 Oct 2020 00:00:31 GMT\r\n", "Retry-After: 0\r\n"},
        {"503 Busy", "", "Retry-After: 1\r\n"},
        {"500 Oops", "Retry-After: 9\r\n", "Retry-After: 9\r\n"},
        {"500 Oops", "", NULL},
        {"400 Bad", "Retry-After: 9\r\n", NULL}, /* a retry cannot help */
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct scene s;

        scene_begin(&s, ORIGIN_YAML("openai", "none"), NULL, json(ROWS[i].status, ROWS[i].header, WORDS));
        ask(&s, false, "");
        CHECK_INT(wire_count(&s.c, "Retry-After: "), ROWS[i].sent != NULL);
        if (ROWS[i].sent != NULL && !CHECK(wire_expect(&s.c, ROWS[i].sent)))
            printf("# %s\n", ROWS[i].header);
        scene_end(&s);
    }
}

/* -- comments ------------------------------------------------------------------------------------------- */

TEST(comments_are_one_line_with_one_lf_also_those_with_labels)
{
    struct slice body;
    struct scene s;

    scene_begin(&s, ORIGIN_YAML("openai", "none"), "timeouts: {hold: 1s, comment: 2s}\n", "");
    wire_ask(&s.c, "", story_body("any", true, "hello", NULL));
    world_run(s.w, 4 * STORY_S);
    CHECK_INT(wire_count(&s.c, ": waiting\n"), 2); /* after 1 s with the head, after 3 s */
    CHECK(!wire_has(&s.c, "X-Tidegate-Endpoint")); /* not known yet */
    origin_say(&s.origin, 0, events(TOKEN STOP DONE));
    world_run(s.w, STORY_S);
    CHECK(wire_expect(&s.c, ": tidegate endpoint=raw attempts=1 wait_ms=0\n"));
    CHECK(slice_find(buf_slice(&s.c.got), SLICE(": tidegate")) <
          slice_find(buf_slice(&s.c.got), SLICE("[DONE]")));
    body = wire_body(&s.c);
    for (size_t i = 0; i + 1 < body.n; i++) {
        if (body.p[i] == ':' && body.p[i + 1] == ' ' && (i == 0 || body.p[i - 1] == '\n')) {
            ptrdiff_t lf = slice_find(slice_from(body, i), SLICE("\n"));

            CHECK(lf > 0 && body.p[i + (size_t)lf + 1] != '\n');
        }
    }
    scene_end(&s);
}

TEST(a_stream_that_is_quiet_gets_comments_and_one_that_flows_gets_none)
{
    struct scene s;

    scene_begin(&s, ORIGIN_YAML("openai", "none"), "timeouts: {hold: 1s, comment: 2s}\n",
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" TOKEN);
    wire_ask(&s.c, "", story_body("any", true, "hello", NULL));
    for (int i = 0; i < 10; i++) {
        world_run(s.w, STORY_S);
        origin_say(&s.origin, 0, TOKEN);
    }
    CHECK(!wire_has(&s.c, "\n: "));
    world_run(s.w, 7 * STORY_S);
    CHECK_INT(wire_count(&s.c, ": waiting\n"), 3);
    origin_say(&s.origin, 0, STOP DONE);
    world_run(s.w, STORY_S);
    CHECK(wire_expect(&s.c, DONE) && !wire_has(&s.c, ": tidegate")); /* the labels were in the head */
    scene_end(&s);
}

/* -- the table ------------------------------------------------------------------------------------------ */

TEST(the_status_of_an_end_is_the_endpoints_or_its_rows)
{
    struct flight_end own = {.err = ERR_UPSTREAM_REFUSED, .status = 422}, row = {.err = ERR_QUEUE_FULL},
                      busy = {.err = ERR_UPSTREAM_BUSY};
    struct http_request rq = {.method = HTTP_POST, .path = SLICE("/v1/messages")};
    struct exchange ex = {.route = &ROUTE_UNKNOWN};

    CHECK_INT(response_error_status(&ex, &own), 422);
    CHECK_INT(response_error_status(&ex, &row), 429);
    CHECK_INT(response_error_status(&ex, &busy), 503);
    ex.route = routes_find(&rq).route; /* Anthropic's clients have a status of their own for it */
    CHECK_INT(response_error_status(&ex, &row), 429);
    CHECK_INT(response_error_status(&ex, &busy), 529);
}
