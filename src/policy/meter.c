/* SPDX-License-Identifier: MIT */
/* A set of limits and what was used of them. */
#include "policy/meter.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

static const int64_t spans_us[METER_WINDOWS_N] = {
    [LIMIT_RPS] = CLOCK_SECOND_US,
    [LIMIT_RPM] = 60 * CLOCK_SECOND_US,
    [LIMIT_RPH] = 3600 * CLOCK_SECOND_US,
    [LIMIT_TPM] = 60 * CLOCK_SECOND_US,
};

void meter_init(struct meter *m, const struct config_limits *limits)
{
    memset(m, 0, sizeof *m);
    meter_set_limits(m, limits);
}

void meter_fini(struct meter *m)
{
    for (int i = 0; i < METER_WINDOWS_N; i++)
        window_fini(&m->windows[i]);
}

void meter_set_limits(struct meter *m, const struct config_limits *limits)
{
    for (int i = 0; i < METER_WINDOWS_N; i++) {
        struct window *w = &m->windows[i];

        if (limits->n[i] == 0)
            window_fini(w);
        else if (m->limits.n[i] == 0)
            window_init(w, spans_us[i], limits->n[i]);
        else
            window_set_limit(w, limits->n[i]);
    }
    m->limits = *limits;
}

/* What a request costs in a window. */
static int64_t cost_in(int limit, int64_t tokens)
{
    return limit == LIMIT_TPM ? tokens : 1;
}

bool meter_ask(struct meter *m, int64_t now_us, int64_t tokens, struct meter_refusal *why)
{
    int64_t inflight_max = m->limits.n[LIMIT_INFLIGHT], longest_us = 0;

    for (int i = 0; i < METER_WINDOWS_N; i++) {
        struct window *w = &m->windows[i];
        int64_t wait_us = m->limits.n[i] > 0 ? window_wait_us(w, now_us, cost_in(i, tokens)) : 0;

        if (wait_us <= longest_us)
            continue;
        longest_us = wait_us;
        *why = (struct meter_refusal){(enum limit)i, w->limit, wait_us, window_left(w, now_us)};
    }
    if (longest_us > 0)
        return false;
    if (inflight_max == 0 || m->inflight < inflight_max)
        return true;
    *why = (struct meter_refusal){LIMIT_INFLIGHT, inflight_max, 0, 0};
    return false;
}

int64_t meter_reserve(struct meter *m, int64_t now_us, int64_t tokens)
{
    int64_t at_us = now_us;

    for (int i = 0; i < METER_WINDOWS_N; i++) {
        int64_t there_us = m->limits.n[i] > 0 ? window_add(&m->windows[i], now_us, cost_in(i, tokens)) : 0;

        if (there_us > at_us)
            at_us = there_us;
    }
    m->inflight++;
    return at_us;
}

void meter_settle(struct meter *m, int64_t now_us, const struct meter_use *use)
{
    ASSERT(m->inflight > 0);
    m->inflight--;
    for (int i = 0; i < METER_WINDOWS_N; i++) {
        int64_t reserved = cost_in(i, use->reserved);
        int64_t used = use->counts ? cost_in(i, use->used) : 0;

        if (m->limits.n[i] == 0)
            continue;
        if (used < reserved)
            window_give_back(&m->windows[i], now_us, use->then_us, reserved - used);
        else if (used > reserved)
            window_add(&m->windows[i], now_us, used - reserved);
    }
}

struct meter_level meter_level_min(struct meter_level a, struct meter_level b)
{
    if (a.n == 0 || b.n == 0)
        return a.n == 0 ? b : a;
    if (a.left != b.left)
        return a.left < b.left ? a : b;
    return a.reset_us >= b.reset_us ? a : b;
}

static struct meter_level level(struct meter *m, int limit, int64_t now_us)
{
    struct window *w = &m->windows[limit];

    if (m->limits.n[limit] == 0)
        return (struct meter_level){0};
    return (struct meter_level){w->limit, window_left(w, now_us), window_reset_us(w, now_us)};
}

struct meter_level meter_requests(struct meter *m, int64_t now_us)
{
    struct meter_level least = level(m, LIMIT_RPS, now_us);

    least = meter_level_min(least, level(m, LIMIT_RPM, now_us));
    return meter_level_min(least, level(m, LIMIT_RPH, now_us));
}

struct meter_level meter_tokens(struct meter *m, int64_t now_us)
{
    return level(m, LIMIT_TPM, now_us);
}
