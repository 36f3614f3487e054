/* SPDX-License-Identifier: MIT */
/* What the simulator is to do with one request: times, length, and perhaps one fault.
 *
 * It is decided in layers, each of which overrides those before it: the options (faults by probability), the
 * rows of the timeline that hold now, the rule of the listener, and the suffix of the model's name. All but
 * the first are written in the same words: items joined by commas, such as "cut=5" or "ttft=2s,gap=5ms"
 * (docs/sim.md has the list). */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "base/arena.h"
#include "sim/sim.h"
#include "sim/timeline.h"

#define SIM_TOKENS_MAX 100000
#define SIM_SIZE_MAX (8 * 1024 * 1024) /* less than any loop lets wait for a caller */

/* Where a stream's comments stand, in the forms that tidegate itself writes. */
enum sim_comments {
    SIM_COMMENT_FIRST = 1,   /* before the first event */
    SIM_COMMENT_BETWEEN = 2, /* before every later one */
    SIM_COMMENT_ID = 4,      /* inside every event, behind an id line */
    SIM_COMMENT_DONE = 8     /* before the end mark */
};

struct sim_plan {
    struct sim_time ttft, gap;
    int64_t queue_us; /* keep-alives for that long before the answer may begin */
    int64_t tokens;   /* -1: as the text has it */
    size_t size;      /* pad events to so many bytes; 0: not at all */
    enum sim_fault fault;
    int64_t k;                /* tokens before the fault shows */
    int64_t fault_us;         /* its time; -1: its own default */
    struct slice retry_after; /* as asked for; .p NULL: what the refusal has of itself */
    unsigned comments;        /* enum sim_comments */
    bool continues;           /* goes on with a last message of the assistant's */
    bool calls_tool;          /* answers with a tool call where the request has tools */
};

/* The request that is planned for. */
struct sim_case {
    const struct sim_opts *opts;
    struct slice model;          /* with its suffix */
    const struct sim_rule *rule; /* the listener's */
    struct slice listener;       /* its name */
    int64_t age_us;              /* since the simulator began */
};

/* Draws from `dice` and then obeys the layers. False with one sentence in *why (in the arena) when the suffix
 * cannot be understood. */
bool sim_plan_make(const struct sim_case *c, struct rng *dice, struct arena *arena, struct sim_plan *out,
                   const char **why);
/* All items that a suffix may have, for messages: "ttft=TIME, ..., cut=K". In the arena. */
const char *sim_plan_words(struct arena *arena);

#endif
