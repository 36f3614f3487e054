/* SPDX-License-Identifier: MIT */
/* Credit for what was taken, and the window that says whether pacing is needed. */
#include "policy/throttle.h"

#define SHARE 3 /* paced while less than one in so many is taken */

void throttle_init(struct throttle *t)
{
    *t = (struct throttle){.credit = THROTTLE_CREDIT_MAX};
}

/* Forgets what is two minutes old; returns the time that it is for this throttle. */
static int64_t advance(struct throttle *t, int64_t now_us)
{
    if (now_us > t->seen_us)
        t->seen_us = now_us;
    int64_t no = t->seen_us / THROTTLE_SLICE_US, first = no - THROTTLE_SLICES + 1;
    if (first <= t->slice_no)
        first = t->slice_no + 1;
    for (int64_t i = first; i <= no; i++) {
        struct throttle_slice *s = &t->slices[i % THROTTLE_SLICES];

        t->sum.requests -= s->requests;
        t->sum.accepts -= s->accepts;
        *s = (struct throttle_slice){0};
    }
    t->slice_no = no;
    return t->seen_us;
}

/* accepts <= requests stays true in every slice: both are halved downwards. */
static void halve(struct throttle *t)
{
    t->sum = (struct throttle_slice){0};
    for (int i = 0; i < THROTTLE_SLICES; i++) {
        t->slices[i].requests /= 2;
        t->slices[i].accepts /= 2;
        t->sum.requests += t->slices[i].requests;
        t->sum.accepts += t->slices[i].accepts;
    }
}

static void count(struct throttle *t, uint32_t accepts)
{
    struct throttle_slice *s = &t->slices[t->slice_no % THROTTLE_SLICES];

    s->requests++;
    s->accepts += accepts;
    t->sum.requests++;
    t->sum.accepts += accepts;
    if (t->sum.requests > THROTTLE_CALLS_MAX)
        halve(t);
}

void throttle_cut(struct throttle *t, int64_t now_us)
{
    int64_t now = advance(t, now_us);

    for (int i = 0; i < THROTTLE_SLICES; i++)
        t->slices[i] = (struct throttle_slice){0};
    t->sum = (struct throttle_slice){0};
    t->credit = 0;
    t->probe_us = now + THROTTLE_PROBE_US;
}

static bool is_needed(const struct throttle *t)
{
    return t->sum.requests >= THROTTLE_SAMPLES && t->sum.accepts * SHARE < t->sum.requests;
}

int64_t throttle_next_us(struct throttle *t, int64_t now_us, bool is_last)
{
    int64_t now = advance(t, now_us);

    if (t->credit > 0 || now >= t->probe_us || (!is_last && !is_needed(t)))
        return now_us;
    return t->probe_us;
}

void throttle_sent(struct throttle *t, int64_t now_us)
{
    int64_t now = advance(t, now_us);

    if (t->credit > 0)
        t->credit--;
    t->probe_us = now + THROTTLE_PROBE_US;
}

void throttle_taken(struct throttle *t, int64_t now_us, uint32_t pays)
{
    advance(t, now_us);
    count(t, 1);
    t->credit += pays;
    if (t->credit > THROTTLE_CREDIT_MAX)
        t->credit = THROTTLE_CREDIT_MAX;
}

void throttle_refused(struct throttle *t, int64_t now_us)
{
    advance(t, now_us);
    count(t, 0);
}

unsigned throttle_held(struct throttle *t, int64_t now_us)
{
    advance(t, now_us);
    uint32_t fair = t->sum.accepts * THROTTLE_K;
    return t->sum.requests <= fair ? 0 : (t->sum.requests - fair) * 1000 / (t->sum.requests + 1);
}
