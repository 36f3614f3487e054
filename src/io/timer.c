/* SPDX-License-Identifier: MIT */
/* The timer wheel of a loop.
 *
 * Why this form: a timer's place follows from the highest 6-bit digit in which its due tick differs from the
 * present tick: that digit is its level, the digit's value its slot (the scheme of Linux' and tokio's
 * wheels). Every used slot of a level therefore lies ahead of the present one, the next event is the lowest
 * set bit of the lowest used level, and a place stays right until its slot begins. Setting and stopping are
 * O(1), advancing is O(fired + levels). */
#include "io/timer.h"

#include "base/assert.h"
#include "base/clock.h"
#include "io/turn.h"

#define DIGIT_BITS 6
#define TICK_US CLOCK_MS_US
#define SPAN_TICKS (INT64_C(1) << (DIGIT_BITS * WHEEL_LEVELS))

void wheel_init(struct wheel *w, int64_t now_us)
{
    w->now_tick = now_us / TICK_US;
    w->n = 0;
    list_init(&w->due);
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        w->used[level] = 0;
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&w->slots[level][slot]);
    }
}

void timer_init(struct timer *t, void (*fire)(struct timer *t))
{
    list_init(&t->node);
    t->due_tick = 0;
    t->where = -1;
    t->fire = fire;
}

bool timer_is_set(const struct timer *t)
{
    return !list_empty(&t->node);
}

/* Puts an unlinked timer where its due tick belongs now. */
static void place(struct wheel *w, struct timer *t)
{
    uint64_t differ = (uint64_t)t->due_tick ^ (uint64_t)w->now_tick;
    int level, slot;

    if (t->due_tick <= w->now_tick) {
        t->where = -1;
        list_push_back(&w->due, &t->node);
        return;
    }
    level = (63 - __builtin_clzll(differ)) / DIGIT_BITS;
    if (level >=
        WHEEL_LEVELS) { /* beyond the span: the last slot of the top level; placed again when that begins */
        level = WHEEL_LEVELS - 1;
        slot = WHEEL_SLOTS - 1;
    } else {
        slot = (int)(t->due_tick >> (DIGIT_BITS * level)) & (WHEEL_SLOTS - 1);
    }
    t->where = level * WHEEL_SLOTS + slot;
    w->used[level] |= UINT64_C(1) << slot;
    list_push_back(&w->slots[level][slot], &t->node);
}

static void unlink_timer(struct wheel *w, struct timer *t)
{
    list_remove(&t->node);
    if (t->where >= 0) {
        int level = t->where / WHEEL_SLOTS, slot = t->where % WHEEL_SLOTS;

        if (list_empty(&w->slots[level][slot]))
            w->used[level] &= ~(UINT64_C(1) << slot);
        t->where = -1;
    }
}

void timer_stop(struct wheel *w, struct timer *t)
{
    if (!timer_is_set(t))
        return;
    unlink_timer(w, t);
    w->n--;
}

void timer_set(struct wheel *w, struct timer *t, int64_t due_us)
{
    timer_stop(w, t);
    if (due_us == CLOCK_NEVER_US)
        return;
    if (due_us < 0)
        due_us = 0;
    t->due_tick = due_us / TICK_US + (due_us % TICK_US != 0);
    if (t->due_tick - w->now_tick >= SPAN_TICKS)
        t->due_tick = w->now_tick + SPAN_TICKS - 1;
    w->n++;
    place(w, t);
}

/* The beginning of the next used slot, or -1. */
static int64_t next_slot_tick(const struct wheel *w, int *level_out, int *slot_out)
{
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        if (w->used[level] == 0)
            continue;
        int slot = __builtin_ctzll(w->used[level]);
        int shift = DIGIT_BITS * level;
        int64_t above = (w->now_tick >> (shift + DIGIT_BITS)) << (shift + DIGIT_BITS);

        *level_out = level;
        *slot_out = slot;
        return above | ((int64_t)slot << shift);
    }
    return -1;
}

int64_t wheel_next_us(const struct wheel *w)
{
    int level, slot;
    int64_t tick;

    if (!list_empty(&w->due))
        return w->now_tick * TICK_US;
    tick = next_slot_tick(w, &level, &slot);
    return tick < 0 ? CLOCK_NEVER_US : tick * TICK_US;
}

/* Moves the clock to the beginning of a slot and places its timers again: they are due, or on a lower level.
 */
static void open_slot(struct wheel *w, int level, int slot, int64_t tick)
{
    struct list moved, *n;

    list_init(&moved);
    list_move(&moved, &w->slots[level][slot]);
    w->used[level] &= ~(UINT64_C(1) << slot);
    w->now_tick = tick;
    while ((n = list_pop_front(&moved)) != NULL)
        place(w, CONTAINER_OF(n, struct timer, node));
}

size_t wheel_advance(struct wheel *w, int64_t now_us)
{
    int64_t target = now_us / TICK_US, tick;
    struct list firing, *n = NULL;
    size_t fired = 0;
    int level, slot;

    while ((tick = next_slot_tick(w, &level, &slot)) >= 0 && tick <= target)
        open_slot(w, level, slot, tick);
    if (target > w->now_tick)
        w->now_tick = target;
    list_init(&firing);
    list_move(&firing, &w->due);
    while (fired < TURN_TIMERS && (n = list_pop_front(&firing)) != NULL) {
        struct timer *t = CONTAINER_OF(n, struct timer, node);

        w->n--;
        fired++;
        t->fire(t);
    }
    while ((n = list_pop_back(&firing)) != NULL) /* before those that have become due meanwhile */
        list_push_front(&w->due, n);
    return fired;
}
