/* SPDX-License-Identifier: MIT */
/* Who holds how many connections: a count for every network address that has any, shared by the workers.
 *
 * Split into shards, each with a lock of its own, which is taken once when a connection comes and once when
 * it goes. As many entries as connections at most, so its size is bounded by their number. Thread: any. */
#ifndef SHARED_CALLERS_H
#define SHARED_CALLERS_H

#include <stdint.h>

#define CALLERS_ADDRESS_BYTES 16

struct callers;
struct caller;

struct callers *callers_new(void);
void callers_free(struct callers **c); /* everybody has left */
/* One more connection of that address; NULL when it already has `max`. The result is given back to
 * callers_leave. */
struct caller *callers_enter(struct callers *c, const unsigned char address[CALLERS_ADDRESS_BYTES],
                             int64_t max);
void callers_leave(struct callers *c, struct caller **wp);

#endif
