/* SPDX-License-Identifier: MIT */
/* Holding what was measured against what the scenario promises. */
#include <math.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rehearse/drill.h"

static const struct drill_measure_row ROWS[DRILL_MEASURE_N] = {
    [DRILL_ANSWERED] = {"answered", true, NULL, "share of the requests that were answered in time"},
    [DRILL_FULL] = {"full", true, NULL, "share of the requests that were answered in full"},
    [DRILL_CALM] = {"calm_answered", true, NULL, "the same, of those that came outside the trouble"},
    [DRILL_OTHERS] = {"others_answered", true, NULL, "the same, of the clients that do not flood"},
    [DRILL_AMPLIFICATION] = {"amplification", false, NULL, "calls for each request that the gateway got"},
    [DRILL_RETRIES] = {"retries", false, NULL, "requests that clients sent for each that they meant"},
    [DRILL_FAILOVER_MS] = {"failover_ms", false, NULL,
                           "from the first bad call to the first token from elsewhere"},
    [DRILL_RECOVERY_MS] = {"recovery_ms", false, NULL,
                           "how long behind the trouble requests came that fared worse than usual"},
    [DRILL_SLOW] = {"slow_share", false, NULL,
                    "share of the requests in the trouble that fared worse than usual"},
    [DRILL_WAIT_P99_MS] = {"wait_p99_ms", false, "class", "p99 of the time in the line, answered requests"},
    [DRILL_TTFT_P99_MS] = {"ttft_p99_ms", false, "class", "p99 of the time to the first token"},
    [DRILL_MOVED_MS] = {"moved_ms", false, NULL,
                        "how far the flood moves the p99 of the others' time in the line"},
    [DRILL_USED] = {"used", true, "provider", "share of the slots that are used while it is measured"},
    [DRILL_GOODPUT] = {"goodput", true, NULL, "good answers, as a share of min(offered, capacity)"},
    [DRILL_REFUSED] = {"refused_per_s", false, NULL, "calls a second that an account refused (429)"},
    [DRILL_FOUND] = {"limit_error", false, "provider", "how far the limit at 30 s is off, as a share"},
};

const struct drill_measure_row *drill_measure_row(enum drill_measure m)
{
    return &ROWS[m];
}

size_t drill_providers_n(const struct drill_scenario *s)
{
    size_t n = 0;

    while (n < DRILL_PROVIDERS_MAX && s->providers[n].name != NULL)
        n++;
    return n;
}

size_t drill_crowds_n(const struct drill_scenario *s)
{
    size_t n = 0;

    while (n < DRILL_CROWDS_MAX && s->crowds[n].name != NULL)
        n++;
    return n;
}

bool drill_has_floods(const struct drill_scenario *s)
{
    for (size_t i = 0; i < drill_crowds_n(s); i++) {
        if (s->crowds[i].floods)
            return true;
    }
    return false;
}

size_t drill_bounds_n(const struct drill_scenario *s)
{
    size_t n = 0;

    while (n < DRILL_BOUNDS_MAX && s->bounds[n].what != DRILL_NOTHING)
        n++;
    return n;
}

/* -- values ---------------------------------------------------------------------------------------------- */

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NAN;
}

static double p99_ms(const struct hist *h)
{
    return h->n > 0 ? (double)hist_quantile(h, 0.99) / (double)CLOCK_MS_US : NAN;
}

double drill_class_p99_ms(const struct drill_scenario *s, const struct hist of_crowd[DRILL_CROWDS_MAX],
                          enum priority class_no)
{
    struct hist *all = MEM_NEW(struct hist);
    double ms;

    for (size_t i = 0; i < drill_crowds_n(s); i++) {
        if (s->crowds[i].priority == class_no)
            hist_merge(all, &of_crowd[i]);
    }
    ms = p99_ms(all);
    mem_free(all);
    return ms;
}

/* Of the crowd that suffers most. */
static double moved_ms(const struct drill_result *r)
{
    double most = NAN;

    for (size_t i = 0; r->has_quiet && i < drill_crowds_n(r->scenario); i++) {
        double ms = p99_ms(&r->gateway.wait[i]) - p99_ms(&r->quiet.wait[i]);

        if (!r->scenario->crowds[i].floods && !(ms <= most))
            most = ms;
    }
    return most;
}

static double value_of(const struct drill_result *r, const struct drill_bound *b)
{
    const struct drill_figures *f = &r->gateway;

    switch (b->what) {
    case DRILL_ANSWERED:
        return share(f->answered_n, f->counted_n);
    case DRILL_FULL:
        return share(f->ended_n[END_FULL], f->counted_n);
    case DRILL_CALM:
        return share(f->calm_answered_n, f->calm_counted_n);
    case DRILL_OTHERS:
        return share(f->others_answered_n, f->others_counted_n);
    case DRILL_AMPLIFICATION:
        return share(f->calls_n, f->received_n);
    case DRILL_RETRIES:
        return share(f->attempts_n, f->requests_n);
    case DRILL_FAILOVER_MS:
        return f->failover_ms;
    case DRILL_RECOVERY_MS:
        return f->recovery_ms;
    case DRILL_SLOW:
        return share(f->trouble_slow_n, f->trouble_n);
    case DRILL_WAIT_P99_MS:
        return drill_class_p99_ms(r->scenario, f->wait, (enum priority)b->of);
    case DRILL_TTFT_P99_MS:
        return drill_class_p99_ms(r->scenario, f->ttft, (enum priority)b->of);
    case DRILL_MOVED_MS:
        return moved_ms(r);
    case DRILL_USED:
        return f->used[b->of];
    case DRILL_GOODPUT:
        return f->goodput;
    case DRILL_REFUSED:
        return f->refused_per_s;
    case DRILL_FOUND:
        return fabs(f->found[b->of] - 1);
    case DRILL_NOTHING:
    case DRILL_MEASURE_N:
        break;
    }
    return NAN;
}

void drill_judge(struct drill_result *r)
{
    r->kept = true;
    for (size_t i = 0; i < drill_bounds_n(r->scenario); i++) {
        const struct drill_bound *b = &r->scenario->bounds[i];
        struct drill_verdict *v = &r->verdicts[i];

        v->value = value_of(r, b);
        v->judged = !isnan(v->value) || !r->real;
        v->kept = ROWS[b->what].at_least ? v->value >= b->limit : v->value <= b->limit; /* NAN: false */
        r->kept &= v->kept || !v->judged;
    }
}
