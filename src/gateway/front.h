/* SPDX-License-Identifier: MIT */
/* A worker's side of its doors: who may come in, and what becomes of him. */
#ifndef GATEWAY_FRONT_H
#define GATEWAY_FRONT_H

#include "gateway/worker.h"

/* Opens a door for every address of `listen`. `bound` (may be NULL) gets the first one's real address; when
 * it has a port, that is taken for a first address without one: the port that the first worker got. On
 * failure *which is the address at fault. */
enum err front_open(struct worker *w, struct addr *bound, const char **which);
/* Nobody comes in any more, also none of those who were about to. */
void front_close(struct worker *w);
/* A connection that came in has gone. */
void front_left(struct worker *w, struct conn *c);

#endif
