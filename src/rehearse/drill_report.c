/* SPDX-License-Identifier: MIT */
/* Writing down what came of a drill. The members of the JSON are described in docs/drill.md and do not change
 * their meaning. */
#include "rehearse/drill_report.h"

#include <math.h>
#include <stdio.h>

#define ADD(out, ...) ((void)!buf_printf((out), __VA_ARGS__))
#define WIDTH 14 /* of names and figures on the page */

/* -- JSON ------------------------------------------------------------------------------------------------ */

static void add_number(struct buf *out, const char *name, double v)
{
    if (isnan(v))
        ADD(out, ",\"%s\":null", name);
    else
        ADD(out, ",\"%s\":%.6g", name, v);
}

static bool has_class(const struct drill_scenario *s, enum priority class_no)
{
    for (size_t i = 0; i < drill_crowds_n(s); i++) {
        if (s->crowds[i].priority == class_no)
            return true;
    }
    return false;
}

/* A value for each class that somebody has. */
static void add_classes(struct buf *out, const char *name, const struct drill_scenario *s,
                        const struct hist of_crowd[DRILL_CROWDS_MAX])
{
    bool first = true;

    ADD(out, ",\"%s\":{", name);
    for (int p = 0; p < PRIORITY_N; p++) {
        double ms = drill_class_p99_ms(s, of_crowd, (enum priority)p);

        if (!has_class(s, (enum priority)p))
            continue;
        ADD(out, "%s\"%s\":", first ? "" : ",", config_priority_name((enum priority)p));
        if (isnan(ms))
            ADD(out, "null");
        else
            ADD(out, "%.3f", ms);
        first = false;
    }
    ADD(out, "}");
}

static double amplification(const struct drill_figures *f)
{
    return f->received_n > 0 ? (double)f->calls_n / (double)f->received_n : NAN;
}

static void add_counts(struct buf *out, const struct drill_figures *f)
{
    ADD(out, "\"requests\":%llu,\"answered\":%llu", (unsigned long long)f->requests_n,
        (unsigned long long)f->answered_n);
    for (int e = END_FULL; e <= END_FAILED; e++)
        ADD(out, ",\"%s\":%llu", ending_name((enum ending)e), (unsigned long long)f->ended_n[e]);
    add_number(out, "amplification", amplification(f));
}

static void add_direct(struct buf *out, const struct drill_result *r)
{
    const struct drill_figures *f = &r->direct;

    if (!r->has_direct) {
        ADD(out, ",\"direct\":null");
        return;
    }
    ADD(out, ",\"direct\":{");
    add_counts(out, f);
    add_number(out, "recovery_ms", f->recovery_ms);
    add_classes(out, "ttft_p99_ms", r->scenario, f->ttft);
    ADD(out, "}");
}

/* "class":"high", "provider":"second", or nothing. */
static const char *whose(const struct drill_scenario *s, const struct drill_bound *b)
{
    const struct drill_measure_row *row = drill_measure_row(b->what);

    if (row->of == NULL)
        return NULL;
    return row->of[0] == 'c' ? config_priority_name((enum priority)b->of) : s->providers[b->of].name;
}

static void add_bounds(struct buf *out, const struct drill_result *r)
{
    ADD(out, ",\"kept\":%s,\"bounds\":[", r->kept ? "true" : "false");
    for (size_t i = 0; i < drill_bounds_n(r->scenario); i++) {
        const struct drill_bound *b = &r->scenario->bounds[i];
        const struct drill_measure_row *row = drill_measure_row(b->what);
        const struct drill_verdict *v = &r->verdicts[i];

        ADD(out, "%s{\"what\":\"%s\"", i > 0 ? "," : "", row->name);
        if (row->of != NULL)
            ADD(out, ",\"%s\":\"%s\"", row->of, whose(r->scenario, b));
        add_number(out, row->at_least ? "at_least" : "at_most", b->limit);
        add_number(out, "value", v->value);
        ADD(out, ",\"kept\":%s}", !v->judged ? "null" : v->kept ? "true" : "false");
    }
    ADD(out, "]");
}

void drill_report_json(const struct drill_result *r, struct buf *out)
{
    ADD(out, "{\"scenario\":\"%s\",\"seed\":%llu,", r->scenario->name, (unsigned long long)r->seed);
    add_counts(out, &r->gateway);
    add_number(out, "failover_ms", r->gateway.failover_ms);
    add_number(out, "recovery_ms", r->gateway.recovery_ms);
    add_classes(out, "wait_p99_ms", r->scenario, r->gateway.wait);
    add_classes(out, "ttft_p99_ms", r->scenario, r->gateway.ttft);
    add_direct(out, r);
    add_bounds(out, r);
    ADD(out, "}\n");
}

/* -- the page -------------------------------------------------------------------------------------------- */

static void say_value(struct buf *out, double v, const char *unit)
{
    char text[32];

    if (isnan(v))
        snprintf(text, sizeof text, "-");
    else
        snprintf(text, sizeof text, "%.6g%s", v, unit);
    ADD(out, "%*s", WIDTH, text);
}

static void say_row(struct buf *out, const struct drill_result *r, const char *name, double with,
                    double without, const char *unit)
{
    ADD(out, "  %-22s", name);
    say_value(out, with, unit);
    if (r->has_direct)
        say_value(out, without, unit);
    ADD(out, "\n");
}

static void say_classes(struct buf *out, const struct drill_result *r)
{
    const struct drill_scenario *s = r->scenario;

    for (int p = 0; p < PRIORITY_N; p++) {
        const char *word = config_priority_name((enum priority)p);
        char name[40];

        if (!has_class(s, (enum priority)p))
            continue;
        snprintf(name, sizeof name, "%s: wait p99", word);
        say_row(out, r, name, drill_class_p99_ms(s, r->gateway.wait, (enum priority)p), NAN, " ms");
        snprintf(name, sizeof name, "%s: token p99", word);
        say_row(out, r, name, drill_class_p99_ms(s, r->gateway.ttft, (enum priority)p),
                drill_class_p99_ms(s, r->direct.ttft, (enum priority)p), " ms");
    }
}

static void say_bounds(struct buf *out, const struct drill_result *r)
{
    ADD(out, "\n");
    for (size_t i = 0; i < drill_bounds_n(r->scenario); i++) {
        const struct drill_bound *b = &r->scenario->bounds[i];
        const struct drill_measure_row *row = drill_measure_row(b->what);
        const struct drill_verdict *v = &r->verdicts[i];
        const char *of = whose(r->scenario, b);

        ADD(out, "  %-7s %s%s%s %s %g: ",
            !v->judged ? "-"
            : v->kept  ? "kept"
                       : "BROKEN",
            row->name, of != NULL ? " of " : "", of != NULL ? of : "", row->at_least ? "at least" : "at most",
            b->limit);
        if (isnan(v->value))
            ADD(out, "not measured\n");
        else
            ADD(out, "%.6g\n", v->value);
    }
}

void drill_report_text(const struct drill_result *r, struct buf *out)
{
    const struct drill_figures *g = &r->gateway, *d = &r->direct;

    ADD(out, "%s (seed %llu): %s\n\n  %-22s%*s", r->scenario->name, (unsigned long long)r->seed,
        r->scenario->what, "", WIDTH, "tidegate");
    ADD(out, "%*s\n", r->has_direct ? WIDTH : 0, r->has_direct ? "direct" : "");
    say_row(out, r, "requests", (double)g->requests_n, (double)d->requests_n, "");
    for (int e = END_FULL; e <= END_FAILED; e++)
        say_row(out, r, ending_name((enum ending)e), (double)g->ended_n[e], (double)d->ended_n[e], "");
    say_row(out, r, "sent by clients", (double)g->attempts_n, (double)d->attempts_n, "");
    say_row(out, r, "amplification", amplification(g), amplification(d), "");
    say_row(out, r, "fail-over", g->failover_ms, NAN, " ms");
    say_row(out, r, "recovery", g->recovery_ms, d->recovery_ms, " ms");
    say_classes(out, r);
    say_bounds(out, r);
}

void drill_report_list(struct buf *out)
{
    for (size_t i = 0; i < drill_scenarios_n(); i++) {
        const struct drill_scenario *s = drill_scenario_at(i);

        ADD(out, "%-18s %s\n", s->name, s->what);
    }
}
