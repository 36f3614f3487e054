/* SPDX-License-Identifier: MIT */
/* For the tests of virtual io: a network with a server loop that accepts and a client loop that connects. */
#ifndef TESTS_UNIT_IO_VIRTUAL_KIT_H
#define TESTS_UNIT_IO_VIRTUAL_KIT_H

#include "io/tls.h"
#include "io/virtual.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

#define PENDING_MAX ((size_t)4 * 1024 * 1024)

/* One side of a connection and what it saw. */
struct side {
    struct stream *s;
    struct side *next; /* of a test's accepted sides */
    uint64_t hash;     /* of every byte, in order */
    size_t got_n, datas_n;
    int opens_n, drains_n, closes_n;
    enum err why;
    bool echo, close_on_data, let_go; /* let_go: closes when the peer has */
    int64_t opened_us, ended_us;
    struct loop *l;
};

static inline void side_opened(void *ud)
{
    struct side *x = ud;

    x->opens_n++;
    x->opened_us = x->l->now_us;
}

static inline void side_data(void *ud, struct slice bytes)
{
    struct side *x = ud;

    for (size_t i = 0; i < bytes.n; i++)
        x->hash = x->hash * 1099511628211U + (unsigned char)bytes.p[i];
    x->got_n += bytes.n;
    x->datas_n++;
    if (x->close_on_data)
        stream_close(&x->s);
    else if (x->echo)
        stream_send(x->s, bytes);
}

static inline void side_drained(void *ud)
{
    ((struct side *)ud)->drains_n++;
}

static inline void side_closed(void *ud, enum err why)
{
    struct side *x = ud;

    x->closes_n++;
    x->why = why;
    x->ended_us = x->l->now_us;
    if (x->let_go)
        stream_close(&x->s);
}

static const struct stream_cb SIDE_CB = {side_opened, side_data, side_drained, side_closed};

/* A network with a server loop that accepts and a client loop. */
struct world {
    struct vnet *v;
    struct loop *server, *client;
    struct listener *ls;
    struct addr at;
    struct side model;     /* what an accepted side starts as */
    struct side *accepted; /* newest first */
    int accepts_n;
    bool pause_accepted;
    struct tls_config *tls_server, *tls_client; /* NULL: plain */
    const char *host;
};

static inline void on_accept(void *ud, struct stream *s, const struct addr *peer)
{
    struct world *w = ud;
    struct side *x = MEM_NEW(struct side);

    CHECK(addr_is_loopback(peer));
    if (w->tls_server != NULL)
        s = tls_wrap(&s, w->tls_server, NULL);
    *x = w->model;
    x->s = s;
    x->l = s->loop;
    x->next = w->accepted;
    w->accepted = x;
    w->accepts_n++;
    stream_set_cb(s, &SIDE_CB, x);
    if (w->pause_accepted)
        stream_pause(s);
}

static inline void world_init(struct world *w, const struct vnet_opts *o)
{
    memset(w, 0, sizeof *w);
    w->v = vnet_new(o);
    w->server = vnet_loop(w->v, NULL, PENDING_MAX);
    w->client = vnet_loop(w->v, NULL, PENDING_MAX);
    CHECK_INT(addr_parse(SLICE("127.0.0.1:80"), &w->at), ERR_OK);
    CHECK_INT(w->server->ops->listen(w->server, &w->at, on_accept, w, &w->ls, NULL), ERR_OK);
}

static inline void connect_side(struct world *w, struct side *x)
{
    x->l = w->client;
    x->s = w->client->ops->connect(w->client, &w->at, PENDING_MAX);
    if (w->tls_client != NULL)
        x->s = tls_wrap(&x->s, w->tls_client, w->host);
    stream_set_cb(x->s, &SIDE_CB, x);
}

static inline void world_fini(struct world *w)
{
    while (w->accepted != NULL) {
        struct side *x = w->accepted;

        w->accepted = x->next;
        stream_close(&x->s);
        mem_free(x);
    }
    w->server->ops->unlisten(&w->ls);
    CHECK_INT(vnet_streams(w->v), 0);
    tls_config_free(&w->tls_server);
    tls_config_free(&w->tls_client);
    loop_free(&w->client);
    loop_free(&w->server);
    vnet_free(&w->v);
}

/* n bytes that are nowhere equal, kept until the end of the turn. */
static inline struct slice noise(struct loop *l, size_t n, uint64_t seed)
{
    char *p = loop_scratch(l, n);
    struct rng r;

    rng_seed(&r, seed);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)rng_u64(&r);
    return (struct slice){p, n};
}

static inline uint64_t hash_of(struct slice s)
{
    struct side x = {0};

    side_data(&x, s);
    return x.hash;
}

static inline void run(struct world *w)
{
    vnet_run(w->v, CLOCK_NEVER_US, NULL);
}

#endif
