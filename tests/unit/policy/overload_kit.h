/* SPDX-License-Identifier: MIT */
/* A provider with slots, a line of clients in front of it, and a limiter in between, event by event.
 *
 * Service = 0.2 s + 0.1 ms per prompt token + 30 ms per answer token, lengths of the Azure chat sample, in an
 * order that the seed shuffles; arrivals are Poisson. The provider either refuses what is past its slots, or
 * lets it wait; it can refuse at random as well. Clients wait in the line, first come first served, until
 * their patience ends; one that was refused goes back to its head. */
#ifndef TESTS_OVERLOAD_KIT_H
#define TESTS_OVERLOAD_KIT_H

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "policy/limiter.h"
#include "support/samples.h"

#define SECOND CLOCK_SECOND_US
#define REFUSAL_US INT64_C(20000) /* a refusal is back after this */
#define PATIENCE_US (10 * SECOND) /* where a scene says nothing else */
#define GOOD_US (5 * SECOND)      /* time to first token of an answer that counts */

#define FIGURES_S 1000

/* What a run is. */
struct scene {
    int slots;
    bool queues;   /* rather than refusing */
    bool plain;    /* answers in one piece: nothing tells a first token */
    double random; /* share refused whatever is in flight */
    double load;   /* offered, of what the slots can do */
    int cap;       /* that the limiter knows; 0: it learns */
    int64_t patience_us;
    double from_s, to_s; /* what is measured */
    double change_s;     /* then the next two hold; 0: nothing changes */
    double load_then;
    int slots_then; /* 0: as before */
    uint64_t seed;
};

struct figures {
    double offered, good, refused;                  /* per second of what is measured */
    double goodput;                                 /* per cent of the smaller of offered and capacity */
    int64_t lost;                                   /* left the line */
    int limit_at[FIGURES_S], waiting_at[FIGURES_S]; /* second by second from the start */
};

enum event_kind { ARRIVES, REFUSED, FIRST, ENDS, OPENS };

struct event {
    int64_t at_us;
    uint64_t order;
    enum event_kind kind;
    int who; /* the call */
};

struct job {
    struct limiter_call call;
    int64_t arrived_us, begun_us;
    uint32_t prompt, answer;
    bool good;
    int next; /* free list, or the provider's queue */
};

#define JOBS_N 8192
#define LINE_N 65536

struct rig {
    const struct scene *scene;
    struct figures *out;
    struct limiter limiter;
    struct rng dice;
    const struct trace *trace;
    uint32_t *order; /* shuffled rows */
    size_t row;
    int64_t now_us, wake_us;
    struct event heap[JOBS_N * 2];
    int heap_n;
    uint64_t events_n;
    struct job jobs[JOBS_N];
    int free;
    int line[LINE_N]; /* jobs that wait: a ring */
    unsigned line_first, line_n;
    int in_flight, busy, queue_first, queue_last;
    double mean_us;
    bool changed;
    int seconds;
    int64_t good_n, offered_n, refused_n;
};

static inline bool event_before(const struct event *a, const struct event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static inline void post(struct rig *r, int64_t at_us, enum event_kind kind, int who)
{
    struct event e = {at_us, r->events_n++, kind, who};
    int i = r->heap_n++;

    ASSERT(r->heap_n <= JOBS_N * 2);
    for (; i > 0 && event_before(&e, &r->heap[(i - 1) / 2]); i = (i - 1) / 2)
        r->heap[i] = r->heap[(i - 1) / 2];
    r->heap[i] = e;
}

static inline struct event next_event(struct rig *r)
{
    struct event first = r->heap[0], last = r->heap[--r->heap_n];
    int i = 0;

    for (int child; (child = 2 * i + 1) < r->heap_n; i = child) {
        if (child + 1 < r->heap_n && event_before(&r->heap[child + 1], &r->heap[child]))
            child++;
        if (!event_before(&r->heap[child], &last))
            break;
        r->heap[i] = r->heap[child];
    }
    r->heap[i] = last;
    return first;
}

static inline int slots_now(const struct rig *r)
{
    return r->changed && r->scene->slots_then > 0 ? r->scene->slots_then : r->scene->slots;
}

static inline int64_t patience_of(const struct rig *r)
{
    return r->scene->patience_us > 0 ? r->scene->patience_us : PATIENCE_US;
}

static inline bool measured(const struct rig *r)
{
    return r->now_us >= r->scene->from_s * SECOND && r->now_us < r->scene->to_s * SECOND;
}

static inline int64_t prefill_us(const struct job *j)
{
    return 200000 + INT64_C(100) * j->prompt;
}

static inline void arrive(struct rig *r)
{
    int who = r->free;
    struct job *j = &r->jobs[who];
    const struct trace_row *row = &r->trace->rows[r->order[r->row++ % r->trace->rows_n]];
    double load = r->changed ? r->scene->load_then : r->scene->load;

    if (load > 0)
        post(r, r->now_us + 1 + (int64_t)rng_exp(&r->dice, r->mean_us / (load * r->scene->slots)), ARRIVES,
             0);
    ASSERT(who >= 0);
    r->free = j->next;
    *j = (struct job){.arrived_us = r->now_us, .prompt = row->prompt_tokens, .answer = row->answer_tokens};
    r->line[(r->line_first + r->line_n++) % LINE_N] = who;
    r->offered_n += measured(r);
}

static inline void serve(struct rig *r, int who)
{
    struct job *j = &r->jobs[who];

    r->busy++;
    post(r, r->now_us + prefill_us(j), FIRST, who);
    post(r, r->now_us + prefill_us(j) + INT64_C(30000) * j->answer, ENDS, who);
}

static inline void release(struct rig *r, int who)
{
    r->jobs[who].next = r->free;
    r->free = who;
}

/* A call goes to the provider. */
static inline void begin(struct rig *r, int who)
{
    struct job *j = &r->jobs[who];

    j->begun_us = r->now_us;
    limiter_begin(&r->limiter, &j->call, ++r->in_flight, r->now_us);
    if (rng_unit(&r->dice) < r->scene->random || (!r->scene->queues && r->busy >= slots_now(r))) {
        post(r, r->now_us + REFUSAL_US, REFUSED, who);
        return;
    }
    if (r->busy < slots_now(r)) {
        serve(r, who);
        return;
    }
    j->next = -1;
    if (r->queue_first < 0)
        r->queue_first = who;
    else
        r->jobs[r->queue_last].next = who;
    r->queue_last = who;
}

/* Lets begin whoever may. */
static inline void grant(struct rig *r)
{
    while (r->line_n > 0) {
        int who = r->line[r->line_first % LINE_N];
        bool late = r->now_us - r->jobs[who].arrived_us > patience_of(r);

        if (!late && !limiter_has_room(&r->limiter, r->in_flight, r->now_us))
            break;
        r->line_first++;
        r->line_n--;
        if (late) {
            release(r, who);
            r->out->lost += measured(r);
            continue;
        }
        begin(r, who);
    }
    if (r->line_n > 0 && limiter_opens_us(&r->limiter) > r->now_us &&
        limiter_opens_us(&r->limiter) > r->wake_us) {
        r->wake_us = limiter_opens_us(&r->limiter);
        post(r, r->wake_us, OPENS, 0);
    }
}

static inline void end(struct rig *r, int who)
{
    struct job *j = &r->jobs[who];

    r->busy--;
    r->in_flight--;
    if (r->scene->plain)
        limiter_answered(&r->limiter, &j->call, r->now_us);
    r->good_n += j->good && measured(r);
    release(r, who);
    while (r->queue_first >= 0 && r->busy < slots_now(r)) {
        int next = r->queue_first;

        r->queue_first = r->jobs[next].next;
        serve(r, next);
    }
}

static inline void step(struct rig *r, const struct event *e)
{
    struct job *j = &r->jobs[e->who];

    switch (e->kind) {
    case ARRIVES:
        arrive(r);
        break;
    case REFUSED:
        r->in_flight--;
        r->refused_n += measured(r);
        limiter_refused(&r->limiter, &j->call, r->in_flight, 0, r->now_us);
        r->line[--r->line_first % LINE_N] = e->who;
        r->line_n++;
        break;
    case FIRST:
        j->good = r->now_us - j->begun_us <= GOOD_US;
        if (!r->scene->plain)
            limiter_first(&r->limiter, &j->call, j->prompt, r->now_us);
        break;
    case ENDS:
        end(r, e->who);
        break;
    case OPENS:
        break;
    }
    grant(r);
}

static inline void every_second(struct rig *r)
{
    for (; r->seconds <= r->now_us / SECOND && r->seconds < FIGURES_S; r->seconds++) {
        r->out->limit_at[r->seconds] = limiter_limit(&r->limiter);
        r->out->waiting_at[r->seconds] = (int)r->line_n;
    }
}

static inline void set_stage(struct rig *r)
{
    double sum = 0;

    rng_seed(&r->dice, r->scene->seed);
    limiter_init(&r->limiter, &(struct limiter_opts){.cap = r->scene->cap});
    r->order = mem_alloc(r->trace->rows_n * sizeof *r->order);
    for (size_t i = 0; i < r->trace->rows_n; i++) {
        size_t k = rng_below(&r->dice, i + 1);

        r->order[i] = r->order[k];
        r->order[k] = (uint32_t)i;
        sum += 200000 + 100.0 * r->trace->rows[i].prompt_tokens + 30000.0 * r->trace->rows[i].answer_tokens;
    }
    r->mean_us = sum / (double)r->trace->rows_n;
    for (int i = 0; i < JOBS_N; i++)
        r->jobs[i].next = i + 1 < JOBS_N ? i + 1 : -1;
    r->queue_first = -1;
    r->line_first = LINE_N / 2;
    post(r, 0, ARRIVES, 0);
}

static inline void play(const struct scene *scene, const struct trace *trace, struct figures *out)
{
    struct rig *r = MEM_NEW(struct rig);
    double span = scene->to_s - scene->from_s, capacity;

    r->scene = scene;
    r->trace = trace;
    r->out = out;
    *out = (struct figures){0};
    set_stage(r);
    while (r->heap_n > 0 && r->now_us < scene->to_s * SECOND) {
        struct event e = next_event(r);

        r->now_us = e.at_us;
        r->changed = scene->change_s > 0 && r->now_us >= scene->change_s * SECOND;
        every_second(r);
        step(r, &e);
    }
    capacity = scene->slots * SECOND / r->mean_us;
    out->offered = (double)r->offered_n / span;
    out->good = (double)r->good_n / span;
    out->refused = (double)r->refused_n / span;
    out->goodput = 100 * out->good / fmin(out->offered, capacity);
    mem_free(r->order);
    mem_free(r);
}

#endif
