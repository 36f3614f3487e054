/* SPDX-License-Identifier: MIT */
/* How long a loop was held: the time from its waking to its next sleep, the longest of the last minute.
 *
 * Why: while a turn lasts, nobody else of the loop is served, so the longest turn bounds what a client may
 * wait for no reason of its own. The kernel's share counts as well: a thread that was not scheduled held its
 * loop. Why parts: a maximum that slides exactly would have to remember every turn; six parts of ten seconds
 * forget the oldest one whole, so that a turn stays in sight for fifty to sixty seconds after its end.
 *
 * Threads: one writer, the loop's own; readers on any thread. Every field is one relaxed atomic word, and a
 * part and its number share one, so that a reader never takes an old part's turn for a new one's. */
#ifndef IO_STINT_H
#define IO_STINT_H

#include <stdint.h>

#define STINT_PARTS 6
#define STINT_PART_US INT64_C(10000000)
/* A turn beyond this is a long one. What a client or provider sends must not make any (docs/bench.md). */
#define STINT_LONG_US INT64_C(5000)

struct stint {
    int64_t since_us;            /* when the turn that runs began; 0: the loop sleeps */
    uint64_t long_n;             /* turns of more than STINT_LONG_US */
    uint64_t worst[STINT_PARTS]; /* upper half: the part's number; lower half: its longest turn in us */
};

/* The loop wakes. */
static inline void stint_begin(struct stint *h, int64_t now_us)
{
    __atomic_store_n(&h->since_us, now_us, __ATOMIC_RELAXED);
}

/* It goes to sleep again; nothing when it has not woken. */
void stint_end(struct stint *h, int64_t now_us);
/* The longest turn of the last minute, in microseconds; one that still runs counts as long as it is. */
int64_t stint_max_us(const struct stint *h, int64_t now_us);
uint64_t stint_long_n(const struct stint *h);

#endif
