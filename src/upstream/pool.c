/* SPDX-License-Identifier: MIT */
/* Idle connections of one worker to one endpoint.
 *
 * Why per worker: no lock, and a connection never changes its loop. Last in, first out: the warm end of the
 * list serves, the cold end times out. A resting connection that receives anything, or ends, is dropped:
 * nobody asked. One that has lived for age_us is not used again, so that an endpoint whose addresses have
 * changed is not called at the old ones for ever (its name is looked up with every new connection). */
#include "upstream/pool.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "upstream/connect.h"

#define DROPS_MAX 16 /* by one call; a new connection is cheaper than to close more */

struct resting {
    struct list node;
    struct pool *pool;
    struct stream *stream;
    int64_t since_us, born_us;
};

static void count(struct pool *p, int change)
{
    p->idle_n += (size_t)change;
    if (p->opts.note != NULL)
        p->opts.note(p->opts.ud, change);
}

static void drop(struct resting *r)
{
    list_remove(&r->node);
    count(r->pool, -1);
    stream_close(&r->stream);
    mem_free(r);
}

static void on_data(void *ud, struct slice bytes)
{
    (void)bytes;
    drop(ud);
}

static void on_close(void *ud, enum err why)
{
    (void)why;
    drop(ud);
}

static const struct stream_cb RESTING_CB = {NULL, on_data, NULL, on_close};

static struct resting *resting_of(struct list *n)
{
    return CONTAINER_OF(n, struct resting, node);
}

static void on_sweep(struct timer *t)
{
    struct pool *p = CONTAINER_OF(t, struct pool, sweep);
    int64_t oldest = p->loop->now_us - p->opts.idle_us;

    for (int i = 0; i < TURN_ENDS && !list_empty(&p->idle) && resting_of(p->idle.prev)->since_us <= oldest;
         i++)
        drop(resting_of(p->idle.prev));
    if (!list_empty(&p->idle))
        timer_set(&p->loop->wheel, t, clock_add(resting_of(p->idle.prev)->since_us, p->opts.idle_us));
}

static void choose_way(struct pool *p)
{
    const struct pool_opts *o = &p->opts;
    bool is_ip6 = strchr(o->host, ':') != NULL;

    p->host = (struct dial_host){.name = o->host, .port = o->port};
    if (o->at.n > 0)
        p->host.at = &o->at;
    if (o->proxy.host == NULL)
        return;
    p->host = (struct dial_host){.name = o->proxy.host, .port = o->proxy.port};
    if (o->tls != NULL)
        snprintf(p->tunnel_to, sizeof p->tunnel_to, "%s%s%s:%u", is_ip6 ? "[" : "", o->host,
                 is_ip6 ? "]" : "", (unsigned)o->port);
}

void pool_init(struct pool *p, struct loop *loop, const struct pool_opts *opts)
{
    *p = (struct pool){.loop = loop, .opts = *opts, .last_failure = ERR_REFUSED};
    list_init(&p->idle);
    list_init(&p->waiting);
    timer_init(&p->sweep, on_sweep);
    timer_init(&p->reopen, connect_on_reopen);
    gate_init(&p->gate);
    choose_way(p);
    if (opts->tls != NULL)
        p->sessions = tls_sessions_new();
}

void pool_fini(struct pool *p)
{
    while (!list_empty(&p->idle))
        drop(resting_of(p->idle.next));
    timer_stop(&p->loop->wheel, &p->sweep);
    timer_stop(&p->loop->wheel, &p->reopen);
    tls_sessions_free(&p->sessions);
    ASSERT(list_empty(&p->waiting) && p->gate.busy_n == 0);
}

static bool is_too_old(const struct pool *p, int64_t born_us)
{
    return p->opts.age_us > 0 && p->loop->now_us - born_us >= p->opts.age_us;
}

static bool has_old_first(const struct pool *p)
{
    return !list_empty(&p->idle) && is_too_old(p, resting_of(p->idle.next)->born_us);
}

struct stream *pool_take(struct pool *p, int64_t *born_us)
{
    struct list *n;
    struct resting *r;
    struct stream *s;

    for (int i = 0; i < DROPS_MAX && has_old_first(p); i++)
        drop(resting_of(p->idle.next));
    if (list_empty(&p->idle) || has_old_first(p))
        return NULL;
    n = list_pop_front(&p->idle);
    r = resting_of(n);
    s = r->stream;
    *born_us = r->born_us;
    count(p, -1);
    mem_free(r);
    return s;
}

bool pool_sends_urls(const struct pool *p)
{
    return p->opts.proxy.host != NULL && p->opts.tls == NULL;
}

uint64_t pool_take_connects(struct pool *p)
{
    uint64_t n = p->host.attempts_n;

    p->host.attempts_n = 0;
    return n;
}

void pool_give(struct pool *p, struct stream **sp, int64_t born_us)
{
    struct resting *r;

    if (p->idle_n >= p->opts.idle_max || stream_pending(*sp) > 0 || is_too_old(p, born_us)) {
        stream_close(sp);
        return;
    }
    r = MEM_NEW(struct resting);
    list_init(&r->node);
    r->pool = p;
    r->stream = *sp;
    r->since_us = p->loop->now_us;
    r->born_us = born_us;
    *sp = NULL;
    stream_set_cb(r->stream, &RESTING_CB, r);
    stream_resume(r->stream);
    list_push_front(&p->idle, &r->node);
    count(p, 1);
    if (!timer_is_set(&p->sweep))
        timer_set(&p->loop->wheel, &p->sweep, clock_add(r->since_us, p->opts.idle_us));
}
