/* SPDX-License-Identifier: MIT */
/* For the tests of upstream: a virtual network with one loop that calls and one where a scripted endpoint
 * stands at "endpoint.test". */
#ifndef TESTS_UNIT_UPSTREAM_KIT_H
#define TESTS_UNIT_UPSTREAM_KIT_H

#include "upstream/call.h"

#include "base/budget.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/virtual.h"
#include "tap.h"

#define PENDING_MAX ((size_t)1024 * 1024)
#define MS CLOCK_MS_US
#define CONNECT_US (5 * CLOCK_SECOND_US)
#define IDLE_US (30 * CLOCK_SECOND_US)

/* -- the endpoint --------------------------------------------------------------------------------------- */

struct endpoint;

/* A connection as the endpoint sees it. */
struct peer {
    struct endpoint *of;
    struct stream *s; /* NULL: the endpoint has closed it */
    struct peer *next;
    struct buf in;
    size_t requests_n, closes_n;
    enum err why;
    struct timer go_on; /* ends a rest of reading */
};

struct endpoint {
    struct loop *l;
    struct listener *ls;
    struct peer *peers; /* newest first */
    size_t accepts_n, requests_n;
    const char *reply;                 /* to every whole request */
    void (*on_data)(struct peer *p);   /* instead of that */
    void (*on_accept)(struct peer *p); /* or NULL */
    struct tls_config *tls;            /* NULL: plain */
    int64_t rest_us;                   /* reads nothing for that long after every read */
};

static inline void peer_say(struct peer *p, const char *text)
{
    if (p->s != NULL)
        stream_send(p->s, slice_of(text));
}

#define HEAD_BYTES 4096 /* heads are smaller; bodies need not be searched */

/* Content-Length of the head in `in`, and where its body begins; false: the head is not whole. */
static inline bool peer_head(const struct peer *p, size_t *body_at, size_t *length)
{
    struct slice in = {p->in.p, p->in.n < HEAD_BYTES ? p->in.n : HEAD_BYTES},
                 name = SLICE("\r\nContent-Length: ");
    ptrdiff_t end = slice_find(in, SLICE("\r\n\r\n")), at = slice_find(in, name);
    uint64_t n = 0;

    if (end < 0)
        return false;
    *body_at = (size_t)end + 4;
    if (at >= 0 && at < end)
        CHECK(slice_to_u64(slice_cut(slice_from(in, (size_t)at + name.n), '\r', &in), UINT32_MAX, &n));
    *length = (size_t)n;
    return true;
}

static inline bool peer_has_request(const struct peer *p)
{
    size_t at, n;

    return peer_head(p, &at, &n) && p->in.n >= at + n;
}

static inline void peer_answer(struct peer *p)
{
    if (!peer_has_request(p))
        return;
    p->requests_n++;
    p->of->requests_n++;
    p->in.n = 0; /* nothing is pipelined */
    if (p->of->reply != NULL)
        peer_say(p, p->of->reply);
}

static inline void peer_rested(struct timer *t)
{
    struct peer *p = CONTAINER_OF(t, struct peer, go_on);

    if (p->s != NULL)
        stream_resume(p->s);
}

static inline void peer_on_data(void *ud, struct slice bytes)
{
    struct peer *p = ud;

    CHECK_INT(buf_add(&p->in, bytes), ERR_OK);
    if (p->of->rest_us > 0) {
        stream_pause(p->s);
        timer_set(&p->of->l->wheel, &p->go_on, p->of->l->now_us + p->of->rest_us);
    }
    if (p->of->on_data != NULL)
        p->of->on_data(p);
    else
        peer_answer(p);
}

static inline void peer_on_close(void *ud, enum err why)
{
    struct peer *p = ud;

    p->closes_n++;
    p->why = why;
    stream_close(&p->s);
}

static const struct stream_cb PEER_CB = {NULL, peer_on_data, NULL, peer_on_close};

static inline void endpoint_on_accept(void *ud, struct stream *s, const struct addr *from)
{
    struct endpoint *e = ud;
    struct peer *p = MEM_NEW(struct peer);

    (void)from;
    if (e->tls != NULL)
        s = tls_wrap(&s, e->tls, NULL);
    p->of = e;
    p->s = s;
    p->next = e->peers;
    buf_init(&p->in, (size_t)64 * 1024 * 1024, NULL);
    timer_init(&p->go_on, peer_rested);
    e->peers = p;
    e->accepts_n++;
    stream_set_cb(s, &PEER_CB, p);
    if (e->on_accept != NULL)
        e->on_accept(p);
}

/* -- both ----------------------------------------------------------------------------------------------- */

struct scene {
    struct vnet *v;
    struct loop *l; /* of whoever calls */
    struct budget budget;
    struct endpoint at;
    struct pool pool;
};

static inline void scene_listen(struct scene *s, struct endpoint *e, const char *text)
{
    struct addr at;

    CHECK_INT(addr_parse(slice_of(text), &at), ERR_OK);
    CHECK_INT(e->l->ops->listen(e->l, &at, endpoint_on_accept, e, &e->ls, NULL), ERR_OK);
    (void)s;
}

/* The endpoint answers 200 with "fine". */
static inline void scene_init_with(struct scene *s, const struct vnet_opts *net, const struct pool_opts *o)
{
    memset(s, 0, sizeof *s);
    s->v = vnet_new(net);
    budget_init(&s->budget, 1 << 30);
    s->l = vnet_loop(s->v, &s->budget, PENDING_MAX);
    s->at.l = vnet_loop(s->v, NULL, PENDING_MAX);
    s->at.reply = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
    vnet_name(s->v, "endpoint.test", "10.0.0.1");
    scene_listen(s, &s->at, "10.0.0.1:80");
    pool_init(&s->pool, s->l, o);
}

static const struct pool_opts POOL_OPTS = {
    .host = "endpoint.test", .port = 80, .connect_us = CONNECT_US, .idle_us = IDLE_US, .idle_max = 4};

static inline void scene_init(struct scene *s)
{
    scene_init_with(s, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &POOL_OPTS);
}

static inline void scene_clock(struct timer *t)
{
    (void)t;
}

/* Runs for that long. What the test does next, it does at that time. */
static inline void scene_run(struct scene *s, int64_t us)
{
    int64_t until_us = clock_add(vnet_now_us(s->v), us);

    vnet_run(s->v, until_us, NULL);
    if (vnet_now_us(s->v) < until_us) { /* nothing is to happen any more; time passes all the same */
        struct timer clock;

        timer_init(&clock, scene_clock);
        timer_set(&s->l->wheel, &clock, until_us);
        vnet_run(s->v, clock_add(until_us, MS), NULL);
        timer_stop(&s->l->wheel, &clock);
    }
    s->l->now_us = s->at.l->now_us = vnet_now_us(s->v);
}

static inline void endpoint_close(struct endpoint *e)
{
    while (e->peers != NULL) {
        struct peer *p = e->peers;

        e->peers = p->next;
        timer_stop(&e->l->wheel, &p->go_on);
        stream_close(&p->s);
        buf_fini(&p->in);
        mem_free(p);
    }
    if (e->ls != NULL)
        e->l->ops->unlisten(&e->ls);
}

/* Checks that nothing of any call is left: no byte of the budget, no stream. */
static inline void scene_fini(struct scene *s)
{
    pool_fini(&s->pool);
    scene_run(s, CLOCK_SECOND_US);
    CHECK_INT(budget_used(&s->budget), 0);
    endpoint_close(&s->at);
    scene_run(s, 3 * CLOCK_SECOND_US);
    CHECK_INT(vnet_streams(s->v), 0);
    CHECK_INT(s->l->wheel.n, 0); /* no timer is left behind */
    loop_free(&s->l);
    loop_free(&s->at.l);
    vnet_free(&s->v);
}

#endif
