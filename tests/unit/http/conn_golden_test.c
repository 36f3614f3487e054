/* SPDX-License-Identifier: MIT */
/* Requests as a connection reads them: golden inputs, whole, at every cut, and byte by byte. */
#include <stdio.h>

#include "base/buf.h"
#include "http/conn.h"
#include "support/golden.h"
#include "support/mem_stream.h"
#include "tap.h"

#define LOG_MAX (1 << 20)
#define INPUT_MAX 4096

struct replay {
    struct loop loop;
    struct mem_stream peer;
    struct conn *conn; /* NULL when it is over */
    struct buf log, body;
};

static const struct conn_limits LIMITS = {
    .head_max = 8192,
    .pipeline_max = 65536,
    .head_us = 1000000,
    .body_us = 1000000,
    .idle_us = 1000000,
    .write_us = 1000000,
};

static void log_bytes(struct replay *r, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '\t')
            (void)buf_printf(&r->log, "\\t");
        else
            (void)buf_printf(&r->log, c < 32 || c > 126 ? "\\x%02x" : "%c", c);
    }
}

static void *on_request(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    struct replay *r = owner;

    (void)c;
    (void)arena;
    (void)buf_printf(&r->log, "request ");
    log_bytes(r, rq->method_text);
    (void)buf_printf(&r->log, " ");
    log_bytes(r, rq->path);
    if (rq->query.n > 0) {
        (void)buf_printf(&r->log, " query ");
        log_bytes(r, rq->query);
    }
    (void)buf_printf(&r->log, "%s length=%lld%s\n", rq->minor == 0 ? " minor 0" : "",
                     (long long)rq->content_length, rq->keep_alive ? " keep-alive" : "");
    CHECK(rq->has_body == (rq->content_length != 0));
    for (size_t i = 0; i < rq->headers_n; i++) {
        (void)buf_printf(&r->log, "header ");
        log_bytes(r, rq->headers[i].name);
        (void)buf_printf(&r->log, ": ");
        log_bytes(r, rq->headers[i].value);
        (void)buf_printf(&r->log, "\n");
    }
    r->body.n = 0;
    return r;
}

static void on_body(void *user, struct slice bytes)
{
    CHECK_INT(buf_add(&((struct replay *)user)->body, bytes), ERR_OK);
}

static void log_body(struct replay *r)
{
    (void)buf_printf(&r->log, " [");
    log_bytes(r, buf_slice(&r->body));
    (void)buf_printf(&r->log, "]\n");
}

static void on_complete(void *user)
{
    struct replay *r = user;

    (void)buf_printf(&r->log, "complete");
    log_body(r);
    conn_respond(r->conn, 200, NULL, 0, SLICE("ok"));
}

static void on_gone(void *user, enum err why)
{
    struct replay *r = user;

    (void)buf_printf(&r->log, "gone %s", err_row(why)->name);
    log_body(r);
}

static void on_refused(void *owner, struct conn *c, enum err why)
{
    struct replay *r = owner;

    (void)buf_printf(&r->log, "refused %s\n", err_row(why)->name);
    conn_respond(c, err_row(why)->status, NULL, 0, SLICE("no"));
}

static void on_conn_closed(void *owner, struct conn *c)
{
    (void)c;
    ((struct replay *)owner)->conn = NULL;
}

static const struct conn_handler HANDLER = {
    .on_request = on_request,
    .on_body = on_body,
    .on_complete = on_complete,
    .on_gone = on_gone,
    .on_refused = on_refused,
    .on_conn_closed = on_conn_closed,
};

static void feed(struct replay *r, const char *p, size_t n)
{
    char *copy = tap_guard(p, n);

    mem_turn(&r->peer, 0, (struct slice){copy, n});
    tap_guard_free(copy, n);
}

static const char *state_of(struct replay *r)
{
    size_t logged = r->log.n;

    if (r->conn == NULL)
        return r->peer.finished ? "finished" : "closed";
    conn_drain(r->conn); /* ends an idle connection at once, and only that */
    if (r->conn == NULL)
        return r->log.n == logged ? "idle" : "idle, but it said something";
    conn_close(r->conn);
    r->log.n = logged; /* the owner of an unfinished body hears of it */
    return "reading";
}

static bool replay(const struct golden_case *c, const size_t *cuts, size_t cuts_n)
{
    struct replay r = {0};
    size_t at = 0;
    bool same;

    mem_loop_init(&r.loop);
    mem_stream_init(&r.peer, &r.loop, LOG_MAX);
    buf_init(&r.log, LOG_MAX, NULL);
    buf_init(&r.body, LOG_MAX, NULL);
    r.conn = conn_new(&r.peer.stream, NULL, &LIMITS, &HANDLER, &r);
    for (size_t i = 0; i <= cuts_n; i++) {
        size_t end = i < cuts_n ? cuts[i] : c->in_n;

        feed(&r, c->in + at, end - at);
        at = end;
    }
    (void)buf_printf(&r.log, "%s\n", state_of(&r));
    mem_turn(&r.peer, 0, SLICE_NONE);
    same = slice_eq(buf_slice(&r.log), slice_of(c->log));
    if (!same) {
        printf("# %s (first cut %zu of %zu)\n", c->name, cuts_n > 0 ? cuts[0] : 0, cuts_n);
        CHECK_MEM(r.log.p, r.log.n, c->log, strlen(c->log));
    }
    mem_loop_fini(&r.loop);
    mem_stream_fini(&r.peer);
    buf_fini(&r.log);
    buf_fini(&r.body);
    return same;
}

static void replay_file(const char *path)
{
    struct golden g;
    size_t all[INPUT_MAX];

    golden_load(&g, path);
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

TEST(understood_requests_at_every_cut)
{
    replay_file("http/understood.md");
}

TEST(refused_requests_at_every_cut)
{
    replay_file("http/refused.md");
}
