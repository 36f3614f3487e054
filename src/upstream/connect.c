/* SPDX-License-Identifier: MIT */
/* Making one connection to an endpoint:
 *
 *     WAITING --gate--> DIALLING --TCP--> [TUNNEL] --200--> [HANDSHAKE] --> done
 *        |                 ^                  |                  |
 *        |                 +--- next address -+------------------+   failed, or took more than its share
 *        +--> FAILED       (behind a shut gate, with an attempt that began after we came)
 *
 * Tunnel and handshake happen on the address that won the race (dial.h). While others remain, it gets an
 * equal share of the time that is left, so that one that accepts and then says nothing does not use up the
 * whole bound. A proxy's refusal is final: its other addresses are the same proxy. */
#include "upstream/connect.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "upstream/dial.h"
#include "upstream/tunnel.h"

enum state { WAITING, DIALLING, TUNNEL, HANDSHAKE, FAILED };

struct connect {
    struct list node; /* WAITING: in pool->waiting, first come first */
    struct pool *pool;
    connect_cb cb;
    void *ud;
    enum state state;
    struct dial dial;
    struct tunnel tunnel;
    struct stream *stream; /* that has won the race */
    struct timer timer;    /* the deadline, or the end of the present address' share */
    int64_t since_us, began_us, deadline_us;
    enum err last; /* why the last address failed */
    struct afterwards afterwards;
};

static void admit_waiting(struct pool *p);

/* -- the end --------------------------------------------------------------------------------------------- */

static void free_connect(struct afterwards *a)
{
    struct connect *c = CONTAINER_OF(a, struct connect, afterwards);

    tunnel_free(&c->tunnel);
    mem_free(c);
}

static bool is_past_gate(const struct connect *c)
{
    return c->state == DIALLING || c->state == TUNNEL || c->state == HANDSHAKE;
}

static void release(struct connect *c, enum gate_end how)
{
    struct pool *p = c->pool;
    struct loop *l = p->loop;

    timer_stop(&l->wheel, &c->timer);
    list_remove(&c->node);
    tunnel_end(&c->tunnel);
    dial_end(&c->dial);
    stream_close(&c->stream);
    loop_defer(l, &c->afterwards, free_connect);
    if (!is_past_gate(c))
        return;
    gate_leave(&p->gate, how, l->now_us, &l->dice);
    admit_waiting(p);
}

/* Behind a shut gate everybody who came before a failed attempt began would have failed like it. */
static void share_failure(struct connect *failed, enum err e)
{
    struct pool *p = failed->pool;

    p->last_failure = e;
    if (!gate_is_shut(&p->gate))
        return;
    LIST_EACH_SAFE (node, next, &p->waiting) {
        struct connect *c = CONTAINER_OF(node, struct connect, node);

        if (c->since_us > failed->began_us)
            break;
        list_remove(node);
        c->state = FAILED;
        c->last = e;
        timer_set(&p->loop->wheel, &c->timer, 0); /* in a later turn: its callback may do anything */
    }
    admit_waiting(p);
}

/* What the machine lacked says nothing of the endpoint. */
static enum gate_end how_it_ended(enum err e)
{
    if (e == ERR_EXHAUSTED)
        return GATE_CANCELLED;
    return e == ERR_OK ? GATE_SUCCESS : GATE_FAILURE;
}

static void finish(struct connect *c, enum err e)
{
    connect_cb cb = c->cb;
    void *ud = c->ud;
    struct stream *s = NULL;
    bool tried = is_past_gate(c);

    if (e == ERR_OK) {
        s = c->stream;
        c->stream = NULL;
    }
    release(c, how_it_ended(e));
    if (e != ERR_OK && e != ERR_EXHAUSTED && tried)
        share_failure(c, e);
    cb(ud, e, s);
}

/* The words for the log; they name the proxy, never its credential. */
static void note_proxy(const struct connect *c, const char *what)
{
    const struct proxy *p = &c->pool->opts.proxy;

    snprintf(c->pool->why, sizeof c->pool->why, "The proxy %s:%u %s.", p->host, (unsigned)p->port, what);
}

/* What a failure of the way to the dialled host is called: behind a proxy it is the proxy's. */
static enum err blame(const struct connect *c, enum err e)
{
    if (c->pool->opts.proxy.host == NULL || c->state == HANDSHAKE || e == ERR_PROXY || e == ERR_EXHAUSTED)
        return e;
    if (e == ERR_DNS)
        note_proxy(c, "has a name that cannot be resolved");
    else if (e == ERR_TIMEOUT)
        note_proxy(c, c->state == TUNNEL ? "did not answer CONNECT in time" : "was not reached in time");
    else if (c->state == TUNNEL)
        note_proxy(c, "broke the connection off before it had answered CONNECT");
    else
        note_proxy(c, "refused the connection or cannot be reached");
    return ERR_PROXY;
}

/* The present address is no good. */
static void next_address(struct connect *c, enum err why)
{
    c->last = why;
    tunnel_end(&c->tunnel);
    stream_close(&c->stream);
    if (why == ERR_EXHAUSTED || !dial_again(&c->dial)) {
        finish(c, blame(c, why));
        return;
    }
    c->state = DIALLING;
    timer_set(&c->pool->loop->wheel, &c->timer, c->deadline_us);
}

/* -- TLS ------------------------------------------------------------------------------------------------- */

static void on_ready(void *ud)
{
    finish(ud, ERR_OK);
}

static void on_close(void *ud, enum err why)
{
    struct connect *c = ud;

    if (why == ERR_TLS)
        snprintf(c->pool->why, sizeof c->pool->why, "%s", tls_why(c->stream));
    next_address(c, why == ERR_EOF || why == ERR_SYSTEM ? ERR_REFUSED : why);
}

static const struct stream_cb HANDSHAKE_CB = {on_ready, NULL, NULL, on_close};

static void shake_hands(struct connect *c)
{
    const struct pool_opts *o = &c->pool->opts;

    if (o->tls == NULL) {
        finish(c, ERR_OK);
        return;
    }
    c->state = HANDSHAKE;
    c->stream = tls_wrap(&c->stream, o->tls, o->tls_name != NULL ? o->tls_name : o->host);
    tls_remember(c->stream, c->pool->sessions);
    stream_set_cb(c->stream, &HANDSHAKE_CB, c);
}

/* -- the proxy ------------------------------------------------------------------------------------------- */

static void on_tunnel(void *ud, enum err e, int status)
{
    struct connect *c = ud;
    char what[64];

    if (e == ERR_OK) {
        shake_hands(c);
        return;
    }
    if (status == 0) {
        next_address(c, e);
        return;
    }
    if (status == 407)
        snprintf(what, sizeof what, "wants other credentials (407 to CONNECT)");
    else
        snprintf(what, sizeof what, "answered CONNECT with %d", status);
    note_proxy(c, what);
    finish(c, ERR_PROXY);
}

static void ask_for_tunnel(struct connect *c)
{
    c->state = TUNNEL;
    tunnel_start(&c->tunnel, c->stream, &c->pool->opts.proxy, slice_of(c->pool->tunnel_to), on_tunnel, c);
}

/* -- TCP ------------------------------------------------------------------------------------------------- */

static void on_dialled(void *ud, enum err e, struct stream *s)
{
    struct connect *c = ud;
    int64_t left = c->deadline_us - c->pool->loop->now_us;

    if (e != ERR_OK) {
        finish(c, blame(c, e));
        return;
    }
    c->stream = s;
    s->acks = &c->pool->acks;
    timer_set(&c->pool->loop->wheel, &c->timer,
              c->pool->loop->now_us + left / (int64_t)(1 + dial_left(&c->dial)));
    if (c->pool->tunnel_to[0] != '\0')
        ask_for_tunnel(c);
    else
        shake_hands(c);
}

static void begin(struct connect *c)
{
    struct pool *p = c->pool;

    c->state = DIALLING;
    c->began_us = p->loop->now_us;
    timer_set(&p->loop->wheel, &c->timer, c->deadline_us);
    dial_start(&c->dial, p->loop, &p->host, on_dialled, c);
}

static void on_timer(struct timer *t)
{
    struct connect *c = CONTAINER_OF(t, struct connect, timer);

    if (c->state == FAILED)
        finish(c, c->last);
    else if (c->state == WAITING || c->pool->loop->now_us >= c->deadline_us)
        finish(c, blame(c, ERR_TIMEOUT));
    else
        next_address(c, ERR_TIMEOUT);
}

/* -- the gate -------------------------------------------------------------------------------------------- */

static void admit_waiting(struct pool *p)
{
    struct loop *l = p->loop;
    int64_t opens_us;

    while (!list_empty(&p->waiting) && gate_enter(&p->gate, l->now_us))
        begin(CONTAINER_OF(list_pop_front(&p->waiting), struct connect, node));
    opens_us = gate_opens_us(&p->gate);
    if (list_empty(&p->waiting) || opens_us == CLOCK_NEVER_US)
        timer_stop(&l->wheel, &p->reopen);
    else
        timer_set(&l->wheel, &p->reopen, opens_us);
}

void connect_on_reopen(struct timer *t)
{
    admit_waiting(CONTAINER_OF(t, struct pool, reopen));
}

static void wait_at_gate(struct connect *c, bool hurry)
{
    struct pool *p = c->pool;

    if (hurry && gate_is_shut(&p->gate)) {
        c->state = FAILED;
        c->last = p->last_failure;
        timer_set(&p->loop->wheel, &c->timer, 0);
        return;
    }
    c->state = WAITING;
    timer_set(&p->loop->wheel, &c->timer, c->deadline_us);
    list_push_back(&p->waiting, &c->node);
    admit_waiting(p);
}

struct connect *connect_start(struct pool *p, bool hurry, connect_cb cb, void *ud)
{
    struct connect *c = MEM_NEW(struct connect);

    c->pool = p;
    c->cb = cb;
    c->ud = ud;
    c->last = ERR_REFUSED;
    c->since_us = p->loop->now_us;
    c->deadline_us = clock_add(c->since_us, p->opts.connect_us);
    list_init(&c->node);
    timer_init(&c->timer, on_timer);
    if (list_empty(&p->waiting) && gate_enter(&p->gate, p->loop->now_us))
        begin(c);
    else
        wait_at_gate(c, hurry);
    return c;
}

void connect_cancel(struct connect **cp)
{
    struct connect *c = *cp;

    *cp = NULL;
    if (c != NULL)
        release(c, GATE_CANCELLED);
}
