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

static double faded(const struct eta *e, int64_t now_us)
{
    return exp(-passed_us(e->came_us, now_us) / memory_us(e));
}

static void note_arrival(struct eta *e, enum priority p, int64_t now_us)
{
    double rest = faded(e, now_us);

    for (int i = 0; i < PRIORITY_N; i++)
        e->came[i] *= rest;
    e->came[p]++;
    e->came_us = now_us > e->came_us ? now_us : e->came_us;
}

/* By microsecond, of all better classes. */
static double better_arrivals(const struct eta *e, enum priority p, int64_t now_us)
{
    double n = 0;

    for (int i = 0; i < (int)p; i++)
        n += e->came[i];
    return n * faded(e, now_us) / memory_us(e);
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

int64_t eta_us(const struct eta *e, size_t ahead, enum priority p, int64_t now_us)
{
    double silence_us, excess_us, left, us;

    if (!e->known)
        return ETA_UNKNOWN;
    silence_us = e->waiting_n > 0 ? passed_us(e->since_us, now_us) : 0;
    excess_us = at_least(0, silence_us - SILENCE_TURNS * turn_us(e));
    left = e->grants / (e->busy_us + (silence_us - excess_us)) - better_arrivals(e, p, now_us);
    if (left <= 0)
        return CLOCK_NEVER_US;
    us = (double)(ahead + 1) / left + excess_us;
    return us < (double)CLOCK_NEVER_US / 2 ? (int64_t)us : CLOCK_NEVER_US;
}
