/* SPDX-License-Identifier: MIT */
/* ServeGen's client files: "2400,0.085,6.69,Gamma,0.022,73.0". The scale is not read: the rate says it. */
#include "base/clock.h"
#include "load/amount.h"
#include "load/trace_private.h"

#define COLUMNS_N 6
#define START_MAX_S (10.0 * 366 * 24 * 3600)
#define RATE_MAX 1000000
#define SHAPE_MIN 0.01 /* the longest gap that can be drawn is then some 10^156, and sums stay finite */
#define SHAPE_MAX 1000
#define WINDOW_US (600 * CLOCK_SECOND_US) /* of a file with a single window */

static bool split(struct slice line, struct slice column[COLUMNS_N])
{
    struct slice rest = line;

    for (size_t i = 0; i < COLUMNS_N; i++) {
        if (rest.p == NULL)
            return false;
        column[i] = slice_trim(slice_cut(rest, ',', &rest));
    }
    return rest.p == NULL;
}

static bool read_pattern(struct slice name, struct slice shape, struct trace_window *w)
{
    if (slice_eq(name, SLICE("Gamma")))
        w->gaps = GAPS_GAMMA;
    else if (slice_eq(name, SLICE("Weibull")))
        w->gaps = GAPS_WEIBULL;
    else
        return false;
    return amount_decimal(shape, &w->shape) && w->shape >= SHAPE_MIN && w->shape <= SHAPE_MAX;
}

const char *trace_servegen_line(struct trace *t, struct slice line)
{
    struct slice column[COLUMNS_N];
    struct trace_window w = {0};
    double start;

    if (!split(line, column))
        return "This is no trace in a form that is known: Azure's begins with "
               "TIMESTAMP,ContextTokens,GeneratedTokens, Mooncake's lines are JSON objects, ServeGen's have "
               "six "
               "columns.";
    if (!amount_decimal(column[0], &start) || start > START_MAX_S)
        return "The first column must be the start of the window in seconds.";
    w.from_us = (int64_t)(start * (double)CLOCK_SECOND_US);
    if (!amount_decimal(column[1], &w.rate) || w.rate > RATE_MAX)
        return "The second column must be the rate, 0 to 1,000,000 requests per second.";
    if (w.rate > 0 && !read_pattern(column[3], column[4], &w))
        return "Columns four and five must be Gamma or Weibull and its shape, 0.01 to 1000.";
    if (t->windows_n > 0 && w.from_us <= t->windows[t->windows_n - 1].from_us)
        return "Windows must follow each other in time.";
    t->windows = trace_grow(t->windows, t->windows_n, sizeof w);
    t->windows[t->windows_n++] = w;
    return NULL;
}

void trace_servegen_finish(struct trace *t)
{
    struct trace_window *last = &t->windows[t->windows_n - 1];

    for (struct trace_window *w = t->windows; w < last; w++)
        w->to_us = w[1].from_us;
    last->to_us = last->from_us + (t->windows_n > 1 ? last->from_us - last[-1].from_us : WINDOW_US);
}
