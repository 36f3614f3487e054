/* SPDX-License-Identifier: MIT */
/* The connections of one worker to one endpoint: how to make one, and those that wait for their next call. */
#ifndef UPSTREAM_POOL_H
#define UPSTREAM_POOL_H

#include "io/loop.h"
#include "io/tls.h"

struct pool_opts {
    const char *host;
    uint16_t port;
    struct tls_config *tls; /* NULL: plain; shared by the workers, outlives the pool */
    int64_t connect_us;     /* longest time for name, TCP and TLS together */
    int64_t idle_us;        /* longest rest between two calls */
    size_t idle_max;        /* most connections at rest */
};

struct pool {
    struct loop *loop;
    struct pool_opts opts; /* strings borrowed */
    struct list idle;      /* newest first: the oldest may go stale */
    size_t idle_n;
    char why[160];       /* the last TLS failure's words; "": none */
    uint64_t connects_n; /* connections opened since pool_take_connects */
    struct timer sweep;  /* closes what rested too long */
};

void pool_init(struct pool *p, struct loop *loop, const struct pool_opts *opts);
void pool_fini(struct pool *p); /* closes what rests */
/* The connection that rested shortest, or NULL. The caller owns it and sets its callbacks. */
struct stream *pool_take(struct pool *p);
/* How many connections were opened since this was last asked. */
uint64_t pool_take_connects(struct pool *p);
/* Takes the stream over: it rests, or is closed when there are enough. */
void pool_give(struct pool *p, struct stream **s);

#endif
