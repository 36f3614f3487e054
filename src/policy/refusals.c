/* SPDX-License-Identifier: MIT */
/* Whether refusals rise with what is in flight: a ring of the last calls, and two comparisons. */
#include "policy/refusals.h"

#include <math.h>

#define RATIO 2.0       /* a cut that took this part of the share away has helped */
#define OTHER_TIMES 3.0 /* a share that rose so much after a cut rose for another reason than the cut */

struct side {
    double n, refused;
};

void refusals_init(struct refusals *r)
{
    *r = (struct refusals){.before = -1};
}

void refusals_add(struct refusals *r, int level, bool refused)
{
    r->ring[r->next] = ((uint32_t)level << 1) | refused;
    r->next = (r->next + 1) % REFUSALS_N;
    if (r->n < REFUSALS_N)
        r->n++;
    if (r->since < REFUSALS_N)
        r->since++;
}

static double share(const struct side *s)
{
    return s->n > 0 ? s->refused / s->n : 0;
}

/* The refused among the last `most` calls. */
static struct side recent(const struct refusals *r, int most)
{
    struct side s = {0};
    int n = r->n < most ? r->n : most;

    for (int i = 1; i <= n; i++)
        s.refused += r->ring[(r->next - i + REFUSALS_N) % REFUSALS_N] & 1;
    s.n = n;
    return s;
}

/* Logarithm of the likelihood of what one side saw, if `p` is the share that is refused. */
static double likelihood(const struct side *s, double p)
{
    double l = 0;

    if (s->refused > 0)
        l += s->refused * log(p);
    if (s->n > s->refused)
        l += (s->n - s->refused) * log(1 - p);
    return l;
}

/* least: how much surer it must be. */
static bool rises(const struct side *low, const struct side *high, double least)
{
    struct side all = {low->n + high->n, low->refused + high->refused};
    double l = share(low), h = share(high), p = share(&all), ratio;

    if (h <= l)
        return false;
    ratio = likelihood(low, l) + likelihood(high, h) - likelihood(low, p) - likelihood(high, p);
    return ratio > least;
}

static enum refusals_verdict judge_cut(const struct refusals *r)
{
    struct side after = recent(r, r->since < REFUSALS_RECENT ? r->since : REFUSALS_RECENT);

    if (r->before < 0 || after.n < REFUSALS_ENOUGH)
        return REFUSALS_UNKNOWN;
    if (share(&after) > OTHER_TIMES * r->before)
        return REFUSALS_UNKNOWN;
    return share(&after) * RATIO < r->before ? REFUSALS_UNKNOWN : REFUSALS_FLAT;
}

/* The calls that began below that level, and the others. */
static void divide(const struct refusals *r, int level, struct side *low, struct side *high)
{
    uint32_t from = (uint32_t)level << 1;
    int low_n = 0, low_refused = 0, refused = 0;

    for (int i = 0; i < r->n; i++) { /* without branches: they would cost more than the rest */
        int is_low = r->ring[i] < from, no = r->ring[i] & 1;

        low_n += is_low;
        low_refused += is_low & no;
        refused += no;
    }
    *low = (struct side){low_n, low_refused};
    *high = (struct side){r->n - low_n, refused - low_refused};
}

enum refusals_verdict refusals_judge(const struct refusals *r, int level, int knee)
{
    struct side low, high;

    divide(r, level, &low, &high);
    if (low.n < REFUSALS_ENOUGH)
        return level <= 1 ? REFUSALS_FLAT : judge_cut(r);
    if (rises(&low, &high, low.refused > 0 ? REFUSALS_LLR : REFUSALS_LLR_CLEAN))
        return REFUSALS_RISE;
    if (knee <= 0)
        return REFUSALS_FLAT;
    divide(r, knee + 1, &low, &high);
    return low.n >= REFUSALS_ENOUGH && rises(&low, &high, REFUSALS_LLR) ? REFUSALS_RISE : REFUSALS_FLAT;
}

void refusals_begin(struct refusals *r)
{
    struct side now = recent(r, r->since < REFUSALS_RECENT ? r->since : REFUSALS_RECENT);

    if (now.n < REFUSALS_ENOUGH)
        return; /* too few since the last cut: this one is a part of it */
    r->before = share(&now);
    r->since = 0;
}
