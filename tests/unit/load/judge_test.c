/* SPDX-License-Identifier: MIT */
/* Verdicts on responses, with their bodies cut at every place and from guard pages. */
#include "load/judge.h"

#include "base/assert.h"
#include "tap.h"

#define JSON "application/json"
#define SSE "text/event-stream; charset=utf-8"
#define DELTA(text) "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define ROLE "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\n\n"
#define STOP "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":7}}\n\n"
#define DONE "data: [DONE]\n\n"
#define MESSAGE                                                                                \
    "{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\"usage\":{" \
    "\"completion_tokens\":4}}"

struct judge_case {
    int status;
    const char *type, *rung, *body;
    bool stream;  /* a stream was asked for */
    enum err why; /* how it ended */
    enum ending want;
    const char *code;
    uint64_t tokens_n, usage_tokens;
};

static const struct judge_case CASES[] = {
    {200, SSE, "", ROLE DELTA("a") DELTA("b") STOP DONE, true, ERR_OK, END_FULL, "", 2, 0},
    {200, SSE, "", ": queued\n" ROLE "\n: keep-alive\n\n" DELTA("a") STOP USAGE DONE, true, ERR_OK, END_FULL,
     "", 1, 7},
    {200, SSE, "full", DELTA("a") STOP DONE, true, ERR_EOF, END_FULL, "", 1, 0},
    {200, SSE, "cheaper", DELTA("a") STOP DONE, true, ERR_OK, END_DEGRADED, "", 1, 0},
    {200, SSE, "TEMPLATE", DELTA("a") STOP DONE, true, ERR_OK, END_TEMPLATED, "", 1, 0},
    {202, JSON, "ticket", "{\"id\":\"t\"}", true, ERR_OK, END_DEFERRED, "", 0, 0},
    {200, SSE, "", DELTA("a") STOP, true, ERR_OK, END_FAILED, "no_done", 1, 0},
    {200, SSE, "", DELTA("a") STOP "data: [DONE]", true, ERR_OK, END_FAILED, "no_done", 1, 0},
    {200, SSE, "", DELTA("a") DONE, true, ERR_OK, END_FAILED, "no_finish", 1, 0},
    {200, SSE, "cheaper", DELTA("a"), true, ERR_EOF, END_FAILED, "truncated", 1, 0},
    {200, SSE, "", DELTA("a"), true, ERR_RESET, END_FAILED, "truncated", 1, 0},
    {200, SSE, "", "", true, ERR_EOF, END_FAILED, "truncated", 0, 0},
    {200, SSE, "", DELTA("a") "data: {\"choices\":[\n\n" DONE, true, ERR_OK, END_FAILED, "malformed", 1, 0},
    {200, SSE, "", ROLE STOP DONE, true, ERR_OK, END_FAILED, "empty", 0, 0},
    {200, SSE, "", DELTA("a") "data: {\"error\":{\"code\":\"upstream_truncated\"}}\n\n", true, ERR_RESET,
     END_FAILED, "upstream_truncated", 1, 0},
    {200, SSE, "", "data: {\"error\":\"oh\"}\n\n" DONE, true, ERR_OK, END_FAILED, "error_in_stream", 0, 0},
    {200, SSE, "", DELTA("a") STOP DONE "data: {\"error\":\"late\"}\n\n", true, ERR_OK, END_FULL, "", 1, 0},
    {200, SSE, "",
     DELTA("a") "data: "
                "{\"choices\":[{\"delta\":{},\"finish_reason\":\"insufficient_system_resource\"}]}\n\n" DONE,
     true, ERR_OK, END_FAILED, "busy_finish", 1, 0},
    {200, JSON, "", MESSAGE, true, ERR_OK, END_FAILED, "no_stream", 0, 0},
    {200, JSON, "", MESSAGE, false, ERR_OK, END_FULL, "", 0, 4},
    {200, JSON, "", "\n\n\n" MESSAGE, false, ERR_OK, END_FULL, "", 0, 4},
    {200, JSON, "short", MESSAGE, false, ERR_OK, END_DEGRADED, "", 0, 4},
    {200, JSON, "", MESSAGE, false, ERR_EOF, END_FAILED, "truncated", 0, 0},
    {200, JSON, "", "{\"choices\":[", false, ERR_OK, END_FAILED, "malformed", 0, 0},
    {200, JSON, "", "", false, ERR_OK, END_FAILED, "empty", 0, 0},
    {200, JSON, "", "{\"error\":{\"type\":\"oh\"}}", false, ERR_OK, END_FAILED, "oh", 0, 0},
    {200, JSON, "", "{\"choices\":[{\"message\":{\"content\":\"\"}}]}", false, ERR_OK, END_FAILED, "empty", 0,
     0},
    {503, JSON, "", "{\"error\":{\"code\":\"queue_full\"}}", true, ERR_OK, END_FAILED, "queue_full", 0, 0},
    {503, JSON, "", "{\"error\":{\"code\":null,\"type\":\"busy\"}}", false, ERR_OK, END_FAILED, "busy", 0, 0},
    {502, "text/html", "", "<html>", false, ERR_OK, END_FAILED, "http_502", 0, 0},
    {502, SSE, "", DELTA("a") DONE, true, ERR_OK, END_FAILED, "http_502", 0, 0},
    {429, JSON, "", "{\"error\":{\"code\":\"rate_limit_exceeded\"}}", true, ERR_OK, END_FAILED,
     "rate_limit_exceeded", 0, 0},
    {402, JSON, "", "", true, ERR_OK, END_FAILED, "http_402", 0, 0},
    {301, "", "", "", true, ERR_OK, END_FAILED, "http_301", 0, 0},
    {400, JSON, "", "{\"error\":{\"code\":\"invalid_field\"}}", true, ERR_OK, END_REFUSED, "invalid_field", 0,
     0},
    {401, JSON, "", "{}", true, ERR_OK, END_REFUSED, "http_401", 0, 0},
    {404, JSON, "", "{\"error\":{\"code\":\"a b\\u0000\\\"c\"}}", true, ERR_OK, END_REFUSED, "a_b__c", 0, 0},
    {413, "", "", "", false, ERR_OK, END_REFUSED, "http_413", 0, 0},
};

/* The body in two pieces, cut at `cut`. */
static enum err feed(struct judge *j, const char *body, size_t cut)
{
    size_t n = strlen(body);
    char *one = tap_guard(body, cut), *two = tap_guard(body + cut, n - cut);
    enum err e = judge_body(j, (struct slice){one, cut});

    if (e == ERR_OK)
        e = judge_body(j, (struct slice){two, n - cut});
    tap_guard_free(one, cut);
    tap_guard_free(two, n - cut);
    return e;
}

static void check_case(size_t i, size_t cut, struct json_pool *pool)
{
    const struct judge_case *c = &CASES[i];
    struct header h[] = {{SLICE("Content-Type"), slice_of(c->type)},
                         {SLICE("X-Tidegate-Rung"), slice_of(c->rung)}};
    struct http_response rs = {.status = c->status, .headers = h, .headers_n = 2};
    struct judge j;
    enum ending got;
    enum err e;

    judge_init(&j, c->stream, pool);
    CHECK_INT(judge_head(&j, &rs, 0), ERR_OK);
    e = feed(&j, c->body, cut);
    got = judge_end(&j, e != ERR_OK ? e : c->why, true);
    if (!CHECK(got == c->want && strcmp(j.code, c->code) == 0 && j.tokens_n == c->tokens_n &&
               j.usage_tokens == c->usage_tokens)) {
        printf("# case %zu, cut %zu: %s \"%s\" %llu tokens, usage %llu\n", i, cut, ending_name(got), j.code,
               (unsigned long long)j.tokens_n, (unsigned long long)j.usage_tokens);
    }
    judge_fini(&j);
}

TEST(every_response_is_told_from_every_other_however_it_is_cut)
{
    struct json_pool *pool = json_pool_new(4096);

    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        for (size_t cut = 0; cut <= strlen(CASES[i].body); cut++)
            check_case(i, cut, pool);
    }
    json_pool_free(&pool);
}

TEST(what_ended_before_a_head)
{
    static const struct {
        enum err why;
        bool connected;
        const char *code;
    } ENDS[] = {{ERR_REFUSED, false, "refused"},   {ERR_TIMEOUT, false, "timeout_connect"},
                {ERR_DNS, false, "dns"},           {ERR_TLS, false, "tls"},
                {ERR_EOF, true, "reset"},          {ERR_RESET, true, "reset"},
                {ERR_MALFORMED, true, "malformed"}};
    struct json_pool *pool = json_pool_new(4096);

    for (size_t i = 0; i < COUNT_OF(ENDS); i++) {
        struct judge j;

        judge_init(&j, true, pool);
        CHECK_INT(judge_end(&j, ENDS[i].why, ENDS[i].connected), END_FAILED);
        CHECK_STR(j.code, ENDS[i].code);
        judge_fini(&j);
    }
    json_pool_free(&pool);
}

TEST(hints_of_a_head)
{
    struct header h[] = {{SLICE("Retry-After"), SLICE("3")}, {SLICE("X-Should-Retry"), SLICE("false")}};
    struct http_response rs = {.status = 503, .headers = h, .headers_n = 2};
    struct judge j;

    judge_init(&j, true, NULL);
    CHECK_INT(judge_head(&j, &rs, 0), ERR_OK);
    CHECK_INT(j.retry_after_us, 3000000);
    CHECK_INT(j.should_retry, 0);
    h[1].value = SLICE("perhaps");
    j.should_retry = -1;
    CHECK_INT(judge_head(&j, &rs, 0), ERR_OK);
    CHECK_INT(j.should_retry, -1);
    judge_fini(&j);
}

TEST(an_event_without_end_is_bounded)
{
    static char piece[1 << 20];
    struct header h = {SLICE("Content-Type"), SLICE("text/event-stream")};
    struct http_response rs = {.status = 200, .headers = &h, .headers_n = 1};
    struct judge j;
    enum err e = ERR_OK;

    memset(piece, 'x', sizeof piece);
    memcpy(piece, "data: ", 6);
    judge_init(&j, true, NULL);
    CHECK_INT(judge_head(&j, &rs, 0), ERR_OK);
    for (int i = 0; i < 20 && e == ERR_OK; i++)
        e = judge_body(&j, (struct slice){piece, sizeof piece});
    CHECK_INT(e, ERR_TOO_LARGE);
    CHECK_INT(judge_end(&j, e, true), END_FAILED);
    CHECK_STR(j.code, "too_large");
    judge_fini(&j);
}
