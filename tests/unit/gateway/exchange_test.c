/* SPDX-License-Identifier: MIT */
/* Exchanges: what of a request is looked at, in which order, and how everything that is wrong with it is
 * refused. */
#include "wire_kit.h"

#include "base/id.h"
#include "base/mem.h"

static const char KEYED[] =
    "listen: 10.0.0.9:80\n"
    "keys:\n"
    "  - {name: tester, key: key-for-tests, priority: normal}\n"
    "  - {name: narrow, key: key-for-one-model, models: [small]}\n"
    "accounts: [{name: main, slots: {'*': 1}}]\n"
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n"
    "models:\n"
    "  - {name: small, aliases: [{name: tiny}], tiers: [[{endpoint: one}]]}\n"
    "  - {name: large, tiers: [[{endpoint: one}]]}\n";

/* The endpoint's first token comes after ttft_ms. */
static struct world *begin_slow(const char *more, int64_t ttft_ms)
{
    struct story s;

    story_init(&s, KEYED);
    s.more = more;
    s.one.ttft.median_us = ttft_ms * STORY_MS;
    return story_begin(&s);
}

static struct world *begin(const char *more)
{
    return begin_slow(more, 10);
}

/* One chat request with these headers on a connection of its own; the status. */
static int ask(struct wire *c, struct world *w, const char *headers, struct slice body)
{
    wire_open(c, w);
    wire_ask(c, headers, body);
    CHECK(wire_wait(c, "\r\n\r\n", 20 * STORY_S));
    world_run(w, 100 * STORY_MS);
    return wire_status(c);
}

static struct slice simple(void)
{
    return story_body("small", false, "hello", NULL);
}

/* -- ids ------------------------------------------------------------------------------------------------ */

TEST(a_safe_request_id_is_kept_and_any_other_replaced)
{
    static const struct {
        const char *sent;
        bool kept;
    } ROWS[] = {{"client-id_1.2:3", true}, {"a", true},         {"", false},    {"two words", false},
                {"quote\"d", false},       {"\xC3\xA4", false}, {"a,b", false}, {"<script>", false}};
    struct world *w = begin(NULL);

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char header[64], want[64];
        struct wire c;

        snprintf(header, sizeof header, "X-Request-Id: %s\r\n", ROWS[i].sent);
        snprintf(want, sizeof want, "X-Request-Id: %s\r\n", ROWS[i].kept ? ROWS[i].sent : "req_");
        if (!ROWS[i].kept)
            want[strlen(want) - 2] = '\0';
        CHECK_INT(ask(&c, w, header, simple()), 200);
        CHECK(wire_expect(&c, want));
        CHECK_INT(wire_count(&c, "X-Request-Id"), 1);
        wire_close(&c);
    }
    story_end(&w);
}

TEST(an_id_of_128_bytes_is_kept_and_one_of_129_is_not)
{
    struct world *w = begin(NULL);

    for (int n = 128; n <= 129; n++) {
        char header[200], id[140];
        struct wire c;

        memset(id, 'i', sizeof id);
        id[n] = '\0';
        snprintf(header, sizeof header, "X-Request-Id: %s\r\n", id);
        CHECK_INT(ask(&c, w, header, simple()), 200);
        CHECK_INT(wire_has(&c, id), n == 128);
        wire_close(&c);
    }
    story_end(&w);
}

TEST(every_answer_has_an_id_also_refusals_and_no_two_the_same)
{
    static const char *const REQUESTS[] = {
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
        "DELETE /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n\r\n",
        "complete nonsense\r\n\r\n",
        ("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY
         "Transfer-Encoding: chunked\r\n\r\nno size\r\n"),
    };
    char ids[COUNT_OF(REQUESTS)][ID_BYTES + 1];
    struct world *w = begin(NULL);

    for (size_t i = 0; i < COUNT_OF(REQUESTS); i++) {
        struct wire c;
        ptrdiff_t at;

        wire_open(&c, w);
        wire_send(&c, REQUESTS[i]);
        CHECK(wire_wait(&c, "\r\n\r\n", STORY_S));
        at = slice_find(buf_slice(&c.got), SLICE("X-Request-Id: req_"));
        if (CHECK(at > 0))
            memcpy(ids[i], c.got.p + at + 14, ID_BYTES);
        ids[i][ID_BYTES] = '\0';
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(ids[i], ids[j]) != 0);
        wire_close(&c);
    }
    story_end(&w);
}

/* -- what the body and the headers may say -------------------------------------------------------------- */

TEST(what_is_wrong_with_a_request_is_said_with_its_code_and_parameter)
{
    static const struct {
        const char *headers, *body;
        int status;
        const char *says;
    } ROWS[] = {
        {"", "", 400, "\"code\":\"invalid_json\""},
        {"", "{", 400, "\"code\":\"invalid_json\""},
        {"", "[]", 400, "\"code\":\"invalid_"},
        {"", "{\"messages\":[{}]}", 400, "\"code\":\"model_required\""},
        {"", "{\"model\":\"small\"}", 400, "\"param\":\"messages\""},
        {"", "{\"model\":\"small\",\"messages\":[]}", 400, "\"param\":\"messages\""},
        {"", "{\"model\":7,\"messages\":[{}]}", 400, "\"param\":\"model\""},
        {"", "{\"model\":\"small\",\"messages\":[{}],\"stream\":\"yes\"}", 400, "\"param\":\"stream\""},
        {"", "{\"model\":\"gpt-9\",\"messages\":[{}]}", 404, "The model 'gpt-9' does not exist here."},
        {"", "{\"model\":\"gpt-9\",\"messages\":[{}]}", 404, "\"param\":\"model\""},
        {"", "{\"model\":\"a\\\"b</x>\",\"messages\":[{}]}", 404,
         "The model 'a\\\"b</x>' does not exist here."},
        {"X-Tidegate-Priority: soon\r\n", "*", 400, "\"param\":\"x-tidegate-priority\""},
        {"X-Tidegate-Deadline-Ms: 0\r\n", "*", 400, "\"param\":\"x-tidegate-deadline-ms\""},
        {"X-Tidegate-Deadline-Ms: -5\r\n", "*", 400, "\"code\":\"invalid_field\""},
        {"X-Tidegate-Deadline-Ms: 1.5\r\n", "*", 400, "\"code\":\"invalid_field\""},
        {"X-Tidegate-Deadline-Ms: 86400001\r\n", "*", 400, "\"code\":\"invalid_field\""},
        {"X-Tidegate-Deadline-Ms: 5s\r\n", "*", 400, "\"code\":\"invalid_field\""},
        {"X-Tidegate-Deadline-Ms: 18446744073709551617\r\n", "*", 400, "\"code\":\"invalid_field\""},
        {"Content-Encoding: gzip\r\n", "*", 415, "\"code\":\"unsupported_media_type\""},
        {"Content-Encoding: identity\r\n", "*", 200, "\"choices\""},
        {"X-Tidegate-Deadline-Ms: 86400000\r\n", "*", 200, "\"choices\""},
        {"X-Tidegate-Priority: BULK\r\n", "*", 400, "\"code\":\"invalid_field\""},
        {"X-Tidegate-Priority: bulk\r\n", "*", 200, "\"choices\""},
    };
    struct world *w = begin(NULL);

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        bool good = strcmp(ROWS[i].body, "*") == 0;
        struct wire c;

        CHECK_INT(ask(&c, w, ROWS[i].headers, good ? simple() : slice_of(ROWS[i].body)), ROWS[i].status);
        if (!CHECK(wire_expect(&c, ROWS[i].says)))
            printf("# %s%s\n", ROWS[i].headers, ROWS[i].body);
        CHECK_INT(wire_has(&c, "X-Should-Retry: false"), ROWS[i].status != 200);
        CHECK(!wire_has(&c, "Retry-After"));
        wire_close(&c);
    }
    CHECK_INT((long long)sim_stats(w->sims[0])->requests_n, 3);
    story_end(&w);
}

TEST(keys_are_checked_before_the_body_comes_and_models_after_it)
{
    static const struct {
        const char *key, *model;
        int status;
        const char *code;
    } ROWS[] = {
        {"Bearer key-for-one-model", "small", 200, ""},
        {"Bearer key-for-one-model", "tiny", 200, ""}, /* the alias is the model */
        {"Bearer key-for-one-model", "large", 403, "model_not_allowed"},
        {"Bearer key-for-tests", "large", 200, ""},
        {"Bearer wrong", "small", 401, "invalid_api_key"},
        {"Basic a2V5", "small", 401, "api_key_required"},
    };
    struct world *w = begin(NULL);

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct slice body = story_body(ROWS[i].model, false, "hello", NULL);
        char head[256];
        struct wire c;

        snprintf(head, sizeof head,
                 "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 ROWS[i].key, body.n);
        wire_open(&c, w);
        wire_send(&c, head);
        world_run(w, 10 * STORY_MS);
        CHECK_INT(wire_status(&c), ROWS[i].status == 401 ? 401 : 0);
        wire_send_n(&c, body);
        CHECK(wire_wait(&c, "\r\n\r\n", 20 * STORY_S));
        CHECK_INT(wire_status(&c), ROWS[i].status);
        CHECK(wire_expect(&c, ROWS[i].code));
        wire_close(&c);
    }
    story_end(&w);
}

/* -- sizes ---------------------------------------------------------------------------------------------- */

static struct slice body_of(size_t n)
{
    size_t frame = story_body("small", false, "", NULL).n;
    char *prompt = mem_zalloc(n - frame + 1);
    struct slice body;

    memset(prompt, 'p', n - frame);
    body = story_body("small", false, prompt, NULL);
    mem_free(prompt);
    CHECK_INT(body.n, n);
    return body;
}

static void send_chunked(struct wire *c, struct slice body, size_t piece)
{
    char size[32];

    wire_send(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY
                 "Transfer-Encoding: chunked\r\n\r\n");
    while (body.n > 0) {
        size_t n = body.n < piece ? body.n : piece;

        snprintf(size, sizeof size, "%zx\r\n", n);
        wire_send(c, size);
        wire_send_n(c, (struct slice){body.p, n});
        wire_send(c, "\r\n");
        body = slice_from(body, n);
    }
    wire_send(c, "0\r\n\r\n");
}

TEST(a_body_at_the_bound_is_read_and_one_past_it_refused_sized_or_chunked)
{
    struct world *w = begin("limits: {body: 8KiB}\n");

    for (int i = 0; i < 4; i++) {
        struct slice body = body_of(8192 + (size_t)(i % 2));
        struct wire c;

        wire_open(&c, w);
        if (i / 2)
            send_chunked(&c, body, 700);
        else
            wire_ask(&c, "", body);
        CHECK(wire_wait(&c, "\r\n\r\n", 20 * STORY_S));
        CHECK_INT(wire_status(&c), i % 2 ? 413 : 200);
        if (i % 2)
            CHECK(wire_expect(&c, "\"code\":\"body_too_large\""));
        CHECK_INT((long long)budget_used(&w->app->budget), 0);
        wire_close(&c);
    }
    story_end(&w);
}

TEST(a_sized_body_past_the_bound_is_refused_before_it_comes)
{
    struct world *w = begin("limits: {body: 8KiB}\n");
    struct wire c;

    wire_open(&c, w);
    wire_send(&c, "POST /chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY
                  "Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n");
    CHECK(wire_wait(&c, "\"code\":\"body_too_large\"", STORY_S));
    CHECK_INT(wire_status(&c), 413);
    CHECK(!wire_has(&c, "100 Continue"));
    world_run(w, STORY_S);
    CHECK(c.closed); /* nobody reads 99 GB to keep a connection */
    wire_close(&c);
    story_end(&w);
}

TEST(past_the_memory_budget_new_work_is_refused_and_old_work_goes_on)
{
    struct world *w = begin_slow("limits: {memory: 1MiB, body: 10MiB}\n", 2000);
    struct wire big, other;
    struct caller *old = story_ask(w, story_body("small", true, "old", NULL));

    world_run(w, STORY_S);
    wire_open(&big, w);
    send_chunked(&big, body_of(2000000), 60000);
    CHECK(wire_wait(&big, "\"code\":\"memory_budget_exhausted\"", 20 * STORY_S));
    CHECK_INT(wire_status(&big), 503);
    CHECK(wire_expect(&big, "Retry-After: 1\r\n"));
    CHECK(story_wait(w, old, 20 * STORY_S) && old->complete && old->done);
    CHECK_INT(ask(&other, w, "", simple()), 200); /* and what is given back can be used again */
    wire_close(&big);
    wire_close(&other);
    caller_free(&old);
    story_end(&w);
}

TEST(a_body_must_be_whole_before_the_deadline_and_a_plain_answer_may_come_after_that_of_others)
{
    struct story s;
    struct world *w;
    struct wire late, plain;

    story_init(&s, "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
                   "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n"
                   "models: [{name: small, tiers: [[{endpoint: one}]], deadline: 60s}]\n");
    s.more = "timeouts: {deadline: 5s, hold: 1s, comment: 1s}\n";
    s.one.ttft.median_us = 20 * STORY_S;
    w = story_begin(&s);
    wire_open(&late, w);
    wire_open(&plain, w);
    wire_send(&late, "POST /chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Content-Length: 50\r\n\r\n");
    wire_ask(&plain, "", simple());
    for (int i = 0; i < 8; i++) {
        world_run(w, STORY_S);
        wire_send(&late, " ");
    }
    CHECK_INT(wire_status(&late), 408);
    CHECK_INT(plain.got.n, 0); /* no comments: they are for streams */
    CHECK(wire_wait(&plain, "\r\n\r\n{", 60 * STORY_S));
    CHECK_INT(wire_status(&plain), 200);
    CHECK(!wire_has(&plain, "event-stream"));
    wire_close(&late);
    wire_close(&plain);
    story_end(&w);
}

/* -- the line's classes --------------------------------------------------------------------------------- */

TEST(a_header_lowers_the_priority_and_never_raises_it)
{
    static const char *const PRIORITY[] = {NULL, "bulk", NULL, "critical", "high", "normal"};
    struct world *w = begin_slow(NULL, 1000);
    struct caller *c[COUNT_OF(PRIORITY)];

    for (size_t i = 0; i < COUNT_OF(PRIORITY); i++) {
        c[i] = story_ask_with(w, story_body("small", true, "in turn", NULL), 0,
                              PRIORITY[i] != NULL ? "x-tidegate-priority" : NULL, PRIORITY[i]);
        world_run(w, 10 * STORY_MS);
    }
    for (size_t i = 0; i < COUNT_OF(PRIORITY); i++)
        CHECK(story_wait(w, c[i], 30 * STORY_S) && c[i]->complete);
    for (size_t i = 2; i < COUNT_OF(PRIORITY); i++) {
        CHECK(c[i]->ended_us < c[1]->ended_us); /* the bulk one, which came before them, is last */
        CHECK(i == 2 || c[i]->ended_us > c[i - 1]->ended_us); /* and nobody passed anybody of his own class */
    }
    for (size_t i = 0; i < COUNT_OF(PRIORITY); i++)
        caller_free(&c[i]);
    story_end(&w);
}
