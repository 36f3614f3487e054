/* SPDX-License-Identifier: MIT */
/* The sliding window: a ring of grains, the oldest first. */
#include "policy/window.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#define FIRST_CAP 8
#define WINDOW_STEPS (WINDOW_GRAINS - 4) /* grains overlap both ends of the span: a few are to spare */

void window_init(struct window *w, int64_t span_us, int64_t limit)
{
    ASSERT(span_us > 0 && limit > 0);
    *w = (struct window){.span_us = span_us, .limit = limit, .gone_us = -1};
}

void window_fini(struct window *w)
{
    mem_free(w->grains);
    *w = (struct window){0};
}

void window_set_limit(struct window *w, int64_t limit)
{
    ASSERT(limit > 0);
    w->limit = limit;
}

/* The i-th grain from the oldest. */
static struct grain *at(const struct window *w, size_t i)
{
    return &w->grains[(w->first + i) & (w->cap - 1)];
}

static struct grain *newest(const struct window *w)
{
    return at(w, w->n - 1);
}

/* Forgets what is a span old; returns the time that it is for this window. */
static int64_t advance(struct window *w, int64_t now_us)
{
    if (now_us > w->seen_us)
        w->seen_us = now_us;
    while (w->n > 0 && w->seen_us - at(w, 0)->last_us >= w->span_us) {
        w->used -= at(w, 0)->n;
        w->gone_us = at(w, 0)->last_us;
        w->first = (w->first + 1) & (w->cap - 1);
        w->n--;
    }
    return w->seen_us;
}

int64_t window_wait_us(struct window *w, int64_t now_us, int64_t cost)
{
    int64_t now = advance(w, now_us), over;

    ASSERT(cost >= 0);
    if (cost > w->limit)
        return CLOCK_NEVER_US;
    over = w->used - (w->limit - cost); /* how much has to be forgotten first */
    if (over <= 0)
        return 0;
    for (size_t i = 0; i < w->n; i++) {
        over -= at(w, i)->n;
        if (over <= 0)
            return clock_add(at(w, i)->last_us, w->span_us) - now;
    }
    return 0;
}

/* Drops the grains of which everything was given back. */
static void compact(struct window *w)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->n; i++) {
        if (at(w, i)->n > 0)
            *at(w, kept++) = *at(w, i);
    }
    w->n = kept;
}

static void grow(struct window *w)
{
    size_t cap = w->cap == 0 ? FIRST_CAP : w->cap * 2;
    struct grain *grains = mem_alloc(cap * sizeof *grains);

    for (size_t i = 0; i < w->n; i++)
        grains[i] = *at(w, i);
    mem_free(w->grains);
    w->grains = grains;
    w->cap = cap;
    w->first = 0;
}

/* Whether what comes now belongs to the newest grain. */
static bool joins_newest(const struct window *w, int64_t now)
{
    if (w->n == 0)
        return false;
    if (newest(w)->last_us == now || newest(w)->n == 0)
        return true;
    return w->limit > WINDOW_GRAINS && now - w->open_us < w->span_us / WINDOW_STEPS;
}

int64_t window_add(struct window *w, int64_t now_us, int64_t cost)
{
    int64_t now = advance(w, now_us);

    ASSERT(cost >= 0);
    if (cost > INT64_MAX - w->used)
        cost = INT64_MAX - w->used;
    if (cost == 0)
        return now;
    if (w->n == 0) /* whatever was remembered before now is gone, or was never here */
        w->gone_us = now - 1;
    if (!joins_newest(w, now) && w->n == w->cap) {
        if (w->cap < WINDOW_GRAINS)
            grow(w);
        else
            compact(w);
    }
    if (!joins_newest(w, now) && w->n < w->cap) {
        w->n++;
        newest(w)->n = 0;
    }
    if (newest(w)->n == 0)
        w->open_us = now;
    newest(w)->last_us = now;
    newest(w)->n += cost;
    w->used += cost;
    return now;
}

void window_give_back(struct window *w, int64_t now_us, int64_t then_us, int64_t cost)
{
    size_t low = 0, high;

    ASSERT(cost >= 0);
    advance(w, now_us);
    if (then_us <= w->gone_us)
        return;
    high = w->n;
    while (low < high) { /* the first grain that ends at or behind then_us */
        size_t mid = low + (high - low) / 2;

        if (at(w, mid)->last_us < then_us)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == w->n)
        return;
    if (cost > at(w, low)->n)
        cost = at(w, low)->n;
    at(w, low)->n -= cost;
    w->used -= cost;
}

int64_t window_left(struct window *w, int64_t now_us)
{
    advance(w, now_us);
    return w->used < w->limit ? w->limit - w->used : 0;
}

int64_t window_reset_us(struct window *w, int64_t now_us)
{
    int64_t now = advance(w, now_us);

    for (size_t i = w->n; i > 0; i--) {
        if (at(w, i - 1)->n > 0)
            return clock_add(at(w, i - 1)->last_us, w->span_us) - now;
    }
    return 0;
}
