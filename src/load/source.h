/* SPDX-License-Identifier: MIT */
/* Where requests come from: one arrival after the other, from a trace or from a distribution.
 *
 * Every decision that chance has a part in is made here, in the order of the arrivals, so that a seed repeats
 * a run whatever the server does. Nothing is stored ahead but, of ServeGen's traces, one window per client.
 *
 * Scaling keeps the shape: `speed` runs the trace's clock faster; `scale` multiplies the requests inside the
 * same time. Rows of a trace are thinned out by a coin below 1; above it, copies of a row come at random
 * times before the next row. */
#ifndef LOAD_SOURCE_H
#define LOAD_SOURCE_H

#include "load/amount.h"
#include "load/trace.h"

#define SOURCE_CLASSES_MAX 4
#define SOURCE_NO_CLASS SOURCE_CLASSES_MAX
#define SOURCE_SCALE_MAX 1000

enum source_process { PROCESS_CONSTANT, PROCESS_POISSON, PROCESS_GAMMA };

struct arrival {
    int64_t at_us;   /* since the start of the run */
    uint64_t number; /* from 0 */
    uint32_t prompt_tokens;
    uint32_t answer_tokens; /* 0: not bounded */
    const uint32_t *blocks; /* of the prompt's beginning, TRACE_BLOCK_TOKENS each; borrowed from the trace */
    uint32_t blocks_n;
    uint32_t copy;     /* blocks of different copies are different */
    int shared;        /* which shared beginning the prompt has; -1: none */
    unsigned class_no; /* or SOURCE_NO_CLASS */
    bool stream;
    int64_t leave_us; /* the client leaves that long after it asked; 0: never */
};

struct source_opts {
    uint64_t seed;
    const struct trace *const *traces; /* of one format; several for ServeGen alone */
    size_t traces_n;                   /* 0: the process below */
    double speed, scale;               /* > 0; scale at most SOURCE_SCALE_MAX for rows */
    int64_t from_us;                   /* where in the trace the run begins */
    enum source_process process;
    double rate, cv;                        /* requests per second; cv for PROCESS_GAMMA */
    struct spread prompt;                   /* where the trace tells no lengths */
    struct spread answer;                   /* median 0: not bounded */
    bool own_prompt, own_answer;            /* the spreads count even where the trace tells lengths */
    uint32_t prompt_max;                    /* longer prompts are cut */
    int64_t duration_us;                    /* no arrivals from then on; CLOCK_NEVER_US: none */
    uint64_t limit;                         /* most arrivals */
    double class_share[SOURCE_CLASSES_MAX]; /* sum 1, or all 0: no classes */
    double stream_share;
    double shared_share;
    uint32_t shared_kinds;
    double leave_share;
    int64_t leave_us;
};

struct source;

/* Traces are borrowed. NULL with a sentence in *why when a window of a trace, scaled, would hold more than
 * ten million requests. */
struct source *source_new(const struct source_opts *o, const char **why);
void source_free(struct source **s);
/* False when there are no more. Times never go back. */
bool source_next(struct source *s, struct arrival *out);

#endif
