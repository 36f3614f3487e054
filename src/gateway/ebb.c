/* SPDX-License-Identifier: MIT */
/* Watching the tide: a peak, a fall to a quarter of it that lasts, and then one task for a helper. */
#include "gateway/ebb.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/worker.h"

#define CROWD 400                      /* fewer leave no more than a few MiB */
#define FALL 4                         /* to this part of the peak */
#define LASTS_US (2 * CLOCK_SECOND_US) /* connections to endpoints and tails of calls end meanwhile */

static size_t level(const struct worker *w)
{
    return w->conns_n + w->exchanges_n;
}

static bool has_fallen(const struct worker *w)
{
    return w->ebb.peak >= CROWD && level(w) * FALL <= w->ebb.peak;
}

static void on_work(struct task *t)
{
    (void)t;
    mem_give_back();
}

static void on_done(struct task *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, ebb.task);

    w->ebb.works = false;
    w->ebb.done_n++;
    worker_note_idle(w);
}

static void on_timer(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, ebb.timer);

    w->ebb.waits = false;
    if (!has_fallen(w) || w->ebb.works)
        return;
    w->ebb.peak = level(w);
    w->ebb.works = true;
    loop_offload(w->loop, &w->ebb.task);
}

void ebb_init(struct worker *w)
{
    w->ebb = (struct ebb){.task = {.work = on_work, .done = on_done}};
    timer_init(&w->ebb.timer, on_timer);
}

void ebb_fini(struct worker *w)
{
    ASSERT(!w->ebb.works);
    timer_stop(&w->loop->wheel, &w->ebb.timer);
}

void ebb_note(struct worker *w)
{
    if (level(w) > w->ebb.peak)
        w->ebb.peak = level(w);
    if (w->ebb.waits || !has_fallen(w))
        return;
    w->ebb.waits = true;
    timer_set(&w->loop->wheel, &w->ebb.timer, w->loop->now_us + LASTS_US);
}
