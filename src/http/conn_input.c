/* SPDX-License-Identifier: MIT */
/* Reading requests from a client's connection.
 *
 * Reading is a loop, not a recursion: an owner may answer inside on_request, and a client may pipeline ten
 * thousand requests that are answered so. conn_end then only notes that the request is over, and the loop
 * goes on.
 *
 * What is behind the request in work is kept and read later; past pipeline_max the stream pauses. It is also
 * kept while more than HOLD_BYTES of output wait, so that a client which asks but does not read holds
 * little, and when the turn has begun as many requests as one may (io/turn.def). */
#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/conn_private.h"

#define HOLD_BYTES (64 * 1024)

/* -- refusing ------------------------------------------------------------------------------------------- */

void conn_refuse(struct conn *c, enum err why)
{
    struct conn_request *rq = c->request != NULL ? c->request : conn_request_new(c);
    bool was_running = c->running;

    rq->parser.h1.phase = H1_DONE; /* nothing more of it is read */
    c->last = true;
    c->running = true;
    if (c->handler->on_refused != NULL)
        c->handler->on_refused(c->owner, c, why);
    if (!c->over && !rq->head_sent)
        conn_respond(c, err_row(why)->status, NULL, 0, SLICE_NONE);
    ASSERT(c->over); /* on_refused answers whole or not at all */
    c->running = was_running;
}

void conn_body_broken(struct conn *c, enum err why)
{
    struct conn_request *rq = c->request;

    conn_gone(c, why);
    if (c->over)
        return;
    if (!rq->head_sent)
        conn_refuse(c, why);
    else
        conn_over(c, rq->ended);
}

/* -- one request ---------------------------------------------------------------------------------------- */

static void complete(struct conn *c)
{
    struct conn_request *rq = c->request;

    if (rq->owned)
        c->handler->on_complete(rq->user);
    else
        conn_response_over(c);
}

/* `more`: bytes of the body are here already, so the client does not wait for our permission. */
static void begin(struct conn *c, bool more)
{
    struct conn_request *rq = c->request;
    void *user;

    rq->body_us = c->loop->now_us; /* also of a body that nobody will want: it is read and dropped */
    user = c->handler->on_request(c->owner, c, &rq->parser.rq, &rq->arena);
    if (c->over || c->request != rq)
        return;
    ASSERT(user != NULL || rq->ended);
    if (rq->ended)
        return;
    rq->user = user;
    rq->owned = true;
    if (rq->parser.h1.phase == H1_DONE) {
        complete(c);
        return;
    }
    if (rq->parser.expects_continue && !more && !rq->head_sent)
        stream_send(c->stream, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
    rq->parser.expects_continue = false;
}

static enum err on_body(void *ud, struct slice bytes)
{
    struct conn *c = ud;
    struct conn_request *rq = c->request;

    if (!rq->owned)
        return ERR_OK;
    if (c->from_kept) { /* these bytes move before the turn ends */
        char *copy = loop_scratch(c->loop, bytes.n);

        memcpy(copy, bytes.p, bytes.n);
        bytes.p = copy;
    }
    c->handler->on_body(rq->user, bytes);
    return c->over || c->request != rq ? ERR_CANCELLED : ERR_OK;
}

static size_t read_body(struct conn *c, struct slice in)
{
    struct conn_request *rq = c->request;
    struct h1 *h = &rq->parser.h1;
    size_t used;
    enum err e = h1_body(h, in, &used, on_body, c);

    if (c->over || c->request != rq)
        return used;
    rq->body_n += used;
    if (e != ERR_OK) {
        conn_body_broken(c, e);
        return used;
    }
    if (rq->ended)
        rq->dropped_n += used;
    if (h->phase == H1_DONE)
        complete(c);
    else if (rq->dropped_n > CONN_DROP_MAX)
        conn_over(c, true);
    return used;
}

static size_t read_head(struct conn *c, struct slice in)
{
    struct conn_request *rq = c->request;
    uint64_t short_n = mem_short_n();
    size_t used;
    enum err e = h1_request_head(&rq->parser, in, &used);

    if (e == ERR_OK && mem_short_n() != short_n)
        e = ERR_EXHAUSTED;
    if (e != ERR_OK)
        conn_refuse(c, e);
    else if (rq->parser.h1.phase != H1_HEAD)
        begin(c, used < in.n);
    return used;
}

/* One empty line before a request is tolerated (RFC 9112 2.2); returns its bytes. What else begins with CR
 * or LF is for the parser to refuse. */
static size_t skip_blank(struct conn *c, struct slice in)
{
    size_t n = 0;

    if (!c->blank_cr && !c->blank_seen && in.p[n] == '\r') {
        c->blank_cr = true;
        n++;
    }
    if (c->blank_cr && !c->blank_seen && n < in.n) {
        c->blank_seen = true;
        if (in.p[n] == '\n')
            n++;
        else
            conn_refuse(c, ERR_BAD_REQUEST);
    }
    return n;
}

/* -- the loop ------------------------------------------------------------------------------------------- */

/* Whether this turn has begun as many requests as one may, here or in all. */
static bool is_turn_full(struct conn *c)
{
    struct turn_spent *spent = &c->loop->spent;

    if (c->turn != c->loop->turns) {
        c->turn = c->loop->turns;
        c->turn_n = 0;
    }
    if (c->turn_n >= TURN_CONN_REQUESTS || spent->requests >= TURN_REQUESTS)
        return true;
    c->turn_n++;
    spent->requests++;
    return false;
}

/* Whether the next request has to wait for output to move, or for the next turn. */
static bool hold(struct conn *c)
{
    c->held = true;
    if (stream_pending(c->stream) > HOLD_BYTES)
        conn_ensure(c,
                    c->loop->now_us); /* the next turn knows what the client did not take; on_drain follows */
    else if (is_turn_full(c))
        conn_ensure(c, 0);
    else
        c->held = false;
    return c->held;
}

static void begin_request(struct conn *c)
{
    uint64_t short_n = mem_short_n();

    conn_request_new(c);
    if (mem_short_n() != short_n)
        conn_refuse(c, ERR_EXHAUSTED);
}

/* Reads what can be read now; returns the rest. */
static struct slice run(struct conn *c, struct slice in)
{
    c->running = true;
    while (!c->over && in.n > 0) {
        struct conn_request *rq = c->request;

        if (rq == NULL) {
            if (hold(c))
                break;
            in = slice_from(in, skip_blank(c, in));
            if (c->over || in.n == 0)
                break;
            begin_request(c);
        } else if (rq->parser.h1.phase == H1_HEAD) {
            in = slice_from(in, read_head(c, in));
        } else if (rq->parser.h1.phase == H1_BODY) {
            rq->last_read_us = c->loop->now_us;
            in = slice_from(in, read_body(c, in));
        } else {
            break; /* the response is being waited for */
        }
    }
    c->running = false;
    return in;
}

static void keep(struct conn *c, struct slice bytes)
{
    enum err e = buf_add(&c->kept, bytes);

    if (e != ERR_OK) {
        conn_gone(c, e);
        if (!c->over)
            conn_over(c, false);
    } else if (conn_kept(c) > c->limits->pipeline_max) {
        stream_pause(c->stream);
    }
}

void conn_read_kept(struct conn *c)
{
    struct slice rest = slice_from(buf_slice(&c->kept), c->kept_at);

    if (c->running || rest.n == 0)
        return;
    c->from_kept = true;
    rest = run(c, rest);
    c->from_kept = false;
    if (c->over)
        return;
    c->kept_at = c->kept.n - rest.n;
    if (rest.n == 0) {
        buf_fini(&c->kept);
        c->kept_at = 0;
    } else if (c->kept_at > c->kept.n / 2) {
        buf_drop_front(&c->kept, c->kept_at);
        c->kept_at = 0;
    }
    if (rest.n <= c->limits->pipeline_max)
        stream_resume(c->stream);
}

void conn_read(struct conn *c, struct slice bytes)
{
    if (conn_kept(c) > 0) {
        keep(c, bytes);
        return;
    }
    bytes = run(c, bytes);
    if (!c->over && bytes.n > 0)
        keep(c, bytes);
}
