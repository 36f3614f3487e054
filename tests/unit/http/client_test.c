/* SPDX-License-Identifier: MIT */
/* The client's side: golden responses at every cut, requests byte by byte, bounds. */
#include "http/client.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "support/golden.h"
#include "support/mem_stream.h"
#include "tap.h"

#define LOG_MAX (1 << 20)
#define INPUT_MAX 4096
#define HEAD_MAX 8192

/* -- golden responses --------------------------------------------------------------------------------------
 */

struct replay {
    struct buf log, body;
    bool ended;
};

static void log_bytes(struct buf *log, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        (void)buf_printf(log, c < 32 || c > 126 ? "\\x%02x" : "%c", c);
    }
}

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct replay *r = ud;

    (void)buf_printf(&r->log, "response %d length=%lld%s%s%s\n", rs->status, (long long)rs->content_length,
                     rs->minor == 0 ? " minor 0" : "", rs->chunked ? " chunked" : "",
                     rs->keep_alive ? " keep-alive" : "");
    for (size_t i = 0; i < rs->headers_n; i++) {
        (void)buf_printf(&r->log, "header ");
        log_bytes(&r->log, rs->headers[i].name);
        (void)buf_printf(&r->log, ": ");
        log_bytes(&r->log, rs->headers[i].value);
        (void)buf_printf(&r->log, "\n");
    }
    return ERR_OK;
}

static enum err on_body(void *ud, struct slice bytes)
{
    return buf_add(&((struct replay *)ud)->body, bytes);
}

static void on_end(void *ud)
{
    CHECK(!((struct replay *)ud)->ended);
    ((struct replay *)ud)->ended = true;
}

static const struct client_cb CB = {on_head, on_body, on_end};

static enum err feed(struct client *c, const char *p, size_t n)
{
    char *copy = tap_guard(p, n);
    enum err e = client_feed(c, (struct slice){copy, n});

    tap_guard_free(copy, n);
    return e;
}

/* A name that begins with "HEAD" says that the request was one. */
static bool replay(const struct golden_case *g, const size_t *cuts, size_t cuts_n)
{
    struct replay r = {0};
    struct client *c = client_new(HEAD_MAX, NULL, &CB, &r);
    enum err e = ERR_OK, eof;
    size_t at = 0;
    bool same;

    buf_init(&r.log, LOG_MAX, NULL);
    buf_init(&r.body, LOG_MAX, NULL);
    if (strncmp(g->name, "HEAD", 4) == 0)
        client_expect_no_body(c);
    for (size_t i = 0; e == ERR_OK && i <= cuts_n; i++) {
        size_t end = i < cuts_n ? cuts[i] : g->in_n;

        e = feed(c, g->in + at, end - at);
        at = end;
    }
    CHECK_INT(client_complete(c), r.ended);
    (void)buf_printf(&r.log, "body [");
    log_bytes(&r.log, buf_slice(&r.body));
    (void)buf_printf(&r.log, "]\n%s%s", r.ended ? "end" : "no end", client_can_reuse(c) ? " reusable" : "");
    eof = client_eof(c);
    (void)buf_printf(&r.log, e != ERR_OK ? "\nerror %s\n" : ", at eof %s\n",
                     err_row(e != ERR_OK ? e : eof)->name);
    CHECK(e == ERR_OK || eof == ERR_MALFORMED);
    CHECK(e != ERR_OK || client_complete(c) == (eof == ERR_OK));
    same = slice_eq(buf_slice(&r.log), slice_of(g->log));
    if (!same) {
        printf("# %s (first cut %zu of %zu)\n", g->name, cuts_n > 0 ? cuts[0] : 0, cuts_n);
        CHECK_MEM(r.log.p, r.log.n, g->log, strlen(g->log));
    }
    client_free(&c);
    CHECK(c == NULL);
    buf_fini(&r.log);
    buf_fini(&r.body);
    return same;
}

TEST(golden_responses_at_every_cut)
{
    struct golden g;
    size_t all[INPUT_MAX];

    golden_load(&g, "http/responses.md");
    for (size_t i = 0; i < g.n; i++) {
        const struct golden_case *c = &g.cases[i];
        bool same = replay(c, NULL, 0);

        for (size_t cut = 1; same && cut < c->in_n; cut++)
            same = replay(c, &cut, 1);
        for (size_t cut = 0; cut < c->in_n; cut++)
            all[cut] = cut;
        CHECK(same && replay(c, all, c->in_n));
    }
    golden_free(&g);
}

/* -- requests ----------------------------------------------------------------------------------------------
 */

static struct client_request request_of(const struct slice *body, size_t body_n)
{
    static const struct header HEADERS[] = {{SLICE("Content-Type"), SLICE("application/json")},
                                            {SLICE("x-evil"), SLICE("a\r\nb: c")}};
    struct client_request rq = {.method = SLICE("POST"),
                                .base_path = SLICE("/v1"),
                                .path = SLICE("/chat/completions"),
                                .authority = SLICE("127.0.0.1:9101"),
                                .headers = HEADERS,
                                .headers_n = 2,
                                .body = body,
                                .body_n = body_n};

    for (size_t i = 0; i < body_n; i++)
        rq.body_bytes += body[i].n;
    return rq;
}

#define HEAD_TEXT                                                                                      \
    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:9101\r\nContent-Type: application/json\r\n" \
    "x-evil: a  b: c\r\n"

static void expect_sent(const struct client_request *rq, const char *want, size_t pieces_n)
{
    struct loop loop;
    struct mem_stream s;

    mem_loop_init(&loop);
    mem_stream_init(&s, &loop, LOG_MAX);
    loop_begin_turn(&loop, loop.now_us, loop.wall_us);
    client_send(&s.stream, rq);
    loop_end_turn(&loop);
    CHECK_STR(mem_stream_text(&s), want);
    CHECK_INT(s.pieces_n, pieces_n);
    mem_loop_fini(&loop);
    mem_stream_fini(&s);
}

TEST(a_small_request_is_one_piece)
{
    const struct slice body[] = {SLICE("{\"model\":"), SLICE("\"x\"}")};
    struct client_request rq = request_of(body, 2);

    expect_sent(&rq, HEAD_TEXT "Content-Length: 13\r\n\r\n{\"model\":\"x\"}", 1);
}

TEST(a_request_without_a_body_has_no_length)
{
    struct client_request rq = request_of(NULL, 0);

    expect_sent(&rq, HEAD_TEXT "\r\n", 1);
}

TEST(a_length_can_be_said_for_a_body_that_follows)
{
    struct client_request rq = request_of(NULL, 0);

    rq.body_bytes = 123456;
    expect_sent(&rq, HEAD_TEXT "Content-Length: 123456\r\n\r\n", 1);
}

TEST(a_large_body_is_sent_from_where_it_lies)
{
    static char large[5001], want[6000];
    const struct slice body[] = {{large, 2000}, SLICE("middle"), {large, 3000}};
    struct client_request rq = request_of(body, 3);

    memset(large, 'x', sizeof large - 1);
    snprintf(want, sizeof want, HEAD_TEXT "Content-Length: 5006\r\n\r\n%.2000smiddle%.3000s", large, large);
    expect_sent(&rq, want, 4);
}

/* -- bounds and errors -------------------------------------------------------------------------------------
 */

static enum err feed_all(struct client *c, const char *before, const char *what, size_t n, const char *behind)
{
    enum err e = client_feed(c, slice_of(before));

    for (size_t i = 0; e == ERR_OK && i < n; i++)
        e = client_feed(c, slice_of(what));
    return e == ERR_OK ? client_feed(c, slice_of(behind)) : e;
}

static enum err outcome(const char *before, const char *what, size_t n, const char *behind)
{
    struct replay r = {0};
    struct client *c = client_new(HEAD_MAX, NULL, &CB, &r);
    enum err e;

    buf_init(&r.log, LOG_MAX, NULL);
    buf_init(&r.body, LOG_MAX, NULL);
    e = feed_all(c, before, what, n, behind);
    CHECK_INT(r.ended, e == ERR_OK);
    client_free(&c);
    buf_fini(&r.log);
    buf_fini(&r.body);
    return e;
}

#define OK_EMPTY "\r\nContent-Length: 0\r\n\r\n"
#define OK_CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

TEST(a_head_is_bounded)
{
    CHECK_INT(outcome("HTTP/1.1 200 OK\r\nX: ", "x", 8000, OK_EMPTY), ERR_OK);
    CHECK_INT(outcome("HTTP/1.1 200 OK\r\nX: ", "x", 8200, OK_EMPTY), ERR_TOO_LARGE);
    CHECK_INT(outcome("HTTP/1.1 200 OK\r\nX:", " ", 8200, "x" OK_EMPTY), ERR_TOO_LARGE);
    CHECK_INT(outcome("HTTP/1.1 200 ", "x", 8200, OK_EMPTY), ERR_TOO_LARGE);
    CHECK_INT(outcome("HTTP/1.1 200 OK\r\n", "a: b\r\n", 99, "Content-Length: 0\r\n\r\n"), ERR_OK);
    CHECK_INT(outcome("HTTP/1.1 200 OK\r\n", "a: b\r\n", 100, "Content-Length: 0\r\n\r\n"), ERR_TOO_LARGE);
}

TEST(trailers_and_extensions_are_bounded)
{
    CHECK_INT(outcome(OK_CHUNKED "0\r\n", "a: b\r\n", 1000, "\r\n"), ERR_OK);
    CHECK_INT(outcome(OK_CHUNKED "0\r\n", "a: b\r\n", 2000, "\r\n"), ERR_TOO_LARGE);
    CHECK_INT(outcome(OK_CHUNKED "1;", "x", 9000, "\r\na\r\n0\r\n\r\n"), ERR_TOO_LARGE);
    CHECK_INT(outcome(OK_CHUNKED, "1\r\na\r\n", 100000, "0\r\n\r\n"), ERR_OK);
}

TEST(interim_responses_are_bounded)
{
    CHECK_INT(
        outcome("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 8, "HTTP/1.1 204 No Content\r\n\r\n"),
        ERR_OK);
    CHECK_INT(
        outcome("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 9, "HTTP/1.1 204 No Content\r\n\r\n"),
        ERR_MALFORMED);
}

static enum err refuse_head(void *ud, const struct http_response *rs)
{
    (void)ud;
    (void)rs;
    return ERR_CANCELLED;
}

static enum err refuse_body(void *ud, struct slice bytes)
{
    (void)ud;
    return bytes.n > 0 ? ERR_TIMEOUT : ERR_OK;
}

static enum err accept_head(void *ud, const struct http_response *rs)
{
    (void)ud;
    return rs->status == 200 ? ERR_OK : ERR_CANCELLED;
}

TEST(what_a_callback_returns_ends_the_parse)
{
    static const struct client_cb HEAD = {refuse_head, refuse_body, NULL},
                                  BODY = {accept_head, refuse_body, NULL};
    static const char *const TEXTS[] = {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                                        OK_CHUNKED "5\r\nhello\r\n", "HTTP/1.1 200 OK\r\n\r\nhello"};

    for (size_t i = 0; i < 3; i++) {
        struct client *c = client_new(HEAD_MAX, NULL, &HEAD, NULL);

        CHECK_INT(client_feed(c, slice_of(TEXTS[i])), ERR_CANCELLED);
        CHECK(!client_can_reuse(c) && !client_complete(c));
        client_free(&c);
        c = client_new(HEAD_MAX, NULL, &BODY, NULL);
        CHECK_INT(client_feed(c, slice_of(TEXTS[i])), ERR_TIMEOUT);
        CHECK(!client_can_reuse(c) && !client_complete(c));
        client_free(&c);
    }
}

TEST(a_response_costs_one_allocation)
{
    struct replay r = {0};
    uint64_t before = mem_alloc_n();
    struct client *c;

    static const struct client_cb SILENT = {accept_head, NULL, NULL};
    c = client_new(HEAD_MAX, NULL, &SILENT, &r);
    CHECK_INT(
        client_feed(c, SLICE("HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 08:15:30 GMT\r\nServer: uvicorn\r\n"
                             "Content-Type: text/event-stream; charset=utf-8\r\nConnection: keep-alive\r\n"
                             "Cache-Control: no-cache\r\nx-request-id: 0123456789abcdef0123456789abcdef\r\n"
                             "x-ds-trace-id: 0123456789abcdef0123456789abcdef\r\nVary: Origin\r\n"
                             "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n"
                             "X-Content-Type-Options: nosniff\r\nTransfer-Encoding: chunked\r\n\r\n")),
        ERR_OK);
    client_free(&c);
    CHECK_INT(mem_alloc_n() - before, 1);
}

TEST(a_large_head_is_charged_and_given_back)
{
    struct budget budget;
    struct replay r = {0};
    struct client *c;

    buf_init(&r.log, LOG_MAX, NULL);
    budget_init(&budget, 100000);
    c = client_new(HEAD_MAX, &budget, &CB, &r);
    CHECK_INT(feed_all(c, "HTTP/1.1 103 Early Hints\r\nX: ", "x", 6000, "\r\n\r\n"), ERR_OK);
    CHECK_INT(feed_all(c, "HTTP/1.1 200 OK\r\nX: ", "x", 6000, "\r\n\r\n"), ERR_OK);
    CHECK(budget_used(&budget) > 6000);
    client_free(&c);
    CHECK_INT(budget_used(&budget), 0);
    budget_init(&budget, 5000);
    c = client_new(HEAD_MAX, &budget, &CB, &r);
    CHECK_INT(feed_all(c, "HTTP/1.1 200 OK\r\nX: ", "x", 6000, "\r\n\r\n"), ERR_MEMORY_BUDGET);
    client_free(&c);
    CHECK_INT(budget_used(&budget), 0);
    buf_fini(&r.log);
}
