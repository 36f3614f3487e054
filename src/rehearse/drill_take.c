/* SPDX-License-Identifier: MIT */
/* Running the crowds of a drill. */
#include "rehearse/drill_take.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#define CONNECT_US (5 * CLOCK_SECOND_US)
#define GAP_US (150 * CLOCK_SECOND_US)
#define GRACE_US CLOCK_SECOND_US          /* the gateway's word of a deadline comes a little behind it */
#define STREAM_US (600 * CLOCK_SECOND_US) /* a client reads no longer than that behind its deadline */
#define CONNECTIONS ((size_t)100000)
#define PROMPT_MAX 100000
#define LIMIT_FROM_US (26 * CLOCK_SECOND_US) /* what is found within 30 s is the mean of these looks */
#define LIMIT_TO_US (34 * CLOCK_SECOND_US)

struct crowd {
    struct drill_take *take;
    const struct drill_crowd *data;
    struct trace trace; /* the steps, as ServeGen's traces have them */
    struct trace_window windows[DRILL_STEPS_MAX];
    const struct trace *traces[1];
    struct source *source;
    struct load *load;
    struct header headers[1];
    char deadline[24], authorization[96];
    bool done;
};

struct drill_take {
    struct loop *loop;
    const struct drill_scenario *scenario;
    struct drill_take_opts opts;
    struct crowd crowds[DRILL_CROWDS_MAX];
    size_t crowds_n, running_n;
    int64_t start_us;
    struct drill_record *records;
    size_t records_n, records_cap;
    struct timer look;
    struct drill_watch watch;
};

static int64_t us_of(double s)
{
    return (int64_t)(s * (double)CLOCK_SECOND_US);
}

bool drill_is_bad(enum outcome o)
{
    enum outcome_kind kind = outcome_row(o)->kind;

    return kind == KIND_BUSY || kind == KIND_FAULT || kind == KIND_CREDENTIAL;
}

/* -- looking --------------------------------------------------------------------------------------------- */

static void count(struct drill_take *t, const struct drill_sight *sights, int64_t at_us)
{
    const struct drill_scenario *s = t->scenario;
    struct drill_watch *w = &t->watch;
    int64_t failed = 0, refused = 0;
    size_t n = drill_providers_n(s);
    bool limits = at_us >= LIMIT_FROM_US && at_us < LIMIT_TO_US;
    struct drill_span span = drill_measured(s);
    bool measures = at_us >= span.from_us && at_us < span.to_us;

    for (size_t i = 0; i < n; i++) {
        failed += s->troubled >> i & 1 ? sights[i].failed_n : 0;
        refused += sights[i].refused_n;
        w->limit_sum[i] += limits ? sights[i].limit : 0;
    }
    if (at_us < us_of(s->trouble_s) || !w->began)
        w->failed_before = failed;
    if (at_us >= us_of(s->trouble_s) && w->detected_us < 0 && failed > w->failed_before)
        w->detected_us = at_us;
    if (!measures && !w->measures)
        w->refused_before = refused;
    if (measures)
        w->refused_n = refused - w->refused_before;
    w->measures |= measures;
    w->looks_n += measures;
    w->limit_looks_n += limits;
    w->began = true;
}

static void on_look(struct timer *timer)
{
    struct drill_take *t = CONTAINER_OF(timer, struct drill_take, look);
    struct drill_sight sights[DRILL_PROVIDERS_MAX] = {{0}};

    t->opts.look(t->opts.ud, sights);
    count(t, sights, t->loop->now_us - t->start_us);
    timer_set(&t->loop->wheel, &t->look, clock_add(t->loop->now_us, DRILL_LOOK_US));
}

/* -- what comes of the requests -------------------------------------------------------------------------- */

static void on_ended(void *ud, const struct load_ended *e)
{
    struct crowd *c = ud;
    struct drill_take *t = c->take;
    struct drill_record *r;

    if (t->records_n == t->records_cap) {
        t->records_cap = t->records_cap > 0 ? 2 * t->records_cap : 4096;
        t->records = mem_realloc(t->records, t->records_cap * sizeof *t->records);
    }
    r = &t->records[t->records_n++];
    *r = (struct drill_record){
        .at_us = e->intended_us - t->start_us,
        .first_us = e->first_us > 0 ? e->first_us - t->start_us : 0,
        .ended_us = e->ended_us - t->start_us,
        .prompt_tokens = e->arrival->prompt_tokens,
        .answer_tokens = e->arrival->answer_tokens,
        .crowd = (uint8_t)(c - t->crowds),
        .ending = (uint8_t)(e->ending == END_REFUSED ? END_FAILED : e->ending), /* all of them are valid */
        .attempts_n = (uint8_t)e->attempts_n,
    };
    if (c->data->plain && r->first_us == 0 && e->ending < END_FAILED)
        r->first_us = r->ended_us;
}

static void on_done(void *ud)
{
    struct crowd *c = ud;
    struct drill_take *t = c->take;

    c->done = true;
    if (--t->running_n > 0)
        return;
    timer_stop(&t->loop->wheel, &t->look);
    t->opts.on_done(t->opts.ud);
}

/* -- making crowds --------------------------------------------------------------------------------------- */

static void make_schedule(struct crowd *c, const struct drill_scenario *s)
{
    const struct drill_step *steps = c->data->steps;
    size_t n = 0;

    for (; n < DRILL_STEPS_MAX && (n == 0 || steps[n].at_s > 0); n++) {
        double to_s = n + 1 < DRILL_STEPS_MAX && steps[n + 1].at_s > 0 ? steps[n + 1].at_s : s->duration_s;

        c->windows[n] = (struct trace_window){.from_us = us_of(steps[n].at_s),
                                              .to_us = us_of(to_s < s->duration_s ? to_s : s->duration_s),
                                              .rate = steps[n].rate,
                                              .gaps = GAPS_GAMMA,
                                              .shape = 1};
    }
    c->trace = (struct trace){.format = TRACE_SERVEGEN, .windows = c->windows, .windows_n = n};
    c->traces[0] = c->data->trace != NULL ? c->data->trace : &c->trace;
}

static struct source *make_source(struct crowd *c)
{
    const struct drill_take *t = c->take;
    const struct drill_crowd *d = c->data;
    const char *why = "";
    bool traced = d->trace != NULL;
    struct source_opts so = {.seed = t->opts.seed * 31 + (uint64_t)(c - t->crowds),
                             .speed = 1,
                             .scale = traced ? d->scale : 1,
                             .traces = c->traces,
                             .traces_n = 1,
                             .prompt = d->prompt,
                             .answer = d->answer,
                             .own_prompt = !traced,
                             .own_answer = !traced,
                             .prompt_max = PROMPT_MAX,
                             .duration_us = us_of(t->scenario->duration_s),
                             .limit = UINT64_MAX,
                             .stream_share = d->plain ? 0 : 1,
                             .shared_kinds = 1};
    struct source *s = source_new(&so, &why);

    ASSERT(s != NULL); /* rates are bounded by who wrote the scenario */
    return s;
}

static void start_crowd(struct drill_take *t, struct crowd *c)
{
    const struct drill_crowd *d = c->data;
    struct load_opts o = {
        .target = t->opts.target,
        .prompts = {.seed = t->opts.seed + (uint64_t)(c - t->crowds),
                    .model = SLICE("drill~tokens={answer}"),
                    .length_field = "max_tokens"},
        .headers = c->headers,
        .headers_n = 1,
        .connections = CONNECTIONS,
        .waiting_max = LOAD_WAITING_MAX,
        .connect_us = CONNECT_US,
        .first_us = clock_add(d->deadline_us, GRACE_US),
        .gap_us = GAP_US,
        .total_us = clock_add(d->deadline_us, d->plain ? GRACE_US : STREAM_US),
        .sdk = !d->once,
        .seed = t->opts.seed + 77,
        .on_ended = on_ended,
        .on_done = on_done,
        .ud = c,
    };

    c->take = t;
    snprintf(c->deadline, sizeof c->deadline, "%lld", (long long)(d->deadline_us / CLOCK_MS_US));
    c->headers[0] = (struct header){SLICE("x-tidegate-deadline-ms"), slice_of(c->deadline)};
    snprintf(c->authorization, sizeof c->authorization, "Bearer drill-%s", d->name);
    o.authorization[SOURCE_NO_CLASS] = c->authorization;
    make_schedule(c, t->scenario);
    c->source = o.source = make_source(c);
    c->load = load_new(t->loop, &o);
}

struct drill_take *drill_take_new(struct loop *l, const struct drill_scenario *s,
                                  const struct drill_take_opts *o)
{
    struct drill_take *t = MEM_NEW(struct drill_take);

    t->loop = l;
    t->scenario = s;
    t->opts = *o;
    t->start_us = l->now_us;
    t->watch.detected_us = -1;
    t->crowds_n = drill_crowds_n(s);
    for (size_t i = 0; i < t->crowds_n; i++)
        t->running_n += !(o->quiet && s->crowds[i].floods);
    for (size_t i = 0; i < t->crowds_n; i++) {
        t->crowds[i].data = &s->crowds[i];
        if (!(o->quiet && s->crowds[i].floods))
            start_crowd(t, &t->crowds[i]);
    }
    timer_init(&t->look, on_look);
    if (o->look != NULL)
        timer_set(&l->wheel, &t->look, clock_add(l->now_us, DRILL_LOOK_US));
    return t;
}

void drill_take_stop(struct drill_take *t)
{
    for (size_t i = 0; i < t->crowds_n; i++) {
        if (t->crowds[i].load != NULL && !t->crowds[i].done)
            load_stop(t->crowds[i].load);
    }
}

void drill_take_free(struct drill_take **tp)
{
    struct drill_take *t = *tp;

    *tp = NULL;
    if (t == NULL)
        return;
    timer_stop(&t->loop->wheel, &t->look);
    for (size_t i = 0; i < t->crowds_n; i++) {
        load_free(&t->crowds[i].load);
        source_free(&t->crowds[i].source);
    }
    mem_free(t->records);
    mem_free(t);
}

const struct drill_record *drill_take_records(const struct drill_take *t, size_t *n)
{
    *n = t->records_n;
    return t->records;
}

const struct drill_watch *drill_take_watch(const struct drill_take *t)
{
    return &t->watch;
}
