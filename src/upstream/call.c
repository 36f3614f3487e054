/* SPDX-License-Identifier: MIT */
/* One attempt at one endpoint.
 *
 * A connection that rested may have been closed by the endpoint while our request was on its way. If it ends
 * at once, without a single byte of a response, the request is sent once more on a fresh connection: the
 * endpoint has not looked at it (RFC 9110 9.2.2 allows it then). Later than REPLAY_US it may well have, and
 * died of it: sending it again is then the flight's decision, which counts its attempts.
 *
 * Large bodies go out in steps of SEND_STEP, straight from the owner's memory: the next step in the next turn
 * if the kernel took the last one whole, else when the connection has drained. */
#include "upstream/call.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "upstream/connect.h"

#define SEND_STEP (64 * 1024)
#define REPLAY_US CLOCK_SECOND_US /* a round trip, generously */

struct call {
    struct pool *pool;
    struct call_opts opts;
    const struct call_cb *cb;
    void *ud;
    struct connect *connect; /* while connecting */
    struct stream *stream;
    struct client *client;
    size_t piece, offset;          /* next byte of the body to send */
    struct timer more;             /* goes on with the body */
    int64_t last_byte_us, born_us; /* born: the connection */
    bool reused, answered, paused, over;
    struct afterwards afterwards;
};

static void on_connected(void *ud, enum err e, struct stream *s);

/* -- the end --------------------------------------------------------------------------------------------- */

static void free_call(struct afterwards *a)
{
    struct call *c = CONTAINER_OF(a, struct call, afterwards);

    client_free(&c->client);
    mem_free(c);
}

static void release(struct call *c)
{
    ASSERT(!c->over);
    c->over = true;
    timer_stop(&c->pool->loop->wheel, &c->more);
    connect_cancel(&c->connect);
    stream_close(&c->stream);
    loop_defer(c->pool->loop, &c->afterwards, free_call);
}

enum call_step call_step(const struct call *c)
{
    if (c->answered)
        return CALL_ANSWERED;
    return c->stream != NULL ? CALL_SENT : CALL_CONNECTING;
}

static void end(struct call *c, enum err why)
{
    const struct call_cb *cb = c->cb;
    void *ud = c->ud;
    enum call_step step = call_step(c);

    release(c);
    cb->on_end(ud, why, step);
}

void call_cancel(struct call **cp)
{
    struct call *c = *cp;

    *cp = NULL;
    if (c != NULL)
        release(c);
}

/* -- sending --------------------------------------------------------------------------------------------- */

static bool all_sent(const struct call *c)
{
    return c->piece == c->opts.request.body_n;
}

bool call_is_sent(const struct call *c)
{
    return c->stream != NULL && all_sent(c) && stream_pending(c->stream) == 0;
}

static void send_more(struct call *c)
{
    const struct client_request *rq = &c->opts.request;
    size_t room = SEND_STEP;

    while (room > 0 && !all_sent(c)) {
        struct slice rest = slice_from(rq->body[c->piece], c->offset);
        size_t n = rest.n < room ? rest.n : room;

        stream_send(c->stream, (struct slice){rest.p, n});
        room -= n;
        c->offset += n;
        if (n == rest.n) {
            c->piece++;
            c->offset = 0;
        }
    }
    if (!all_sent(c)) /* on_drain does not come when the kernel takes it all at once: look in the next turn */
        timer_set(&c->pool->loop->wheel, &c->more, 0); /* not at now_us: that may be a tick later */
}

static void on_more(struct timer *t)
{
    struct call *c = CONTAINER_OF(t, struct call, more);

    if (c->stream == NULL)
        return;
    if (stream_pending(c->stream) == 0)
        send_more(c);
    else if (stream_is_dirty(
                 c->stream)) /* begun in this very turn, before its timers: nothing was tried yet */
        timer_set(&c->pool->loop->wheel, &c->more, 0);
}

static void send_request(struct call *c)
{
    struct client_request rq = c->opts.request;

    rq.whole_url = pool_sends_urls(c->pool);
    if (rq.whole_url)
        rq.proxy_authorization = c->pool->opts.proxy.authorization;
    c->last_byte_us = c->pool->loop->now_us;
    c->piece = c->offset = 0;
    if (rq.body_bytes <= SEND_STEP) {
        client_send(c->stream, &rq);
        c->piece = rq.body_n;
        return;
    }
    rq.body_n = 0; /* the head says body_bytes; the pieces follow as the connection drains */
    client_send(c->stream, &rq);
    send_more(c);
}

/* -- reading --------------------------------------------------------------------------------------------- */

static void finish(struct call *c)
{
    if (client_can_reuse(c->client) && call_is_sent(c))
        pool_give(c->pool, &c->stream, c->born_us);
    end(c, ERR_OK);
}

static void on_data(void *ud, struct slice bytes)
{
    struct call *c = ud;
    uint64_t short_n = mem_short_n();
    enum err e;

    c->answered = true;
    c->last_byte_us = c->pool->loop->now_us;
    e = client_feed(c->client, bytes);
    if (c->over)
        return;
    if (e == ERR_OK && mem_short_n() != short_n)
        e = ERR_EXHAUSTED;
    if (e != ERR_OK)
        end(c, e);
    else if (client_complete(c->client))
        finish(c);
}

static void on_drain(void *ud)
{
    struct call *c = ud;

    c->last_byte_us = c->pool->loop->now_us; /* the endpoint takes our body: it is alive */
    send_more(c);
}

/* Whether the connection had ended before our request reached it. */
static bool was_stale(const struct call *c)
{
    return c->reused && !c->answered && c->pool->loop->now_us - c->last_byte_us < REPLAY_US;
}

static void on_close(void *ud, enum err why)
{
    struct call *c = ud;
    enum err e;

    if (was_stale(c)) {
        stream_close(&c->stream);
        c->reused = false;
        c->connect = connect_start(c->pool, c->opts.hurry, on_connected, c);
        return;
    }
    if (why == ERR_TLS) /* TLS 1.3 tells of a missing client certificate only now */
        snprintf(c->pool->why, sizeof c->pool->why, "%s", tls_why(c->stream));
    e = why == ERR_EOF ? client_eof(c->client) : why;
    if (c->over)
        return;
    end(c, e);
}

static const struct stream_cb CALL_CB = {NULL, on_data, on_drain, on_close};

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct call *c = ud;
    enum err e = c->cb->on_head(c->ud, rs);

    return c->over ? ERR_CANCELLED : e;
}

static enum err on_body(void *ud, struct slice bytes)
{
    struct call *c = ud;
    enum err e = c->cb->on_body(c->ud, bytes);

    return c->over ? ERR_CANCELLED : e;
}

static const struct client_cb CLIENT_CB = {on_head, on_body, NULL};

/* -- beginning ------------------------------------------------------------------------------------------- */

static void attach(struct call *c, struct stream *s)
{
    c->stream = s;
    stream_set_cb(s, &CALL_CB, c);
    if (c->paused)
        stream_pause(s);
    send_request(c);
}

static void on_connected(void *ud, enum err e, struct stream *s)
{
    struct call *c = ud;

    uint64_t short_n = mem_short_n();

    c->connect = NULL;
    c->born_us = c->pool->loop->now_us;
    if (e == ERR_OK)
        attach(c, s);
    if (e == ERR_OK && mem_short_n() != short_n)
        e = ERR_EXHAUSTED;
    if (e != ERR_OK)
        end(c, e);
}

struct call *call_start(struct pool *pool, const struct call_opts *opts, const struct call_cb *cb, void *ud)
{
    struct call *c = MEM_NEW(struct call);
    struct stream *s = pool_take(pool, &c->born_us);

    c->pool = pool;
    c->opts = *opts;
    c->cb = cb;
    c->ud = ud;
    timer_init(&c->more, on_more);
    c->client = client_new(opts->head_max, pool->loop->budget, &CLIENT_CB, c);
    if (s != NULL) {
        c->reused = true;
        attach(c, s);
    } else {
        c->connect = connect_start(pool, opts->hurry, on_connected, c);
    }
    return c;
}

struct stream *call_source(struct call *c)
{
    if (c->stream != NULL) {
        stream_touches(c->stream, c, 0, sizeof *c);
        client_touched_by(c->client, c->stream);
    }
    return c->stream;
}

void call_pause(struct call *c)
{
    c->paused = true;
    if (c->stream != NULL)
        stream_pause(c->stream);
}

void call_resume(struct call *c)
{
    c->paused = false;
    if (c->stream != NULL)
        stream_resume(c->stream);
}

int64_t call_last_byte_us(const struct call *c)
{
    return c->last_byte_us;
}
