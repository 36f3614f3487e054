/* SPDX-License-Identifier: MIT */
/* Idle connections of one worker to one endpoint.
 *
 * Why per worker: no lock, and a connection never changes its loop. Last in, first out: the warm end of the
 * list serves, the cold end times out. A resting connection that receives anything, or ends, is dropped:
 * nobody asked. */
#include "upstream/pool.h"

#include "base/clock.h"
#include "base/mem.h"

struct resting {
    struct list node;
    struct pool *pool;
    struct stream *stream;
    int64_t since_us;
};

static void drop(struct resting *r)
{
    list_remove(&r->node);
    r->pool->idle_n--;
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

    while (!list_empty(&p->idle) && resting_of(p->idle.prev)->since_us <= oldest)
        drop(resting_of(p->idle.prev));
    if (!list_empty(&p->idle))
        timer_set(&p->loop->wheel, t, clock_add(resting_of(p->idle.prev)->since_us, p->opts.idle_us));
}

void pool_init(struct pool *p, struct loop *loop, const struct pool_opts *opts)
{
    *p = (struct pool){.loop = loop, .opts = *opts};
    list_init(&p->idle);
    timer_init(&p->sweep, on_sweep);
}

void pool_fini(struct pool *p)
{
    while (!list_empty(&p->idle))
        drop(resting_of(p->idle.next));
    timer_stop(&p->loop->wheel, &p->sweep);
}

struct stream *pool_take(struct pool *p)
{
    struct list *n = list_pop_front(&p->idle);
    struct resting *r;
    struct stream *s;

    if (n == NULL)
        return NULL;
    r = resting_of(n);
    s = r->stream;
    p->idle_n--;
    mem_free(r);
    return s;
}

uint64_t pool_take_connects(struct pool *p)
{
    uint64_t n = p->connects_n;

    p->connects_n = 0;
    return n;
}

void pool_give(struct pool *p, struct stream **sp)
{
    struct resting *r;

    if (p->idle_n >= p->opts.idle_max || stream_pending(*sp) > 0) {
        stream_close(sp);
        return;
    }
    r = MEM_NEW(struct resting);
    list_init(&r->node);
    r->pool = p;
    r->stream = *sp;
    r->since_us = p->loop->now_us;
    *sp = NULL;
    stream_set_cb(r->stream, &RESTING_CB, r);
    stream_resume(r->stream);
    list_push_front(&p->idle, &r->node);
    p->idle_n++;
    if (!timer_is_set(&p->sweep))
        timer_set(&p->loop->wheel, &p->sweep, clock_add(r->since_us, p->opts.idle_us));
}
