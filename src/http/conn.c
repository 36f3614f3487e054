/* SPDX-License-Identifier: MIT */
/* The life of a client's connection, and its clocks.
 *
 * One timer per connection, lazy: nothing of an ordinary request touches it. It is moved only when something
 * becomes due earlier than what it is set to; when it fires it looks at what really happened and is set anew.
 *
 * The write clock looks at bytes, not at events: a client that takes a byte now and then is slow, one that
 * takes none for write_us is gone. It looks four times per write_us, so it may be a quarter late. */
#include "http/conn.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/conn_private.h"

#define ARENA_BLOCK_BYTES 4096
#define KEPT_SLACK_BYTES (1024 * 1024) /* one read may arrive whole behind pipeline_max */
#define WRITE_LOOKS 4

/* -- requests ------------------------------------------------------------------------------------------- */

struct conn_request *conn_request_new(struct conn *c)
{
    struct conn_request *rq = mem_alloc(sizeof *rq);

    memset(rq, 0, offsetof(struct conn_request, first));
    rq->loop = c->loop;
    rq->started_us = rq->last_read_us = c->loop->now_us;
    arena_init(&rq->arena, rq->first, sizeof rq->first, ARENA_BLOCK_BYTES);
    h1_request_init(&rq->parser, &rq->arena, c->limits->head_max);
    c->request = rq;
    return rq;
}

static void free_request(struct afterwards *a)
{
    struct conn_request *rq = CONTAINER_OF(a, struct conn_request, afterwards);

    arena_fini(&rq->arena);
    mem_free(rq);
}

static void drop_request(struct conn *c)
{
    if (c->request != NULL)
        loop_defer(c->loop, &c->request->afterwards, free_request);
    c->request = NULL;
}

/* -- the end -------------------------------------------------------------------------------------------- */

static void free_conn(struct afterwards *a)
{
    struct conn *c = CONTAINER_OF(a, struct conn, afterwards);

    buf_fini(&c->kept);
    mem_free(c);
}

void conn_over(struct conn *c, bool graceful)
{
    ASSERT(!c->over);
    c->over = true;
    timer_stop(&c->loop->wheel, &c->timer);
    list_remove(&c->node);
    drop_request(c);
    if (graceful)
        stream_finish(&c->stream);
    else
        stream_close(&c->stream);
    if (c->handler->on_conn_closed != NULL)
        c->handler->on_conn_closed(c->owner, c);
    loop_defer(c->loop, &c->afterwards, free_conn);
}

void conn_gone(struct conn *c, enum err why)
{
    struct conn_request *rq = c->request;

    if (rq == NULL || !rq->owned)
        return;
    rq->owned = false;
    c->handler->on_gone(rq->user, why);
}

void conn_close(struct conn *c)
{
    conn_gone(c, ERR_CANCELLED);
    conn_over(c, false);
}

void conn_drain(struct conn *c)
{
    if (c->request == NULL && conn_kept(c) == 0)
        conn_over(c, true);
    else
        c->last = true;
}

void conn_response_over(struct conn *c)
{
    const struct h1 *h = &c->request->parser.h1;

    if (h->phase == H1_BODY) { /* what the client still sends is read and dropped, within reason */
        bool long_rest = h->framing == H1_SIZED && h->left > CONN_DROP_MAX;

        if (c->last || long_rest)
            conn_over(c, true);
        return;
    }
    drop_request(c);
    if (c->last) {
        conn_over(c, true);
        return;
    }
    c->idle_us = c->loop->now_us;
    c->blank_cr = c->blank_seen = false;
    conn_ensure(c, clock_add(c->idle_us, c->limits->idle_us));
    conn_read_kept(c);
}

/* -- clocks --------------------------------------------------------------------------------------------- */

void conn_ensure(struct conn *c, int64_t due_us)
{
    if (timer_is_set(&c->timer) && due_us >= c->timer_us)
        return;
    c->timer_us = due_us;
    timer_set(&c->loop->wheel, &c->timer, due_us);
}

/* Whether output has waited for write_us without a byte of it moving. */
static bool write_stuck(struct conn *c)
{
    size_t pending = stream_pending(c->stream);
    uint64_t moved_n = c->queued_n - pending;

    if (pending == 0)
        c->blocked_us = CLOCK_NEVER_US;
    else if (c->blocked_us == CLOCK_NEVER_US || moved_n != c->moved_n)
        c->blocked_us = c->loop->now_us;
    c->moved_n = moved_n;
    return pending > 0 && c->loop->now_us - c->blocked_us >= c->limits->write_us;
}

/* When a body that comes at the slowest pace allowed would have less than what has come: later bytes move it
 * on. Looked at no earlier than the grace's end. */
static int64_t rate_due(const struct conn *c, const struct conn_request *rq)
{
    int64_t rate = c->limits->body_rate, paid_us;

    if (rate == 0)
        return CLOCK_NEVER_US;
    paid_us = (int64_t)(rq->body_n / (uint64_t)rate) * CLOCK_SECOND_US +
              (int64_t)(rq->body_n % (uint64_t)rate) * CLOCK_SECOND_US / rate;
    return clock_add(clock_add(rq->body_us, c->limits->body_grace_us), paid_us);
}

static int64_t body_due(const struct conn *c, const struct conn_request *rq)
{
    int64_t pause_us = clock_add(rq->last_read_us, c->limits->body_us), rate_us = rate_due(c, rq);

    return rate_us < pause_us ? rate_us : pause_us;
}

/* When the read clock of the present state runs out. */
static int64_t read_due(const struct conn *c)
{
    const struct conn_request *rq = c->request;

    if (rq == NULL) {
        bool busy = conn_kept(c) > 0 || stream_pending(c->stream) > 0;

        return busy ? CLOCK_NEVER_US : clock_add(c->idle_us, c->limits->idle_us);
    }
    switch (rq->parser.h1.phase) {
    case H1_HEAD:
        return clock_add(rq->started_us, c->limits->head_us);
    case H1_BODY:
        return body_due(c, rq);
    default:
        return CLOCK_NEVER_US; /* the owner's turn: it has clocks of its own */
    }
}

static void read_timed_out(struct conn *c)
{
    if (c->request == NULL)
        conn_over(c, true);
    else if (c->request->parser.h1.phase == H1_HEAD)
        conn_refuse(c, ERR_CLIENT_TIMEOUT);
    else
        conn_body_broken(c, ERR_CLIENT_TIMEOUT);
}

/* Streams say that they drained only when they were blocked. */
static void tell_drained(struct conn *c)
{
    struct conn_request *rq = c->request;

    c->drain_due = false;
    if (rq != NULL && rq->owned && c->handler->on_drain != NULL && stream_pending(c->stream) == 0)
        c->handler->on_drain(rq->user);
}

static void on_timer(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    int64_t now_us = c->loop->now_us, due_us;

    if (c->drain_due)
        tell_drained(c);
    if (!c->over && c->held)
        conn_read_kept(c);
    if (c->over)
        return;
    if (write_stuck(c)) {
        conn_gone(c, ERR_TIMEOUT);
        conn_over(c, false);
        return;
    }
    due_us = read_due(c);
    if (due_us <= now_us) {
        read_timed_out(c);
        return;
    }
    if (stream_pending(c->stream) > 0) {
        int64_t look_us = clock_add(now_us, c->limits->write_us / WRITE_LOOKS);

        due_us = look_us < due_us ? look_us : due_us;
    }
    if (due_us != CLOCK_NEVER_US)
        conn_ensure(c, due_us);
}

/* -- the stream ----------------------------------------------------------------------------------------- */

static void on_data(void *ud, struct slice bytes)
{
    struct conn *c = ud;
    const struct conn_request *rq;

    conn_read(c, bytes);
    rq = c->request;
    if (c->over || rq == NULL || rq->parser.h1.phase == H1_DONE)
        return;
    conn_ensure(c, read_due(c));
}

static void on_drain(void *ud)
{
    struct conn *c = ud;
    struct conn_request *rq = c->request;

    c->blocked_us = CLOCK_NEVER_US;
    if (rq == NULL) {
        c->idle_us = c->loop->now_us;
        conn_ensure(c, read_due(c));
        conn_read_kept(c);
    } else if (rq->owned && c->handler->on_drain != NULL) {
        c->handler->on_drain(rq->user);
    }
}

static void on_close(void *ud, enum err why)
{
    struct conn *c = ud;

    conn_gone(c, why == ERR_EOF || why == ERR_RESET ? ERR_CLIENT_GONE : why);
    if (!c->over)
        conn_over(c, false);
}

static const struct stream_cb STREAM_CB = {NULL, on_data, on_drain, on_close};

struct conn *conn_new(struct stream *s, const struct addr *peer, const struct conn_limits *limits,
                      const struct conn_handler *handler, void *owner)
{
    struct conn *c = MEM_NEW(struct conn);

    c->stream = s;
    c->loop = s->loop;
    c->limits = limits;
    c->handler = handler;
    c->owner = owner;
    if (peer != NULL)
        c->peer = *peer;
    list_init(&c->node);
    timer_init(&c->timer, on_timer);
    buf_init(&c->kept, limits->pipeline_max + KEPT_SLACK_BYTES, c->loop->budget);
    c->blocked_us = CLOCK_NEVER_US;
    c->idle_us = c->loop->now_us;
    stream_set_cb(s, &STREAM_CB, c);
    conn_ensure(c, clock_add(c->idle_us, limits->idle_us));
    return c;
}

/* -- what owners ask ------------------------------------------------------------------------------------ */

void conn_close_after(struct conn *c)
{
    c->last = true;
}

size_t conn_kept(const struct conn *c)
{
    return c->kept.n - c->kept_at;
}

size_t conn_pending(const struct conn *c)
{
    return c->over ? 0 : stream_pending(c->stream);
}

bool conn_head_sent(const struct conn *c)
{
    return c->request != NULL && c->request->head_sent;
}

bool conn_body_done(const struct conn *c)
{
    return c->request == NULL || c->request->parser.h1.phase == H1_DONE;
}

const struct addr *conn_peer(const struct conn *c)
{
    return &c->peer;
}

struct loop *conn_loop(const struct conn *c)
{
    return c->loop;
}

int64_t conn_request_started_us(const struct conn *c)
{
    return c->request != NULL ? c->request->started_us : c->loop->now_us;
}

void *conn_owner(const struct conn *c)
{
    return c->owner;
}

void conn_set_tag(struct conn *c, void *tag)
{
    c->tag = tag;
}

void *conn_tag(const struct conn *c)
{
    return c->tag;
}

struct list *conn_node(struct conn *c)
{
    return &c->node;
}

struct conn *conn_of_node(struct list *node)
{
    return CONTAINER_OF(node, struct conn, node);
}
