/* SPDX-License-Identifier: MIT */
/* Who holds how many connections: a count for every network address that has any, shared by the workers.
 *
 * Split into shards, each with a lock of its own, which is taken once when a connection comes and once when
 * it goes. As many entries as connections at most, so its size is bounded by their number. Thread: any. */
#ifndef SHARED_HOLDERS_H
#define SHARED_HOLDERS_H

#include <stdint.h>

#define HOLDERS_ADDRESS_BYTES 16

struct holders;
struct holder;

struct holders *holders_new(void);
void holders_free(struct holders **c); /* everybody has left */
/* One more connection of that address; NULL when it already has `max`. The result is given back to
 * holders_leave. */
struct holder *holders_enter(struct holders *c, const unsigned char address[HOLDERS_ADDRESS_BYTES],
                             int64_t max);
void holders_leave(struct holders *c, struct holder **wp);

#endif
