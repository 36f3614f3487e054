/* SPDX-License-Identifier: MIT */
/* The result for programs: the members are described in docs/load.md and do not change their meaning. */
#include "base/clock.h"
#include "load/report.h"

#define ADD(out, ...) ((void)!buf_printf((out), __VA_ARGS__))
#define FORMAT_VERSION 1

static void add_text(struct buf *out, const char *name, struct slice text)
{
    ADD(out, "\"%s\":", name);
    (void)!buf_add_json_string(out, text);
}

static double ms(int64_t us)
{
    return (double)us / (double)CLOCK_MS_US;
}

static void add_times(struct buf *out, const char *name, const struct tally_times *t)
{
    ADD(out,
        ",\"%s\":{\"n\":%llu,\"mean\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p99_9\":%.3f,"
        "\"max\":%.3f}",
        name, (unsigned long long)t->hist.n,
        t->hist.n > 0 ? (double)t->hist.sum / (double)t->hist.n / (double)CLOCK_MS_US : 0,
        ms(tally_quantile(t, 0.5)), ms(tally_quantile(t, 0.9)), ms(tally_quantile(t, 0.99)),
        ms(tally_quantile(t, 0.999)), ms(t->max_us));
}

static void add_failures(struct buf *out, const struct tally_group *g)
{
    ADD(out, ",\"failures\":[");
    for (size_t i = 0; i < g->reasons_n; i++)
        ADD(out, "%s{\"status\":%d,\"code\":\"%s\",\"n\":%llu}", i > 0 ? "," : "", g->reasons[i].status,
            g->reasons[i].code, (unsigned long long)g->reasons[i].n);
    ADD(out, "],\"other_failures\":%llu", (unsigned long long)g->other_reasons_n);
}

static void add_group(struct buf *out, const struct tally_group *g)
{
    double rate = tally_answered_rate(g);

    ADD(out, "{\"requests\":%llu,\"sent\":%llu,\"held\":%llu,\"attempts\":%llu",
        (unsigned long long)g->intended_n, (unsigned long long)g->sent_n, (unsigned long long)g->held_n,
        (unsigned long long)g->attempts_n);
    for (int e = 0; e < END_N; e++)
        ADD(out, ",\"%s\":%llu", ending_name((enum ending)e), (unsigned long long)g->ended_n[e]);
    if (rate < 0)
        ADD(out, ",\"answered_rate\":null");
    else
        ADD(out, ",\"answered_rate\":%.6f", rate);
    ADD(out, ",\"tokens\":%llu,\"usage_tokens\":%llu,\"bytes\":%llu", (unsigned long long)g->tokens_n,
        (unsigned long long)g->usage_tokens, (unsigned long long)g->bytes);
    add_times(out, "first_token_ms", &g->first);
    add_times(out, "gap_ms", &g->gap);
    add_times(out, "answer_ms", &g->total);
    add_times(out, "late_ms", &g->late);
    add_failures(out, g);
    ADD(out, "}");
}

static void add_title(const struct report *r, struct buf *out)
{
    ADD(out, "{\"format\":%d,", FORMAT_VERSION);
    add_text(out, "target", r->target);
    ADD(out, ",");
    add_text(out, "model", r->model);
    ADD(out, ",");
    add_text(out, "schedule", r->schedule);
    ADD(out, ",\"seed\":%llu", (unsigned long long)r->seed);
}

void report_json(const struct report *r, struct buf *out)
{
    bool first = true;

    add_title(r, out);
    ADD(out, ",\"seconds\":%.3f,\"interrupted\":%s,\"connections\":%llu,\"all\":", ms(r->elapsed_us) / 1000,
        r->interrupted ? "true" : "false", (unsigned long long)r->connects_n);
    add_group(out, &r->tally->all);
    ADD(out, ",\"classes\":{");
    for (size_t i = 0; i < SOURCE_CLASSES_MAX; i++) {
        if (r->class_names[i] == NULL)
            continue;
        ADD(out, "%s\"%s\":", first ? "" : ",", r->class_names[i]);
        add_group(out, &r->tally->of_class[i]);
        first = false;
    }
    ADD(out, "}}\n");
}

/* -- the schedule alone ---------------------------------------------------------------------------------- */

static void add_lengths(struct buf *out, const char *name, const struct tally_times *t)
{
    ADD(out, ",\"%s\":{\"n\":%llu,\"sum\":%llu,\"p50\":%lld,\"p90\":%lld,\"p99\":%lld,\"max\":%lld}", name,
        (unsigned long long)t->hist.n, (unsigned long long)t->hist.sum, (long long)tally_quantile(t, 0.5),
        (long long)tally_quantile(t, 0.9), (long long)tally_quantile(t, 0.99), (long long)t->max_us);
}

void report_preview_json(const struct report *r, const struct preview *p, struct buf *out)
{
    bool first = true;

    add_title(r, out);
    ADD(out,
        ",\"requests\":%llu,\"more\":%s,\"streams\":%llu,\"shared\":%llu,\"leave\":%llu,\"first_s\":%.6f,"
        "\"last_s\":%.6f,\"fullest_second\":%llu,\"gap_mean_ms\":%.6f,\"gap_cv\":%.6f",
        (unsigned long long)p->requests_n, p->cut ? "true" : "false", (unsigned long long)p->streams_n,
        (unsigned long long)p->shared_n, (unsigned long long)p->leave_n, ms(p->first_us) / 1000,
        ms(p->last_us) / 1000, (unsigned long long)p->busiest_n, p->gap_mean_us / (double)CLOCK_MS_US,
        p->gap_cv);
    add_lengths(out, "prompt_tokens", &p->prompt);
    add_lengths(out, "answer_tokens", &p->answer);
    ADD(out, ",\"blocks\":%llu,\"blocks_seen_before\":%llu,\"classes\":{", (unsigned long long)p->blocks_n,
        (unsigned long long)p->blocks_old_n);
    for (size_t i = 0; i < SOURCE_CLASSES_MAX; i++) {
        if (r->class_names[i] == NULL)
            continue;
        ADD(out, "%s\"%s\":%llu", first ? "" : ",", r->class_names[i], (unsigned long long)p->of_class[i]);
        first = false;
    }
    ADD(out, "}}\n");
}
