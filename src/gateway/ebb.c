/* SPDX-License-Identifier: MIT */
/* Watching the tides: a peak, a fall to a quarter of it that lasts, and then a walk of small steps.
 *
 * How many steps a walk has follows from the peak alone and not from what is found, so that a seed repeats a
 * virtual run whatever the heap looks like. */
#include "gateway/ebb.h"

#include "base/clock.h"
#include "gateway/worker.h"

#define FEWEST 400                     /* fewer leave no more than a few MiB */
#define FALL 4                         /* to this part of the peak */
#define LASTS_US (2 * CLOCK_SECOND_US) /* tails of calls end meanwhile */
#define STEP_US (2 * CLOCK_MS_US)      /* a step takes a third of that, or less */
#define ONE_BYTES ((size_t)64 * 1024)  /* a walk looks through so much for each: twice what TLS takes */

static size_t level(const struct worker *w, enum tide c)
{
    return c == TIDE_CLIENTS ? w->conns_n + w->exchanges_n : w->ebb.resting_n;
}

static bool has_fallen(const struct worker *w)
{
    for (enum tide c = 0; c < TIDES_N; c++) {
        if (w->ebb.peak[c] >= FEWEST && level(w, c) * FALL <= w->ebb.peak[c])
            return true;
    }
    return false;
}

static void begin_walk(struct ebb *e, struct worker *w)
{
    size_t bytes = (e->peak[TIDE_CLIENTS] + e->peak[TIDE_RESTING]) * ONE_BYTES;

    for (enum tide c = 0; c < TIDES_N; c++)
        e->peak[c] = level(w, c);
    e->steps_n = e->steps_left = 2 * (bytes / SHED_STEP_BYTES + 1);
    shed_init(&e->shed);
}

static void step(struct ebb *e, struct worker *w)
{
    if (e->steps_left > e->steps_n / 2)
        shed_step(&e->shed);
    else
        shed_put_back(&e->shed);
    e->steps_left--;
    if (e->steps_left > 0) {
        timer_set(&w->loop->wheel, &e->timer, w->loop->now_us + STEP_US);
        return;
    }
    shed_fini(&e->shed);
    e->done_n++;
    ebb_note(w);
}

static void on_timer(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, ebb.timer);
    struct ebb *e = &w->ebb;

    if (e->steps_left == 0) {
        e->waits = false;
        if (!has_fallen(w))
            return;
        begin_walk(e, w);
    }
    step(e, w);
}

void ebb_init(struct worker *w)
{
    w->ebb = (struct ebb){0};
    timer_init(&w->ebb.timer, on_timer);
}

void ebb_fini(struct worker *w)
{
    timer_stop(&w->loop->wheel, &w->ebb.timer);
    shed_fini(&w->ebb.shed);
}

void ebb_note(struct worker *w)
{
    struct ebb *e = &w->ebb;

    for (enum tide c = 0; c < TIDES_N; c++) {
        if (level(w, c) > e->peak[c])
            e->peak[c] = level(w, c);
    }
    if (e->waits || e->steps_left > 0 || !has_fallen(w))
        return;
    e->waits = true;
    timer_set(&w->loop->wheel, &e->timer, w->loop->now_us + LASTS_US);
}

void ebb_note_resting(void *ud, int change)
{
    struct worker *w = ud;

    w->ebb.resting_n += (size_t)change;
    ebb_note(w);
}
