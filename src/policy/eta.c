/* SPDX-License-Identifier: MIT */
/* Decayed sums of grants and of the time they took. */
#include "policy/eta.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"

#define SILENCE_TURNS 2.0 /* of the slots: what is longer is an outage */
#define TEACHES_TURNS 4.0 /* as much of an outage counts as time that a grant took */

static double at_least(double a, double b)
{
    return a > b ? a : b;
}

static double at_most(double a, double b)
{
    return a < b ? a : b;
}

static double passed_us(int64_t since_us, int64_t now_us)
{
    return now_us > since_us ? (double)(now_us - since_us) : 0;
}

/* How long a slot serves one request, by Little's law. */
static double turn_us(const struct eta *e)
{
    return e->slots * e->busy_us / e->grants;
}

/* -- arrivals -------------------------------------------------------------------------------------------- */

static double memory_us(const struct eta *e)
{
    return at_least((double)ETA_ARRIVALS_US, e->busy_us);
}

/* What is left of earlier arrivals. Mostly the last one was a moment ago. */
static double faded(const struct eta *e, int64_t now_us)
{
    double part = passed_us(e->came_us, now_us) / memory_us(e);

    return part < 0.01 ? 1 - part : exp(-part);
}

static void note_arrival(struct eta *e, enum priority p, int64_t now_us)
{
    double rest = faded(e, now_us);

    for (int i = 0; i < PRIORITY_N; i++)
        e->came[i] *= rest;
    e->came[p]++;
    e->came_us = now_us > e->came_us ? now_us : e->came_us;
}

static double better_came(const struct eta *e, int p)
{
    double n = 0;

    for (int i = 0; i < p; i++)
        n += e->came[i];
    return n;
}

/* -- grants ---------------------------------------------------------------------------------------------- */

static void forget(struct eta *e)
{
    e->grants = e->busy_us = e->slots = 0;
    e->known_n = 0;
    e->known = false;
}

void eta_came(struct eta *e, enum priority p, int64_t now_us)
{
    if (e->waiting_n++ == 0) {
        if (passed_us(e->since_us, now_us) > (double)ETA_STALE_US)
            forget(e);
        e->since_us = now_us;
    }
    note_arrival(e, p, now_us);
}

/* The time since the last grant, as far as it says how fast slots are served. */
static double taught_us(const struct eta *e, int64_t now_us)
{
    double us = passed_us(e->since_us, now_us);

    return e->known ? at_most(us, TEACHES_TURNS * turn_us(e)) : us;
}

static void leave(struct eta *e, int64_t now_us)
{
    ASSERT(e->waiting_n > 0);
    e->waiting_n--;
    e->since_us = now_us > e->since_us ? now_us : e->since_us;
}

void eta_left(struct eta *e, int64_t now_us)
{
    if (e->waiting_n > 1) {
        e->waiting_n--;
        return;
    }
    e->busy_us += taught_us(e, now_us); /* it waited for nothing */
    leave(e, now_us);
}

void eta_served(struct eta *e, size_t slots, int64_t now_us)
{
    double weight;

    e->busy_us += taught_us(e, now_us);
    e->grants++;
    e->slots += ((double)slots - e->slots) / at_least(1, at_most(e->grants, ETA_GRANTS));
    weight = 1 - 1 / (ETA_GRANTS + ETA_TURNS * e->slots);
    e->grants *= weight;
    e->busy_us *= weight;
    e->known_n++;
    e->known = e->known || ((double)e->known_n >= at_least(ETA_KNOWN, e->slots) && e->busy_us > 0);
    leave(e, now_us);
}

void eta_inherit(struct eta *e, const struct eta *from)
{
    size_t waiting_n = e->waiting_n;
    int64_t since_us = e->since_us;

    *e = *from;
    e->waiting_n = waiting_n;
    e->since_us = waiting_n > 0 ? since_us : from->since_us;
}

/* -- promises -------------------------------------------------------------------------------------------- */

static double silence_us(const struct eta *e, int64_t now_us)
{
    return e->waiting_n > 0 ? passed_us(e->since_us, now_us) : 0;
}

/* `n` are served first, and what still comes before takes its part of the speed, up to `more`. */
static double wait_us(double n, double more, double speed, double taken)
{
    double all_us = (n + more) / speed, us = speed > taken ? n / (speed - taken) : all_us;

    return at_most(us, all_us);
}

int64_t eta_place_us(const struct eta *e, const struct eta_place *at, int64_t now_us)
{
    int p = (int)at->priority;
    double speed, us, rate; /* rate: of arrivals, one by microsecond for each that came */

    if (!e->known)
        return ETA_UNKNOWN;
    rate = faded(e, now_us) / memory_us(e);
    speed = e->grants / (e->busy_us + at_most(silence_us(e, now_us), SILENCE_TURNS * turn_us(e))) -
            rate * better_came(e, p);
    if (speed <= 0)
        return CLOCK_NEVER_US;
    us = wait_us((double)at->ahead + 1, (double)at->more, speed, at->others * rate * e->came[p]);
    return us < (double)CLOCK_NEVER_US / 2 ? (int64_t)us : CLOCK_NEVER_US;
}

int64_t eta_us(const struct eta *e, const struct eta_place *at, int64_t now_us)
{
    int64_t us = eta_place_us(e, at, now_us);

    if (us == ETA_UNKNOWN)
        return us;
    return clock_add(us, (int64_t)at_least(0, silence_us(e, now_us) - SILENCE_TURNS * turn_us(e)));
}
