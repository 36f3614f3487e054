/* SPDX-License-Identifier: MIT */
/* Private to the exchange: what its story (exchange.c) and its connection (exchange_conn.c) need of each
 * other. */
#ifndef GATEWAY_EXCHANGE_PRIVATE_H
#define GATEWAY_EXCHANGE_PRIVATE_H

#include "gateway/exchange.h"

/* Drives the states until one of them waits; the exchange may be over afterwards. */
void exchange_run(struct exchange *ex);
/* What must happen exactly once for every exchange, before the connection lets go of its memory. */
void exchange_settle(struct exchange *ex, enum err e);
void exchange_on_timer(struct timer *t);
void exchange_leave(struct exchange *ex); /* the flight, if it is on one */
/* Ends this exchange alone if memory ran short since then; its own memory lives until the turn's end. */
void exchange_end_if_short(struct exchange *ex, uint64_t short_n);

#endif
