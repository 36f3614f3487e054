/* SPDX-License-Identifier: MIT */
/* The page that people read. */
#include "load/report.h"

#include <stdio.h>

#include "base/clock.h"

static const double QUANTILES[] = {0.5, 0.9, 0.99, 0.999};

#define QUANTILES_N (sizeof QUANTILES / sizeof QUANTILES[0])

/* Every text below is bounded by the number of classes and reasons: it fits in REPORT_MAX_BYTES. */
#define ADD(out, ...) ((void)!buf_printf((out), __VA_ARGS__))

static double seconds(int64_t us)
{
    return (double)us / (double)CLOCK_SECOND_US;
}

static const char *name_of(const struct report *r, size_t i)
{
    return i == 0 ? "all" : r->class_names[i - 1];
}

/* The i-th group that is shown, or NULL: all, then the classes. */
static const struct tally_group *group_of(const struct report *r, size_t i)
{
    if (i == 0)
        return &r->tally->all;
    return r->class_names[i - 1] != NULL ? &r->tally->of_class[i - 1] : NULL;
}

#define GROUPS_N (SOURCE_CLASSES_MAX + 1)

static void add_counts(const struct report *r, struct buf *out)
{
    ADD(out, "\n%-9s %9s %9s %9s", "", "requests", "sent", "attempts");
    for (int e = 0; e < END_N; e++)
        ADD(out, " %9s", ending_name((enum ending)e));
    ADD(out, " %9s\n", "answered");
    for (size_t i = 0; i < GROUPS_N; i++) {
        const struct tally_group *g = group_of(r, i);
        double rate;

        if (g == NULL)
            continue;
        ADD(out, "%-9s %9llu %9llu %9llu", name_of(r, i), (unsigned long long)g->intended_n,
            (unsigned long long)g->sent_n, (unsigned long long)g->attempts_n);
        for (int e = 0; e < END_N; e++)
            ADD(out, " %9llu", (unsigned long long)g->ended_n[e]);
        rate = tally_answered_rate(g);
        if (rate < 0)
            ADD(out, " %9s\n", "-");
        else
            ADD(out, " %8.3f%%\n", 100 * rate);
    }
}

static void add_ms(struct buf *out, int64_t us)
{
    ADD(out, " %10.*f", us < 100 * CLOCK_SECOND_US ? 2 : 0, (double)us / (double)CLOCK_MS_US);
}

static void add_times_row(const char *what, const char *name, const struct tally_times *t, struct buf *out)
{
    if (t->hist.n == 0)
        return;
    ADD(out, "%-12s %-9s %9llu", what, name, (unsigned long long)t->hist.n);
    for (size_t i = 0; i < QUANTILES_N; i++)
        add_ms(out, tally_quantile(t, QUANTILES[i]));
    add_ms(out, t->max_us);
    ADD(out, "\n");
}

static void add_times(const struct report *r, struct buf *out)
{
    static const struct {
        const char *name;
        size_t offset;
    } TIMES[] = {
        {"first token", offsetof(struct tally_group, first)},
        {"gap", offsetof(struct tally_group, gap)},
        {"answer", offsetof(struct tally_group, total)},
        {"sent late", offsetof(struct tally_group, late)},
    };

    ADD(out, "\n%-12s %-9s %9s %10s %10s %10s %10s %10s\n", "milliseconds", "", "n", "p50", "p90", "p99",
        "p99.9", "max");
    for (size_t k = 0; k < sizeof TIMES / sizeof TIMES[0]; k++) {
        for (size_t i = 0; i < GROUPS_N; i++) {
            const struct tally_group *g = group_of(r, i);
            const void *t = g != NULL ? (const char *)g + TIMES[k].offset : NULL;

            if (t != NULL)
                add_times_row(TIMES[k].name, name_of(r, i), t, out);
        }
    }
}

static void add_reasons(const struct report *r, struct buf *out)
{
    bool title = false;

    for (size_t i = 0; i < GROUPS_N; i++) {
        const struct tally_group *g = group_of(r, i);

        for (size_t k = 0; g != NULL && k < g->reasons_n; k++) {
            const struct tally_reason *f = &g->reasons[k];

            if (!title)
                ADD(out, "\n%-9s %6s %9s  %s\n", "failures", "status", "n", "code");
            title = true;
            ADD(out, "%-9s %6d %9llu  %s\n", name_of(r, i), f->status, (unsigned long long)f->n, f->code);
        }
        if (g != NULL && g->other_reasons_n > 0)
            ADD(out, "%-9s %6s %9llu  (others)\n", name_of(r, i), "", (unsigned long long)g->other_reasons_n);
    }
}

static void add_title(const struct report *r, struct buf *out)
{
    ADD(out, "target    %.*s\nmodel     %.*s\nschedule  %.*s\nseed      %llu\n", SLICE_ARG(r->target),
        SLICE_ARG(r->model), SLICE_ARG(r->schedule), (unsigned long long)r->seed);
}

void report_text(const struct report *r, struct buf *out)
{
    const struct tally_group *g = &r->tally->all;
    double s = seconds(r->elapsed_us);

    add_title(r, out);
    ADD(out, "ran       %.1f s%s, %.1f requests/s, %.1f tokens/s, %llu connections\n", s,
        r->interrupted ? " (interrupted)" : "", s > 0 ? (double)g->intended_n / s : 0,
        s > 0 ? (double)g->tokens_n / s : 0, (unsigned long long)r->connects_n);
    add_counts(r, out);
    add_times(r, out);
    if (g->held_n > 0)
        ADD(out,
            "\n%llu requests had to wait for a connection (--connections); their times count from when "
            "they were meant to be sent\n",
            (unsigned long long)g->held_n);
    add_reasons(r, out);
}

void report_progress(struct load *l, int64_t elapsed_us, struct buf *out)
{
    struct tally *t = load_tally(l);
    const struct tally_group *g = &t->all;
    uint64_t answered = g->ended_n[END_FULL] + g->ended_n[END_DEGRADED];

    ADD(out, "%7.1f s  sent %llu  in flight %zu  answered %llu  failed %llu", seconds(elapsed_us),
        (unsigned long long)g->sent_n, load_in_flight(l), (unsigned long long)answered,
        (unsigned long long)(g->ended_n[END_FAILED] + g->ended_n[END_REFUSED]));
    if (load_waiting(l) > 0)
        ADD(out, "  waiting %zu", load_waiting(l));
    if (t->recent_first.n > 0)
        ADD(out, "  ttft p50 %.0f ms p99 %.0f ms", (double)hist_quantile(&t->recent_first, 0.5) / 1000,
            (double)hist_quantile(&t->recent_first, 0.99) / 1000);
    tally_forget_recent(t);
}

/* -- the schedule alone ---------------------------------------------------------------------------------- */

static void add_lengths(const char *what, const struct tally_times *t, struct buf *out)
{
    if (t->hist.n == 0)
        return;
    ADD(out, "%-9s mean %.0f, p50 %lld, p90 %lld, p99 %lld, largest %lld; %llu tokens in all\n", what,
        (double)t->hist.sum / (double)t->hist.n, (long long)tally_quantile(t, 0.5),
        (long long)tally_quantile(t, 0.9), (long long)tally_quantile(t, 0.99), (long long)t->max_us,
        (unsigned long long)t->hist.sum);
}

void report_preview(const struct report *r, const struct preview *p, struct buf *out)
{
    double span = seconds(p->last_us - p->first_us);

    add_title(r, out);
    ADD(out, "requests  %llu%s, the first after %.3f s, the last after %.3f s\n",
        (unsigned long long)p->requests_n, p->cut ? " and more" : "", seconds(p->first_us),
        seconds(p->last_us));
    ADD(out, "rate      %.2f/s on average, %llu in the fullest second (at %.0f s)\n",
        span > 0 ? (double)(p->requests_n - 1) / span : 0, (unsigned long long)p->busiest_n,
        seconds(p->busiest_us));
    ADD(out, "gaps      mean %.3f ms, coefficient of variation %.2f\n", p->gap_mean_us / (double)CLOCK_MS_US,
        p->gap_cv);
    ADD(out, "streams   %llu\n", (unsigned long long)p->streams_n);
    for (size_t i = 0; i < SOURCE_CLASSES_MAX; i++) {
        if (r->class_names[i] != NULL)
            ADD(out, "%-9s %llu\n", r->class_names[i], (unsigned long long)p->of_class[i]);
    }
    add_lengths("prompts", &p->prompt, out);
    add_lengths("answers", &p->answer, out);
    if (p->blocks_n > 0)
        ADD(out, "blocks    %llu of 512 tokens, %.1f %% seen before\n", (unsigned long long)p->blocks_n,
            100 * (double)p->blocks_old_n / (double)p->blocks_n);
    if (p->shared_n > 0)
        ADD(out, "shared    %llu prompts have a shared beginning\n", (unsigned long long)p->shared_n);
    if (p->leave_n > 0)
        ADD(out, "leave     %llu clients\n", (unsigned long long)p->leave_n);
}
