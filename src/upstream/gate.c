/* SPDX-License-Identifier: MIT */
/* The window of connections in the making: halves with failures, doubles with successes. */
#include "upstream/gate.h"

#include "base/assert.h"
#include "base/clock.h"

#define WINDOW_MIN 4 /* while failures are single ones */
#define PAUSE_US (10 * CLOCK_MS_US)
#define PAUSE_DOUBLINGS_MAX 5
#define PAUSE_MAX_US (250 * CLOCK_MS_US)

void gate_init(struct gate *g)
{
    *g = (struct gate){.window = GATE_WINDOW_MAX};
}

bool gate_enter(struct gate *g, int64_t now_us)
{
    if (g->busy_n >= g->window || now_us < g->next_us)
        return false;
    g->busy_n++;
    return true;
}

static void succeed(struct gate *g)
{
    g->failures_n = 0;
    g->next_us = 0;
    g->window = g->window < GATE_WINDOW_MAX / 2 ? g->window * 2 : GATE_WINDOW_MAX;
}

/* Half to the whole of the pause, so that the workers do not come in step. */
static int64_t pause_us(unsigned failures_n, struct rng *dice)
{
    unsigned doublings = failures_n - GATE_SHUT_N;
    int64_t us = doublings < PAUSE_DOUBLINGS_MAX ? PAUSE_US << doublings : PAUSE_MAX_US;

    return us / 2 + (int64_t)rng_below(dice, (uint64_t)us / 2 + 1);
}

static void fail(struct gate *g, int64_t now_us, struct rng *dice)
{
    size_t half = (g->busy_n < g->window ? g->busy_n : g->window) / 2;

    g->failures_n++;
    g->window = half > WINDOW_MIN ? half : WINDOW_MIN;
    if (!gate_is_shut(g))
        return;
    g->window = 1;
    g->next_us = clock_add(now_us, pause_us(g->failures_n, dice));
}

void gate_leave(struct gate *g, enum gate_end end, int64_t now_us, struct rng *dice)
{
    ASSERT(g->busy_n > 0);
    if (end == GATE_SUCCESS)
        succeed(g);
    else if (end == GATE_FAILURE)
        fail(g, now_us, dice);
    g->busy_n--;
}

bool gate_is_shut(const struct gate *g)
{
    return g->failures_n >= GATE_SHUT_N;
}

int64_t gate_opens_us(const struct gate *g)
{
    return g->busy_n < g->window ? g->next_us : CLOCK_NEVER_US;
}
