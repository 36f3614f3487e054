/* SPDX-License-Identifier: MIT */
/* Making figures. */
#include "rehearse/drill_figures.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#define JSON_POOL_BYTES (16 * 1024)
#define EDGE_US CLOCK_SECOND_US /* who came that short before the trouble was struck by it */

static int64_t us_of(double s)
{
    return (int64_t)(s * (double)CLOCK_SECOND_US);
}

static double ms_of(int64_t us)
{
    return (double)us / (double)CLOCK_MS_US;
}

/* -- clients --------------------------------------------------------------------------------------------- */

static bool is_counted(const struct drill_record *r)
{
    return r->ending <= END_FAILED;
}

static bool is_answered(const struct drill_record *r)
{
    return r->ending == END_FULL || r->ending == END_DEGRADED || r->ending == END_DEFERRED;
}

/* Its client fared worse than on a good day. */
static bool is_slow(const struct drill_scenario *s, const struct drill_record *r)
{
    return is_counted(r) && (!is_answered(r) || r->first_us == 0 || r->first_us - r->at_us > s->slow_us);
}

struct drill_span drill_measured(const struct drill_scenario *s)
{
    bool own = s->to_s > s->from_s;

    return (struct drill_span){us_of(own ? s->from_s : s->trouble_s), us_of(own ? s->to_s : s->calm_s)};
}

static bool has_trouble(const struct drill_scenario *s)
{
    return s->calm_s > s->trouble_s;
}

static void count_trouble(const struct drill_scenario *s, const struct drill_record *r,
                          struct drill_figures *f)
{
    bool in_it = has_trouble(s) && r->at_us >= us_of(s->trouble_s) && r->at_us < us_of(s->calm_s);
    double behind_ms = ms_of(r->at_us - us_of(s->calm_s));

    if (in_it) {
        f->trouble_n++;
        f->trouble_slow_n += is_slow(s, r);
    } else if (is_counted(r) && (r->at_us >= us_of(s->calm_s) || r->at_us < us_of(s->trouble_s) - EDGE_US)) {
        f->calm_counted_n++;
        f->calm_answered_n += is_answered(r);
    }
    if (has_trouble(s) && behind_ms >= 0 && is_slow(s, r) && behind_ms > f->recovery_ms)
        f->recovery_ms = behind_ms;
}

static void count_record(const struct drill_scenario *s, const struct drill_record *r,
                         struct drill_figures *f)
{
    f->requests_n++;
    f->attempts_n += r->attempts_n;
    f->ended_n[r->ending]++;
    f->counted_n += is_counted(r);
    f->answered_n += is_answered(r);
    if (is_answered(r) && r->first_us > 0)
        hist_add(&f->ttft[r->crowd], r->first_us - r->at_us);
    if (s->crowds[r->crowd].floods)
        return;
    f->others_counted_n += is_counted(r);
    f->others_answered_n += is_answered(r);
    count_trouble(s, r, f);
}

/* -- goodput --------------------------------------------------------------------------------------------- */

/* How long the first provider works on an answer, without waiting and without chance. */
static double service_us(const struct drill_provider *p, const struct drill_record *r)
{
    double tokens = r->answer_tokens > 0 ? r->answer_tokens - 1 : 0;

    return (double)p->ttft_us + (double)p->prefill_us * r->prompt_tokens / 1000 + (double)p->gap_us * tokens;
}

/* Answers that ended in the span and began in time, by the smaller of what came and of what could be done. */
static double goodput(const struct drill_scenario *s, const struct drill_record *records, size_t n)
{
    const struct drill_provider *p = &s->providers[0];
    double service_sum_us = 0, offered = 0, good = 0, could;

    for (size_t i = 0; i < n; i++) {
        const struct drill_record *r = &records[i];

        if (r->at_us >= us_of(s->from_s) && r->at_us < us_of(s->to_s)) {
            offered++;
            service_sum_us += service_us(p, r);
        }
        good += r->ended_us >= us_of(s->from_s) && r->ended_us < us_of(s->to_s) && is_answered(r) &&
                !is_slow(s, r);
    }
    if (offered <= 0 || p->slots == 0)
        return NAN;
    could = p->slots * (s->to_s - s->from_s) * (double)CLOCK_SECOND_US / (service_sum_us / offered);
    return good / fmin(offered, could);
}

void drill_figures_of_clients(const struct drill_scenario *s, const struct drill_take *t,
                              struct drill_figures *out)
{
    size_t n;
    const struct drill_record *records = drill_take_records(t, &n);

    memset(out, 0, sizeof *out);
    out->failover_ms = out->goodput = out->refused_per_s = NAN;
    out->recovery_ms = has_trouble(s) ? 0 : NAN;
    for (size_t i = 0; i < DRILL_PROVIDERS_MAX; i++)
        out->used[i] = out->found[i] = NAN;
    for (size_t i = 0; i < n; i++)
        count_record(s, &records[i], out);
    if (s->to_s > s->from_s)
        out->goodput = goodput(s, records, n);
    out->received_n = out->requests_n;
    out->calls_n = out->attempts_n;
}

/* -- the access log -------------------------------------------------------------------------------------- */

struct reading {
    const struct drill_scenario *scenario;
    const struct drill_watch *watch;
    struct drill_figures *out;
    int64_t wall_us; /* when the take began */
    struct json_pool *json;
};

/* "2026-11-22T08:15:30.123Z" */
static int64_t wall_of(struct slice text)
{
    struct tm tm = {0};
    char copy[32] = "";
    const char *rest;
    int ms = 0;

    if (text.n < sizeof copy)
        memcpy(copy, text.p, text.n);
    rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    for (int i = 1; rest != NULL && rest[0] == '.' && i <= 3 && rest[i] >= '0' && rest[i] <= '9'; i++)
        ms = ms * 10 + rest[i] - '0';
    return rest != NULL ? (int64_t)timegm(&tm) * CLOCK_SECOND_US + ms * CLOCK_MS_US : 0;
}

static int crowd_of(const struct drill_scenario *s, struct slice key)
{
    for (size_t i = 0; i < drill_crowds_n(s); i++) {
        if (slice_eq(key, slice_of(s->crowds[i].name)))
            return (int)i;
    }
    return -1;
}

/* Index of a provider; -1: nobody's. */
static int provider_of(const struct drill_scenario *s, struct slice endpoint)
{
    for (size_t i = 0; i < drill_providers_n(s); i++) {
        if (slice_eq(endpoint, slice_of(s->providers[i].name)))
            return (int)i;
    }
    return -1;
}

/* An answer that was given in full. Times in us since the take began. */
struct answer_line {
    int provider;
    int64_t first_us, ended_us, busy_us; /* busy: not in the line */
};

static struct answer_line read_answer(const struct reading *r, struct json_value line)
{
    int64_t took_ms = json_int(json_get(line, "duration_ms"), 0);
    int64_t ttft_ms = json_int(json_get(line, "ttft_ms"), took_ms);
    struct answer_line a = {.provider = provider_of(r->scenario, json_string(json_get(line, "endpoint"))),
                            .ended_us = wall_of(json_string(json_get(line, "ts"))) - r->wall_us};

    a.first_us = a.ended_us + (ttft_ms - took_ms) * CLOCK_MS_US;
    a.busy_us = (took_ms - json_int(json_get(line, "wait_ms"), 0)) * CLOCK_MS_US;
    return a;
}

/* Somebody's first token came from a provider that is not in trouble, behind the first bad call. */
static void note_failover(const struct reading *r, const struct answer_line *a)
{
    double after_ms = ms_of(a->first_us - r->watch->detected_us);

    if (r->watch->detected_us < 0 || a->provider < 0 || (r->scenario->troubled >> a->provider & 1))
        return;
    if (after_ms >= 0 && !(after_ms >= r->out->failover_ms))
        r->out->failover_ms = after_ms;
}

/* What its answers took of a provider's slots. */
static void note_use(const struct reading *r, const struct answer_line *a)
{
    struct drill_span span = drill_measured(r->scenario);

    if (a->provider >= 0 && a->ended_us >= span.from_us && a->ended_us < span.to_us)
        r->out->used[a->provider] += (double)a->busy_us / (double)(span.to_us - span.from_us) /
                                     r->scenario->providers[a->provider].slots;
}

static void read_line(const struct reading *r, struct slice text)
{
    struct json_doc *doc;
    struct json_value line;
    int crowd;

    if (json_parse(text, r->json, &doc, NULL) != ERR_OK)
        return;
    line = json_root(doc);
    crowd = crowd_of(r->scenario, json_string(json_get(line, "key")));
    if (crowd >= 0 && !json_is_absent(json_get(line, "model"))) {
        r->out->received_n++;
        r->out->calls_n += (uint64_t)json_int(json_get(line, "attempts"), 0);
        if (slice_eq(json_string(json_get(line, "result")), SLICE("full"))) {
            struct answer_line a = read_answer(r, line);

            hist_add(&r->out->wait[crowd], json_int(json_get(line, "wait_ms"), 0) * CLOCK_MS_US);
            note_failover(r, &a);
            note_use(r, &a);
        }
    }
    json_free(&doc);
}

void drill_figures_of_log(const struct drill_scenario *s, const struct drill_take *t, struct slice log,
                          int64_t wall_us, struct drill_figures *out)
{
    struct reading r = {s, drill_take_watch(t), out, wall_us, json_pool_new(JSON_POOL_BYTES)};

    out->received_n = out->calls_n = 0;
    for (size_t i = 0; i < drill_providers_n(s); i++)
        out->used[i] = s->providers[i].slots > 0 ? 0 : NAN;
    while (log.n > 0) {
        struct slice line = slice_cut(log, '\n', &log);

        if (line.n > 0)
            read_line(&r, line);
    }
    json_pool_free(&r.json);
}

/* -- providers ------------------------------------------------------------------------------------------- */

void drill_figures_of_watch(const struct drill_scenario *s, const struct drill_take *t,
                            struct drill_figures *out)
{
    const struct drill_watch *w = drill_take_watch(t);

    if (w->looks_n > 0)
        out->refused_per_s =
            (double)w->refused_n * (double)CLOCK_SECOND_US / (double)(w->looks_n * DRILL_LOOK_US);
    for (size_t i = 0; i < drill_providers_n(s); i++) {
        double slots = s->providers[i].slots;

        if (w->limit_looks_n > 0 && w->limit_sum[i] >= 0 && slots > 0)
            out->found[i] = (double)w->limit_sum[i] / (double)w->limit_looks_n / slots;
    }
}
