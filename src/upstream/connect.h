/* SPDX-License-Identifier: MIT */
/* One connection being made: its turn at the gate, the name, TCP, the proxy's tunnel, TLS; all within one
 * bound. */
#ifndef UPSTREAM_CONNECT_H
#define UPSTREAM_CONNECT_H

#include "upstream/pool.h"

struct connect;

/* s: the open stream, whose callbacks the receiver sets; NULL on failure with ERR_DNS, ERR_REFUSED,
 * ERR_TIMEOUT, ERR_TLS, ERR_PROXY, ... pool->why then holds more words for TLS and proxy. The connect is over
 * and freed. */
typedef void (*connect_cb)(void *ud, enum err e, struct stream *s);

/* The callback never comes from inside this call. hurry: there is another endpoint to go to, so that behind a
 * shut gate (gate.h) the last failure is taken for one's own at once; otherwise the next attempt is waited
 * for. */
struct connect *connect_start(struct pool *p, bool hurry, connect_cb cb, void *ud);
void connect_cancel(struct connect **c); /* no callback comes after it */
/* For pool.c: the pool's timer `reopen`. */
void connect_on_reopen(struct timer *t);

#endif
