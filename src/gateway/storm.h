/* SPDX-License-Identifier: MIT */
/* Requests that repeat what was refused: the exchange's side of shared/storms.h.
 *
 * A request is the same when its credential, its surface, its body, the headers that would go up with it and
 * the targets that it may go to are the same. Ids for tracing do not count: nobody refuses a request because
 * of them. */
#ifndef GATEWAY_STORM_H
#define GATEWAY_STORM_H

#include "gateway/exchange.h"

/* Before it counts against any limit: false when it was answered from memory, and the exchange is over. */
bool storm_pass(struct exchange *ex);
/* Its flight has ended; `body` is the request's. */
void storm_note(struct exchange *ex, struct slice body, const struct flight_end *end);

#endif
