/* SPDX-License-Identifier: MIT */
/* Counting. */
#include "load/tally.h"

#include <stdio.h>

#include "base/mem.h"

struct tally *tally_new(void)
{
    return MEM_NEW(struct tally);
}

void tally_free(struct tally **t)
{
    mem_free(*t);
    *t = NULL;
}

void tally_forget_recent(struct tally *t)
{
    hist_init(&t->recent_first);
}

void tally_add(struct tally_times *t, int64_t us)
{
    hist_add(&t->hist, us);
    if (us > t->max_us)
        t->max_us = us;
}

int64_t tally_quantile(const struct tally_times *t, double q)
{
    int64_t us = hist_quantile(&t->hist, q);

    return us < t->max_us ? us : t->max_us;
}

void tally_reason(struct tally_group *g, const char *code, int status)
{
    struct tally_reason *r = g->reasons;

    while (r < g->reasons + g->reasons_n && (r->status != status || strcmp(r->code, code) != 0))
        r++;
    if (r == g->reasons + TALLY_REASONS_MAX) {
        g->other_reasons_n++;
        return;
    }
    if (r == g->reasons + g->reasons_n) {
        g->reasons_n++;
        snprintf(r->code, sizeof r->code, "%s", code);
        r->status = status;
    }
    r->n++;
}

double tally_answered_rate(const struct tally_group *g)
{
    uint64_t answered = g->ended_n[END_FULL] + g->ended_n[END_DEGRADED] + g->ended_n[END_DEFERRED];
    uint64_t counted = answered + g->ended_n[END_TEMPLATED] + g->ended_n[END_FAILED];

    return counted > 0 ? (double)answered / (double)counted : -1;
}
