/* SPDX-License-Identifier: MIT */
/* Timers of one loop: a hierarchical wheel with 1 ms ticks (Varghese and Lauck 1987).
 *
 * Timers are coarse and lazy: something that is re-armed with every event (an idle bound) keeps its timer
 * where it is and, when it fires, looks at the real last activity and arms again. A timer never fires early;
 * it may fire up to one tick late. Due timers are first moved to a list of their own, so a callback may
 * start, stop or free any timer, itself included. */
#ifndef IO_TIMER_H
#define IO_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define WHEEL_LEVELS 6
#define WHEEL_SLOTS 64

struct timer {
    struct list node;
    int64_t due_tick;
    int where; /* level * WHEEL_SLOTS + slot while it is on the wheel, else -1 */
    void (*fire)(struct timer *t);
};

struct wheel {
    int64_t now_tick;
    uint64_t used[WHEEL_LEVELS]; /* bit per slot that is not empty */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list due;
    size_t n;
};

void wheel_init(struct wheel *w, int64_t now_us);
void timer_init(struct timer *t, void (*fire)(struct timer *t));
/* Arms or re-arms at an absolute time (past: fires at the next turn). CLOCK_NEVER_US stops it. */
void timer_set(struct wheel *w, struct timer *t, int64_t due_us);
void timer_stop(struct wheel *w, struct timer *t);
bool timer_is_set(const struct timer *t);
/* Fires what is due at now_us, at most TURN_TIMERS (io/turn.def) of them; the others are due still. Returns
 * how many fired. */
size_t wheel_advance(struct wheel *w, int64_t now_us);
/* A lower bound of the next due time, or CLOCK_NEVER_US: the loop sleeps until then at most. */
int64_t wheel_next_us(const struct wheel *w);

#endif
