/* SPDX-License-Identifier: MIT */
/* Making one connection to an endpoint.
 *
 * The addresses of a name are tried one after the other; while others remain, each gets an equal share of the
 * time that is left, so that a first address that swallows packets does not use up the whole bound. */
#include "upstream/connect.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define ADDRS_MAX 8

struct connect {
    struct pool *pool;
    connect_cb cb;
    void *ud;
    struct lookup *lookup;
    struct stream *stream;
    struct addr addrs[ADDRS_MAX];
    size_t addrs_n, next;
    struct timer timer; /* of the present address, or of the look-up */
    int64_t deadline_us;
    enum err last; /* why the last address failed */
    struct afterwards afterwards;
};

static void free_connect(struct afterwards *a)
{
    mem_free(CONTAINER_OF(a, struct connect, afterwards));
}

static void release(struct connect *c)
{
    struct loop *l = c->pool->loop;

    timer_stop(&l->wheel, &c->timer);
    if (c->lookup != NULL)
        l->ops->lookup_cancel(&c->lookup);
    stream_close(&c->stream);
    loop_defer(l, &c->afterwards, free_connect);
}

static void finish(struct connect *c, enum err e)
{
    connect_cb cb = c->cb;
    void *ud = c->ud;
    struct stream *s = NULL;

    if (e == ERR_OK) {
        s = c->stream;
        c->stream = NULL;
    }
    release(c);
    cb(ud, e, s);
}

static void try_next(struct connect *c);

static void on_open(void *ud)
{
    finish(ud, ERR_OK);
}

static void on_close(void *ud, enum err why)
{
    struct connect *c = ud;

    if (why == ERR_TLS)
        snprintf(c->pool->why, sizeof c->pool->why, "%s", tls_why(c->stream));
    c->last = why == ERR_EOF || why == ERR_SYSTEM ? ERR_REFUSED : why;
    stream_close(&c->stream);
    try_next(c);
}

static const struct stream_cb OPENING_CB = {on_open, NULL, NULL, on_close};

static void try_next(struct connect *c)
{
    struct loop *l = c->pool->loop;
    int64_t left = c->deadline_us - l->now_us;
    struct stream *s;

    if (left <= 0 || c->next == c->addrs_n) {
        finish(c, left <= 0 ? ERR_TIMEOUT : c->last);
        return;
    }
    timer_set(&l->wheel, &c->timer, l->now_us + left / (int64_t)(c->addrs_n - c->next));
    s = l->ops->connect(l, &c->addrs[c->next++], l->pending_max);
    if (c->pool->opts.tls != NULL)
        s = tls_wrap(&s, c->pool->opts.tls, c->pool->opts.host);
    stream_set_cb(s, &OPENING_CB, c);
    c->stream = s;
    c->pool->connects_n++;
}

static void on_timer(struct timer *t)
{
    struct connect *c = CONTAINER_OF(t, struct connect, timer);

    c->last = ERR_TIMEOUT;
    stream_close(&c->stream);
    try_next(c);
}

static void on_addresses(void *ud, enum err e, const struct addr *addrs, size_t n)
{
    struct connect *c = ud;

    c->lookup = NULL;
    c->addrs_n = n < ADDRS_MAX ? n : ADDRS_MAX;
    if (e != ERR_OK || n == 0) {
        finish(c, ERR_DNS);
        return;
    }
    memcpy(c->addrs, addrs, c->addrs_n * sizeof *addrs);
    try_next(c);
}

struct connect *connect_start(struct pool *p, connect_cb cb, void *ud)
{
    struct connect *c = MEM_NEW(struct connect);
    struct loop *l = p->loop;

    c->pool = p;
    c->cb = cb;
    c->ud = ud;
    c->last = ERR_REFUSED;
    c->deadline_us = clock_add(l->now_us, p->opts.connect_us);
    timer_init(&c->timer, on_timer);
    if (addr_of_ip(slice_of(p->opts.host), p->opts.port, &c->addrs[0])) {
        c->addrs_n = 1;
        try_next(c);
        return c;
    }
    timer_set(&l->wheel, &c->timer, c->deadline_us);
    c->lookup = l->ops->resolve(l, p->opts.host, p->opts.port, on_addresses, c);
    return c;
}

void connect_cancel(struct connect **cp)
{
    struct connect *c = *cp;

    *cp = NULL;
    if (c != NULL)
        release(c);
}
