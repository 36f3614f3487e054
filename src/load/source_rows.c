/* SPDX-License-Identifier: MIT */
/* Arrivals from a trace with a row for each request, thinned out or multiplied. */
#include <math.h>

#include "base/clock.h"
#include "load/source_private.h"

/* How many requests a row becomes: the scale, its fraction by a coin. */
static size_t copies(struct source *s)
{
    double whole = floor(s->opts.scale), part = s->opts.scale - whole;

    return (size_t)whole + (part > 0 && rng_unit(&s->gaps) < part);
}

/* The first comes at the row's own time, the others before the next row. */
static void place(struct source *s, size_t n)
{
    struct rows *r = &s->rows;
    const struct trace_row *row = &r->trace->rows[r->next];
    bool last = r->next + 1 == r->trace->rows_n;
    double room = last ? 0 : (double)(row[1].at_us - row->at_us);

    r->copies_at[0] = (double)row->at_us;
    for (size_t i = 1; i < n; i++) { /* sorted as they come: there are few */
        double at = (double)row->at_us + rng_unit(&s->gaps) * room;
        size_t j = i;

        for (; j > 1 && r->copies_at[j - 1] > at; j--)
            r->copies_at[j] = r->copies_at[j - 1];
        r->copies_at[j] = at;
    }
}

bool rows_next(struct source *s, struct arrival *out)
{
    struct rows *r = &s->rows;
    const struct trace_row *row;

    while (r->copy == r->copies_n) {
        if (r->next == r->trace->rows_n)
            return false;
        r->copy = 0;
        r->copies_n = r->trace->rows[r->next].at_us < s->opts.from_us ? 0 : copies(s);
        if (r->copies_n > 0)
            place(s, r->copies_n);
        r->next++;
    }
    row = &r->trace->rows[r->next - 1];
    out->copy = (uint32_t)r->copy;
    out->at_us = (int64_t)((r->copies_at[r->copy++] - (double)s->opts.from_us) / s->opts.speed);
    out->prompt_tokens = row->prompt_tokens;
    out->answer_tokens = row->answer_tokens > 0 ? row->answer_tokens : 1;
    out->blocks = row->blocks_n > 0 ? r->trace->blocks + row->blocks_at : NULL;
    out->blocks_n = row->blocks_n;
    return true;
}
