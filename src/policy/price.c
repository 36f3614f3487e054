/* SPDX-License-Identifier: MIT */
/* Windows over the days of the week, counted in minutes of UTC: the epoch was a Thursday. */
#include "policy/price.h"

#include "base/clock.h"

#define DAY_MIN (24 * 60)
#define DAYS_N 7
#define MINUTE_US (60 * CLOCK_SECOND_US)
#define THURSDAY 3 /* from Monday on */

/* How long it lasts, from its first minute to the one that is not in it any more. */
static int length_min(const struct config_price_window *w)
{
    return w->to_min > w->from_min ? w->to_min - w->from_min : w->to_min + DAY_MIN - w->from_min;
}

/* Whether the window that begins on that day has the minute in it, which is counted from the day's begin. */
static bool holds(const struct config_price_window *w, int day, int min)
{
    return (w->days >> ((day + DAYS_N) % DAYS_N) & 1) && min >= w->from_min &&
           min < w->from_min + length_min(w);
}

static const struct config_price_window *window_at(const struct config_price *p, int day, int min)
{
    for (size_t i = 0; i < p->windows_n; i++) {
        if (holds(&p->windows[i], day, min) || holds(&p->windows[i], day - 1, min + DAY_MIN))
            return &p->windows[i];
    }
    return NULL;
}

/* The next begin or end of any window after that minute of the day: whether it falls on that day does not
 * matter, for looking once too often changes nothing. */
static int next_min(const struct config_price *p, int min)
{
    int next = DAY_MIN;

    for (size_t i = 0; i < p->windows_n; i++) {
        const int edges[] = {p->windows[i].from_min, p->windows[i].to_min};

        for (int k = 0; k < 2; k++)
            next = edges[k] > min && edges[k] < next ? edges[k] : next;
    }
    return next;
}

struct config_rate price_rate(const struct config_price *p, int64_t wall_us, int64_t *until_us)
{
    int64_t minutes = wall_us / MINUTE_US, days = minutes / DAY_MIN;
    int min = (int)(minutes % DAY_MIN);
    const struct config_price_window *w = window_at(p, (int)((days + THURSDAY) % DAYS_N), min);

    if (until_us != NULL)
        *until_us = p->windows_n > 0 ? (days * DAY_MIN + next_min(p, min)) * MINUTE_US : CLOCK_NEVER_US;
    return w != NULL ? w->rate : p->rate;
}

int64_t price_now(const struct config_price *p, int64_t wall_us, int64_t *until_us)
{
    struct config_rate r = {0, 0};

    if (until_us != NULL)
        *until_us = CLOCK_NEVER_US;
    if (p != NULL)
        r = price_rate(p, wall_us, until_us);
    return (3 * r.input + r.output) / 4;
}
