/* SPDX-License-Identifier: MIT */
/* Arrivals: when (a process, the rows of a trace, the windows of a trace) and what (lengths, class, form).
 */
#include "load/source.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "load/source_private.h"

#define GAPS_SALT UINT64_C(0x6761707367617073)

/* -- when ------------------------------------------------------------------------------------------------ */

static double process_gap(struct source *s)
{
    const struct source_opts *o = &s->opts;

    switch (o->process) {
    case PROCESS_CONSTANT:
        return 1;
    case PROCESS_POISSON:
        return rng_exp(&s->gaps, 1);
    default:
        return amount_gamma(1 / (o->cv * o->cv), &s->gaps);
    }
}

/* The first comes one gap after the start, but at once when all gaps are equal. */
static bool process_next(struct source *s, struct arrival *out)
{
    double mean_us = (double)CLOCK_SECOND_US / (s->opts.rate * s->opts.speed * s->opts.scale);

    if (s->opts.process == PROCESS_CONSTANT) /* not a sum: it would drift */
        s->at_us = (double)s->next_number * mean_us;
    else
        s->at_us += process_gap(s) * mean_us;
    if (s->at_us >= (double)CLOCK_NEVER_US / 2)
        return false;
    out->at_us = (int64_t)s->at_us;
    return true;
}

static bool next_time(struct source *s, struct arrival *out)
{
    if (s->opts.traces_n == 0)
        return process_next(s, out);
    if (s->opts.traces[0]->format == TRACE_SERVEGEN)
        return windows_next(s, out);
    return rows_next(s, out);
}

/* -- what ------------------------------------------------------------------------------------------------ */

static unsigned draw_class(struct source *s)
{
    double u = rng_unit(&s->dice), sum = 0;
    unsigned last = SOURCE_NO_CLASS;

    for (unsigned i = 0; i < SOURCE_CLASSES_MAX; i++) {
        if (s->opts.class_share[i] <= 0)
            continue;
        last = i;
        sum += s->opts.class_share[i];
        if (u < sum)
            return i;
    }
    return last; /* the shares' sum may be a little less than 1 */
}

static void draw_lengths(struct source *s, struct arrival *out)
{
    const struct source_opts *o = &s->opts;

    if (out->prompt_tokens == 0 || o->own_prompt) {
        out->prompt_tokens = amount_draw(&o->prompt, o->prompt_max, &s->dice);
        out->blocks_n = 0;
    }
    if (o->answer.median > 0 && (out->answer_tokens == 0 || o->own_answer))
        out->answer_tokens = amount_draw(&o->answer, TRACE_TOKENS_MAX, &s->dice);
    if (out->prompt_tokens > o->prompt_max)
        out->prompt_tokens = o->prompt_max;
}

/* Chance is asked the same number of times for every request. */
static void draw_form(struct source *s, struct arrival *out)
{
    const struct source_opts *o = &s->opts;
    double shared = rng_unit(&s->dice), leave;
    uint64_t kind = rng_u64(&s->dice);

    out->class_no = draw_class(s);
    out->stream = rng_unit(&s->dice) < o->stream_share;
    leave = rng_unit(&s->dice);
    out->leave_us = leave < o->leave_share ? o->leave_us : 0;
    out->shared = shared < o->shared_share ? (int)(kind % o->shared_kinds) : -1;
}

bool source_next(struct source *s, struct arrival *out)
{
    *out = (struct arrival){.number = s->next_number};
    if (s->next_number >= s->opts.limit || !next_time(s, out) || out->at_us >= s->opts.duration_us)
        return false;
    s->next_number++;
    draw_lengths(s, out);
    draw_form(s, out);
    return true;
}

struct source *source_new(const struct source_opts *o, const char **why)
{
    struct source *s = MEM_NEW(struct source);

    ASSERT(o->speed > 0 && o->scale > 0 && o->prompt.median >= 1 && o->prompt_max >= 1);
    ASSERT(o->shared_share <= 0 || o->shared_kinds > 0);
    ASSERT(o->scale <= SOURCE_SCALE_MAX || o->traces_n == 0 || o->traces[0]->format == TRACE_SERVEGEN);
    s->opts = *o;
    rng_seed(&s->dice, o->seed);
    rng_seed(&s->gaps, o->seed ^ GAPS_SALT);
    if (o->traces_n == 0)
        return s;
    s->rows.trace = o->traces[0];
    if (o->traces[0]->format == TRACE_SERVEGEN && !windows_init(s)) {
        *why = "A window of the trace would hold more than 10,000,000 requests: choose a smaller --scale.";
        source_free(&s);
    }
    return s;
}

void source_free(struct source **sp)
{
    struct source *s = *sp;

    *sp = NULL;
    if (s == NULL)
        return;
    windows_fini(s);
    mem_free(s);
}
