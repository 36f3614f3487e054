/* SPDX-License-Identifier: MIT */
/* Memory set aside for the moment in which the machine has none left.
 *
 * Most code cannot do anything sensible with an allocation that fails half way through: it would have to undo
 * what it did, and undoing is what nobody tests. So small allocations do not fail: they are served from here,
 * it is noted on the thread (mem_short_n), and at the next safe point the request that drew on the reserve is
 * ended with the row `gateway_exhausted`. Growth that a peer drives (bodies, held answers, pending output)
 * never draws on it once it is larger than RESERVE_SMALL_BYTES: there the error goes the way of every other
 * error.
 *
 * Pieces are ordinary blocks of the heap: whoever got one frees it like any other. The turn's end fills the
 * gap again as soon as the heap gives something.
 *
 * Threads: any; the lock is touched only while memory is short. */
#ifndef BASE_RESERVE_H
#define BASE_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

#define RESERVE_SMALL_BYTES ((size_t)8192)            /* of the many: a request with its arena fits */
#define RESERVE_LARGE_BYTES ((size_t)2 * 1024 * 1024) /* of the one largest piece */

/* Fills what is missing; returns whether it is whole now. Costs one load when nothing is missing. Without a
 * first reserve_open there is none, and none is missing. */
bool reserve_fill(void);
/* Sets the reserve up and fills it; false: the machine does not even have this much. */
bool reserve_open(void);
/* Gives everything back to the heap. */
void reserve_close(void);
/* A piece of at least n bytes, uninitialised; NULL: none of that size is left. */
void *reserve_take(size_t n);
/* Less than half of the small pieces are left: no time to begin anything. */
bool reserve_is_low(void);

#endif
