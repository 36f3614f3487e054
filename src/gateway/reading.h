/* SPDX-License-Identifier: MIT */
/* Reading a large request: a helper thread checks the body, so that the worker's loop goes on meanwhile.
 *
 * The reading owns body and results until it is over: a client that leaves in between leaves them behind. */
#ifndef GATEWAY_READING_H
#define GATEWAY_READING_H

#include "gateway/exchange.h"

struct reading;

/* Takes ex->body over and begins. exchange_was_read comes later, unless reading_forget was called. */
void reading_start(struct exchange *ex, const struct surface *surface);
/* The exchange is over. *r becomes NULL; NULL is fine. */
void reading_forget(struct reading **r);

#endif
