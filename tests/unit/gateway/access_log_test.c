/* SPDX-License-Identifier: MIT */
/* The access log: a line of JSON for every request whatever it holds, never a secret, and as many of them as
 * the metrics count. */
#include "gateway/access_log.h"

#include <fcntl.h>

#include "base/json.h"
#include "base/mem.h"
#include "wire_kit.h"

#define LINES_MAX 4096

static const char YAML[] =
    "listen: 10.0.0.9:80\n"
    "keys: [{name: tester, key: key-for-tests}, {name: narrow, key: key-for-one-model, models: [small]}]\n"
    "accounts: [{name: main, slots: {'*': 1}}]\n"
    "endpoints:\n"
    "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: canary-of-provider, account: main}\n"
    "  - {name: raw, provider: openai, url: 'http://10.0.0.3/v1', key: canary-of-provider}\n"
    "models:\n"
    "  - {name: small, tiers: [[{endpoint: one}]]}\n"
    "  - {name: raw, tiers: [[{endpoint: raw}]]}\n"
    "  - {name: '*', tiers: [[{endpoint: one}]]}\n"
    "timeouts: {deadline: 5s, body: 2s}\n";

/* -- reading the lines ---------------------------------------------------------------------------------- */

struct lines {
    FILE *file;
    struct buf all;
    struct slice line[LINES_MAX];
    size_t n;
};

static void lines_init(struct lines *l)
{
    memset(l, 0, sizeof *l);
    l->file = tmpfile();
    ASSERT(l->file != NULL);
    buf_init(&l->all, WIRE_MAX, NULL);
}

static void cut(struct lines *l)
{
    struct slice rest = buf_slice(&l->all);

    while (rest.n > 0) {
        struct slice line = slice_cut(rest, '\n', &rest);

        CHECK(rest.p != NULL); /* every line is whole */
        ASSERT(l->n < LINES_MAX);
        l->line[l->n++] = line;
    }
}

static void lines_read(struct lines *l)
{
    char piece[4096];
    size_t n;

    rewind(l->file);
    while ((n = fread(piece, 1, sizeof piece, l->file)) > 0)
        CHECK(buf_add(&l->all, (struct slice){piece, n}) == ERR_OK);
    cut(l);
}

static void lines_fini(struct lines *l)
{
    fclose(l->file);
    buf_fini(&l->all);
}

static bool lines_have(const struct lines *l, const char *text)
{
    return slice_find(buf_slice(&l->all), slice_of(text)) >= 0;
}

/* A member of a line as text: strings as they are, numbers in decimal, true and false; "" absent. */
static const char *field(const struct lines *l, size_t i, const char *name)
{
    static char out[512];
    struct json_doc *doc;
    struct json_value v;

    out[0] = '\0';
    if (i >= l->n || json_parse(l->line[i], NULL, &doc, NULL) != ERR_OK)
        return "(no JSON)";
    v = json_get(json_root(doc), name);
    if (json_is_string(v))
        snprintf(out, sizeof out, "%.*s", SLICE_ARG(json_string(v)));
    else if (json_is_number(v))
        snprintf(out, sizeof out, "%lld", (long long)json_int(v, 0));
    else if (json_is_bool(v))
        snprintf(out, sizeof out, "%s", json_true(v) ? "true" : "false");
    json_free(&doc);
    return out;
}

static void check_json(const struct lines *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct json_doc *doc;

        if (!CHECK_INT(json_parse(l->line[i], NULL, &doc, NULL), ERR_OK)) {
            tap_print_bytes("line", l->line[i].p, l->line[i].n);
            continue;
        }
        CHECK(json_is_object(json_root(doc)));
        CHECK(json_string(json_get(json_root(doc), "request_id")).n > 0);
        CHECK(json_is_number(json_get(json_root(doc), "status")));
        CHECK(json_string(json_get(json_root(doc), "result")).n > 0);
        json_free(&doc);
    }
}

/* -- lines ---------------------------------------------------------------------------------------------- */

TEST(a_streams_line_says_who_what_where_and_how_long)
{
    static const char *const WANT[][2] = {{"request_id", "mine"}, {"key", "tester"},
                                          {"method", "POST"},     {"path", "/v1/chat/completions"},
                                          {"model", "small"},     {"asked", "small"},
                                          {"stream", "true"},     {"endpoint", "one"},
                                          {"attempts", "1"},      {"status", "200"},
                                          {"result", "full"},     {"error", ""},
                                          {"wait_ms", "0"},       {"lines_lost_before", ""}};
    struct lines l;
    struct caller *c;
    struct world *w;

    lines_init(&l);
    w = wire_world(YAML, fileno(l.file), NULL);
    c = story_ask_with(w, story_body("small", true, "hello", NULL), 0, "X-Request-Id", "mine");
    CHECK(story_wait(w, c, 5 * STORY_S) && c->complete);
    world_run(w, STORY_S);
    lines_read(&l);
    CHECK_INT(l.n, 1);
    for (size_t i = 0; i < COUNT_OF(WANT); i++) {
        if (!CHECK_STR(field(&l, 0, WANT[i][0]), WANT[i][1]))
            printf("# %s\n", WANT[i][0]);
    }
    CHECK(slice_starts(l.line[0], SLICE("{\"ts\":\"2026-10-30T00:00:0")));
    CHECK_INT(strtol(field(&l, 0, "tokens_out"), NULL, 10), story_length("hello"));
    CHECK(strtol(field(&l, 0, "tokens_in"), NULL, 10) > 0);
    CHECK_INT(strtol(field(&l, 0, "bytes"), NULL, 10), c->body.n);
    CHECK(strtol(field(&l, 0, "ttft_ms"), NULL, 10) >= 10);
    CHECK(strtol(field(&l, 0, "duration_ms"), NULL, 10) >= 10 + (long)story_length("hello") - 2);
    caller_free(&c);
    story_end(&w);
    lines_fini(&l);
}

static void send_hostile(struct wire *c, size_t i)
{
    static const char *const REQUESTS[] = {
        "GET /\"quote\" HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /back\\slash HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /{\"a\":1}, HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /%00%0a%22 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\xC3\xA4\xFF HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /?\"},{\" HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\"b\\c\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: \xE2\x80\xA8\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    static const char *const MODELS[] = {
        "a\\\"b", "\\u0022,\\u0022x\\u0022:1", "\\\\", "\xE6\xBD\xAE", "</script>", "canary"};
    char path[2000];

    if (i < COUNT_OF(REQUESTS)) {
        wire_send(c, REQUESTS[i]);
    } else if (i < COUNT_OF(REQUESTS) + COUNT_OF(MODELS)) {
        wire_ask(c, "", story_body(MODELS[i - COUNT_OF(REQUESTS)], i % 2, "hi", NULL));
    } else {
        memset(path, '"', sizeof path);
        memcpy(path, "GET /", 5);
        snprintf(path + sizeof path - 40, 40, " HTTP/1.1\r\nHost: a\r\n\r\n");
        wire_send(c, path);
    }
}

#define HOSTILE_N 16

TEST(whatever_a_request_holds_its_line_is_one_line_of_json)
{
    struct lines l;
    struct world *w;

    lines_init(&l);
    w = wire_world(YAML, fileno(l.file), NULL);
    for (size_t i = 0; i < HOSTILE_N; i++) {
        struct wire c;

        wire_open(&c, w);
        send_hostile(&c, i);
        world_run(w, STORY_S);
        CHECK(wire_status(&c) > 0);
        wire_close(&c);
    }
    lines_read(&l);
    check_json(&l);
    CHECK(l.n >= HOSTILE_N - 4 &&
          l.n <= HOSTILE_N); /* a head that is not HTTP is no request and has no line */
    for (size_t i = 0; i < l.n; i++)
        CHECK(l.line[i].n < 1024);
    story_end(&w);
    lines_fini(&l);
}

/* -- secrets -------------------------------------------------------------------------------------------- */

static void send_secrets(struct wire *c, size_t i)
{
    static const char *const HEADS[] = {
        "GET /v1/models?api_key=canary HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer canary\r\n\r\n",
        "GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Api-Key: canary\r\nCookie: s=canary\r\n\r\n",
        "GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Basic canary\r\n\r\n",
        "GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Api-Key: key-for-tests\r\n\r\n",
        ("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Content-Length: 8\r\n\r\n{\"canary"),
    };

    if (i < COUNT_OF(HEADS))
        wire_send(c, HEADS[i]);
    else
        wire_ask(
            c, "X-Canary: canary\r\n",
            story_body(i % 2 ? "raw" : "small~cut=3", i % 4 > 1, "canary-prompt", "\"user\":\"canary\""));
}

TEST(no_credential_prompt_or_query_is_in_the_access_log_the_log_or_the_metrics)
{
    struct lines access, own;
    struct origin origin;
    struct world *w;
    struct log log;
    struct buf page;
    struct metrics *blocks[8];

    lines_init(&access);
    lines_init(&own);
    log_init(&log, fileno(own.file), LOG_DEBUG, false);
    w = wire_world(YAML, fileno(access.file), &log);
    origin_open(
        &origin, w,
        origin_response("401 Unauthorized", "Content-Type: application/json\r\n",
                        "{\"error\":{\"message\":\"Incorrect key sk-canaryCANARYcanary0123456789abcd\"}}"));
    for (size_t i = 0; i < 12; i++) {
        struct wire c;

        wire_open(&c, w);
        send_secrets(&c, i);
        world_run(w, 20 * STORY_S);
        CHECK(wire_status(&c) >= 200);
        CHECK(!wire_has(&c, "canary"));
        CHECK(!wire_has(&c, "key-for-tests"));
        wire_close(&c);
    }
    buf_init(&page, WIRE_MAX, NULL);
    CHECK_INT(metrics_render(blocks, app_metrics(w->app, blocks), &page), ERR_OK);
    lines_read(&access);
    lines_read(&own);
    CHECK_INT(access.n, 12);
    CHECK(own.n > 0 && lines_have(&own, "credential")); /* the operator is told which endpoint it was */
    for (int i = 0; i < 3; i++) {
        struct slice text = buf_slice(i == 0 ? &access.all : i == 1 ? &own.all : &page);

        CHECK(slice_find(text, SLICE("canary")) < 0);
        CHECK(slice_find(text, SLICE("CANARY")) < 0);
        CHECK(slice_find(text, SLICE("key-for-tests")) < 0);
    }
    buf_fini(&page);
    origin_close(&origin);
    story_end(&w);
    lines_fini(&access);
    lines_fini(&own);
}

/* -- counting ------------------------------------------------------------------------------------------- */

static int64_t sum(const struct world *w, enum metric id, size_t rows_n)
{
    int64_t n = 0;

    for (size_t i = 0; i < rows_n; i++)
        n += world_metric(w, id, i);
    return n;
}

/* Requests of every way to end, one connection each; how many were sent. */
static size_t send_mix(struct world *w)
{
    static const struct {
        const char *bytes;
        bool leaves; /* in the middle */
    } RAW[] = {
        {"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"PUT /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"not http at all\r\n\r\n", false},
        {"POST /chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Content-Length: 50\r\n\r\n{", true},
        {"POST /chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Content-Length: 50\r\n\r\n{", false},
        {"POST /chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
         false},
        {"POST /chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Content-Length: 2\r\n\r\n{}", false},
    };
    static const char *const MODELS[] = {"small", "small~hang", "small~500", "small~cut=2", "small~stall=2"};
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(RAW); i++, n++) {
        struct wire c;

        wire_open(&c, w);
        wire_send(&c, RAW[i].bytes);
        world_run(w, RAW[i].leaves ? STORY_S : 4 * STORY_S);
        wire_close(&c);
    }
    for (size_t i = 0; i < COUNT_OF(MODELS) * 2; i++, n += 2) { /* two at a time for one slot */
        struct wire a, b;

        wire_open(&a, w);
        wire_open(&b, w);
        wire_ask(&a, "", story_body(MODELS[i / 2], i % 2, "mix", NULL));
        wire_ask(&b, "", story_body(MODELS[i / 2], i % 2, "mix", NULL));
        world_run(w, i % 3 == 0 ? 20 * STORY_MS : 300 * STORY_S);
        wire_close(&a); /* every third pair leaves early */
        wire_close(&b);
    }
    world_run(w, 10 * STORY_S);
    return n;
}

TEST(requests_lines_and_results_are_all_the_same_number)
{
    struct lines l;
    struct world *w;
    size_t sent_n, refused_n = 1; /* what was no HTTP has no exchange, and so no line */
    int64_t cancelled;

    lines_init(&l);
    w = wire_world(YAML, fileno(l.file), NULL);
    sent_n = send_mix(w);
    lines_read(&l);
    check_json(&l);
    cancelled = 0;
    for (int r = 0; r < ROUTE_N; r++)
        cancelled += world_metric(w, METRIC_REQUESTS, stats_route_result((enum route_id)r, RESULT_CANCELLED));
    CHECK(cancelled > 0);
    CHECK_INT(l.n, sent_n - refused_n);
    CHECK_INT(sum(w, METRIC_REQUESTS, (size_t)ROUTE_N * RESULT_N), sent_n);
    /* every request had one status, but those whose client left before there was one */
    CHECK(sum(w, METRIC_RESPONSES, stats_code(-1) + 1) >= (int64_t)sent_n - cancelled);
    CHECK(sum(w, METRIC_RESPONSES, stats_code(-1) + 1) <= (int64_t)sent_n);
    CHECK_INT(sum(w, METRIC_ERRORS, ERR_N),
              (int64_t)sent_n -
                  world_metric(w, METRIC_REQUESTS, stats_route_result(ROUTE_CHAT, RESULT_FULL)) -
                  world_metric(w, METRIC_REQUESTS, stats_route_result(ROUTE_HEALTHZ, RESULT_LOCAL)));
    CHECK_INT(world_metric(w, METRIC_EXCHANGES, 0), 0);
    CHECK_INT(world_metric(w, METRIC_CONNS, 0), 0);
    CHECK_INT(world_metric(w, METRIC_CONNS_ACCEPTED, 0), sent_n);
    story_end(&w);
    lines_fini(&l);
}

/* -- readers that do not read --------------------------------------------------------------------------- */

TEST(a_reader_that_does_not_read_costs_lines_and_no_request_and_they_are_counted)
{
    static char piece[65536];
    struct lines l;
    struct world *w;
    struct wire c;
    int fd[2];
    ssize_t n;
    long lost = 0;

    lines_init(&l);
    ASSERT(pipe2(fd, O_NONBLOCK) == 0);
    w = wire_world(YAML, fd[1], NULL);
    wire_open(&c, w);
    for (int i = 0; i < 2500; i++) {
        wire_send(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
        world_run(w, STORY_MS);
    }
    CHECK_INT(wire_count(&c, "HTTP/1.1 200 OK"), 2500);
    for (int i = 0; i < 20; i++) { /* now somebody reads */
        while ((n = read(fd[0], piece, sizeof piece)) > 0)
            CHECK(buf_add(&l.all, (struct slice){piece, (size_t)n}) == ERR_OK);
        world_run(w, STORY_S);
    }
    wire_send(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    world_run(w, STORY_S);
    while ((n = read(fd[0], piece, sizeof piece)) > 0)
        CHECK(buf_add(&l.all, (struct slice){piece, (size_t)n}) == ERR_OK);
    cut(&l);
    check_json(&l);
    for (size_t i = 0; i < l.n; i++)
        lost += strtol(field(&l, i, "lines_lost_before"), NULL, 10);
    CHECK(lost > 0);
    CHECK_INT((long)l.n + lost, 2501);
    wire_close(&c);
    story_end(&w);
    close(fd[0]);
    close(fd[1]);
    lines_fini(&l);
}
