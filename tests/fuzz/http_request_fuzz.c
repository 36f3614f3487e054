/* SPDX-License-Identifier: MIT */
/* A client's bytes on a connection. However they are cut, the owner hears the same; responses and requests
 * pair up; nothing is heard behind a refusal. */
#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "http/conn.h"
#include "support/mem_stream.h"

#define LOG_MAX ((size_t)1 << 22)

struct peer {
    struct loop loop;
    struct mem_stream stream;
    struct conn *conn; /* NULL when it is over */
    struct buf log;
    bool open, refused; /* a request is in work; the connection has refused one */
};

static const struct conn_limits LIMITS = {.head_max = 2048,
                                          .pipeline_max = 4096,
                                          .head_us = 1000000,
                                          .body_us = 1000000,
                                          .idle_us = 1000000,
                                          .write_us = 1000000};

static void note(struct peer *p, const char *what, struct slice s)
{
    FUZZ_CHECK(buf_printf(&p->log, "%s %zu ", what, s.n) == ERR_OK && buf_add(&p->log, s) == ERR_OK);
}

static void *on_request(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    struct peer *p = owner;

    (void)arena;
    FUZZ_CHECK(!p->open && !p->refused);
    FUZZ_CHECK((rq->path.n > 0 && rq->path.p[0] == '/') || slice_eq(rq->path, SLICE("*")));
    note(p, "request", rq->method_text);
    note(p, "path", rq->path);
    note(p, "query", rq->query);
    for (size_t i = 0; i < rq->headers_n; i++) {
        note(p, "name", rq->headers[i].name);
        note(p, "value", rq->headers[i].value);
        FUZZ_CHECK(memchr(rq->headers[i].value.p, '\n', rq->headers[i].value.n) == NULL);
    }
    if (slice_ends(rq->path, SLICE("/at-once"))) {
        conn_respond(c, 200, NULL, 0, SLICE("at once"));
        return NULL;
    }
    p->open = true;
    return p;
}

static void on_body(void *user, struct slice bytes)
{
    struct peer *p = user;

    FUZZ_CHECK(p->open && buf_add(&p->log, bytes) == ERR_OK);
}

static void on_complete(void *user)
{
    struct peer *p = user;

    FUZZ_CHECK(p->open);
    p->open = false;
    note(p, "complete", SLICE_NONE);
    conn_respond(p->conn, 200, NULL, 0, SLICE("ok"));
}

static void on_gone(void *user, enum err why)
{
    struct peer *p = user;

    FUZZ_CHECK(p->open);
    p->open = false;
    note(p, "gone", slice_of(err_row(why)->name));
}

static void on_refused(void *owner, struct conn *c, enum err why)
{
    struct peer *p = owner;

    FUZZ_CHECK(!p->open && !p->refused && err_row(why)->status >= 400);
    p->refused = true;
    note(p, "refused", slice_of(err_row(why)->name));
    conn_respond(c, err_row(why)->status, NULL, 0, SLICE("no"));
}

static void on_conn_closed(void *owner, struct conn *c)
{
    (void)c;
    ((struct peer *)owner)->conn = NULL;
}

static const struct conn_handler HANDLER = {on_request, on_body,    on_complete,   on_gone,
                                            NULL,       on_refused, on_conn_closed};

/* One turn begins so many requests at most (io/turn.def): what was kept has its turns before the peer ends,
 * which would drop it. */
static void settle(struct peer *p)
{
    size_t before;

    do {
        before = p->log.n;
        mem_turn(&p->stream, 0, SLICE_NONE);
    } while (p->conn != NULL && p->log.n != before);
}

static void run(struct peer *p, struct slice bytes, uint8_t how)
{
    struct rng dice;

    *p = (struct peer){.conn = NULL};
    rng_seed(&dice, how);
    mem_loop_init(&p->loop);
    mem_stream_init(&p->stream, &p->loop, LOG_MAX);
    buf_init(&p->log, LOG_MAX, NULL);
    p->conn = conn_new(&p->stream.stream, NULL, &LIMITS, &HANDLER, p);
    while (bytes.n > 0 && p->conn != NULL) {
        struct slice piece = fuzz_piece(&bytes, how, &dice);
        char *copy = fuzz_copy(piece);

        mem_turn(&p->stream, 0, (struct slice){copy, piece.n});
        free(copy);
    }
    settle(p);
    if (p->conn != NULL)
        mem_turn_close(&p->stream, ERR_EOF);
    if (p->conn != NULL)
        conn_close(p->conn);
    mem_turn(&p->stream, 0, SLICE_NONE);
    FUZZ_CHECK(!p->open && p->conn == NULL);
}

static void end(struct peer *p)
{
    mem_loop_fini(&p->loop);
    mem_stream_fini(&p->stream);
    buf_fini(&p->log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice bytes = {(const char *)data, n};
    uint8_t how = fuzz_byte(&bytes);
    struct peer whole, cut;

    run(&whole, bytes, 0);
    run(&cut, bytes, how > 0 ? how : 1);
    FUZZ_CHECK(slice_eq(buf_slice(&whole.log), buf_slice(&cut.log)));
    end(&whole);
    end(&cut);
    return 0;
}
