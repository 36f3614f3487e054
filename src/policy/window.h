/* SPDX-License-Identifier: MIT */
/* A sliding window: at most `limit` units in any span of time. Pure: the time is an argument.
 *
 *     limit 3 per second
 *          a  b  c                    d          <- what is let through
 *     -----+--+--+--------------------+--------> time
 *          |<---- span ---->|         |
 *          in here a, b and c count: a fourth is refused until `a` is a whole span old
 *
 * Why not a fixed window: it lets 2N through around each boundary. Why not a bucket: it lets N through at
 * once and then refills, so a span that begins with the burst sees almost 2N. Here no span of that length,
 * wherever it begins, ever holds more than N, and N may come at once or in any rhythm.
 *
 * What was let through is remembered as grains of equal time. Up to WINDOW_GRAINS units each has a grain of
 * its own, and the window is exact to the microsecond. A larger limit puts together what came within
 * a 250th of the span; such a grain is forgotten when its last unit is a span old, so that more than N never
 * pass and a unit comes back at most that part of the span (0.4 %) late.
 *
 * Memory: WINDOW_GRAINS grains of 16 bytes at most, allocated as they are needed. */
#ifndef POLICY_WINDOW_H
#define POLICY_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_GRAINS 256

struct grain {
    int64_t last_us; /* when its last unit came */
    int64_t n;       /* units; 0 when all were given back */
};

struct window {
    int64_t span_us, limit;
    struct grain *grains; /* a ring, oldest first */
    size_t cap, first, n;
    int64_t used;    /* units in all grains; past `limit` only by window_add without asking */
    int64_t open_us; /* when the newest grain began */
    int64_t seen_us; /* the latest time that was ever passed in */
    int64_t gone_us; /* last_us of the newest grain that was forgotten, or -1 */
};

/* limit >= 1, span_us >= 1. */
void window_init(struct window *w, int64_t span_us, int64_t limit);
void window_fini(struct window *w);
/* Changes the limit; what was let through stays counted. */
void window_set_limit(struct window *w, int64_t limit);

/* Every function below forgets first what is a span old. Times must not be negative. A `now_us` before the
 * latest one seen (another worker's clock, read a moment earlier) is taken as that one, so that what is let
 * through later is never remembered as earlier. */

/* How long until `cost` units fit: 0 now, CLOCK_NEVER_US when they are more than the limit. */
int64_t window_wait_us(struct window *w, int64_t now_us, int64_t cost);
/* Counts units, whether they fit or not (never past INT64_MAX). Returns the time under which they are
 * remembered. */
int64_t window_add(struct window *w, int64_t now_us, int64_t cost);
/* Takes back units that window_add remembered under `then_us`. Without effect once they are forgotten. */
void window_give_back(struct window *w, int64_t now_us, int64_t then_us, int64_t cost);
/* Units that would fit now: never below 0. */
int64_t window_left(struct window *w, int64_t now_us);
/* How long until nothing is counted any more, if nothing comes. */
int64_t window_reset_us(struct window *w, int64_t now_us);

#endif
