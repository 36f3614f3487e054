/* SPDX-License-Identifier: MIT */
/* The connections of one worker to one endpoint: how to make one, and those that wait for their next call. */
#ifndef UPSTREAM_POOL_H
#define UPSTREAM_POOL_H

#include "io/acks.h"
#include "io/loop.h"
#include "io/tls.h"
#include "upstream/dial.h"
#include "upstream/gate.h"
#include "upstream/tunnel.h"

struct pool_opts {
    const char *host; /* the endpoint's: a name or an address without brackets */
    uint16_t port;
    struct addr at;         /* where it is instead (a Unix socket); n 0: at host and port */
    struct tls_config *tls; /* NULL: plain; shared by the workers, outlives the pool */
    const char *tls_name;   /* name for SNI and verification; NULL: host */
    struct proxy proxy; /* reached through it: by CONNECT with TLS, else with whole URLs; host NULL: none */
    int64_t connect_us; /* longest time for gate, name, TCP, tunnel and TLS together */
    int64_t idle_us;    /* longest rest between two calls */
    int64_t age_us;     /* longest life before the last call; 0: no bound */
    size_t idle_max;    /* most connections at rest */
    void (*note)(void *ud, int change); /* so many more, or less, are at rest; or NULL */
    void *ud;
};

#define POOL_TARGET_BYTES 264 /* "host:65535", with brackets */

struct pool {
    struct loop *loop;
    struct pool_opts opts; /* strings borrowed */
    struct list idle;      /* newest first: the oldest may go stale */
    size_t idle_n;
    struct timer sweep; /* closes what rested too long */
    char why[256];      /* words of the last failure of TLS or proxy; "": none */
    /* for connect.c: */
    struct dial_host host;             /* the endpoint's, or the proxy's */
    char tunnel_to[POOL_TARGET_BYTES]; /* what CONNECT asks for; "": no tunnel */
    struct gate gate;
    struct list waiting;           /* connects that the gate holds back */
    struct timer reopen;           /* asks the gate again */
    enum err last_failure;         /* of a connect */
    struct tls_sessions *sessions; /* NULL: no TLS */
    struct acks_record acks;
};

void pool_init(struct pool *p, struct loop *loop, const struct pool_opts *opts);
void pool_fini(struct pool *p); /* closes what rests */
/* The connection that rested shortest, or NULL. The caller owns it, sets its callbacks, and gives it back
 * with the same *born_us. */
struct stream *pool_take(struct pool *p, int64_t *born_us);
/* How many connections were opened since this was last asked. */
uint64_t pool_take_connects(struct pool *p);
/* Takes the stream over: it rests, or is closed when there are enough or it is too old. born_us: when it was
 * made. */
void pool_give(struct pool *p, struct stream **s, int64_t born_us);
/* Whether requests name the whole URL, because a proxy reads them. */
bool pool_sends_urls(const struct pool *p);

#endif
