/* SPDX-License-Identifier: MIT */
/* One connection being made: name, TCP to each address in turn, TLS; all within one bound. */
#ifndef UPSTREAM_CONNECT_H
#define UPSTREAM_CONNECT_H

#include "upstream/pool.h"

struct connect;

/* s: the open stream, whose callbacks the receiver sets; NULL on failure with ERR_DNS, ERR_REFUSED,
 * ERR_TIMEOUT, ERR_TLS, ... The connect is over and freed. */
typedef void (*connect_cb)(void *ud, enum err e, struct stream *s);

/* The callback never comes from inside this call. */
struct connect *connect_start(struct pool *p, connect_cb cb, void *ud);
void connect_cancel(struct connect **c); /* no callback comes after it */

#endif
