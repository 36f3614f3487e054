/* SPDX-License-Identifier: MIT */
/* What the simulator is to do with one request: times, length, and perhaps one fault.
 *
 * A model name may end with a suffix that says so: NAME~item,item... with items such as cut=5 or ttft=2s
 * (docs/sim.md has the list). */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "base/arena.h"
#include "base/rng.h"
#include "sim/sim.h"

#define SIM_TOKENS_MAX 100000
#define SIM_SIZE_MAX (8 * 1024 * 1024) /* less than any loop lets wait for a caller */

struct sim_plan {
    struct sim_time ttft, gap;
    int64_t queue_us; /* keep-alives for that long before the answer may begin */
    int64_t tokens;   /* -1: as the text has it */
    size_t size;      /* pad events to so many bytes; 0: not at all */
    enum sim_fault fault;
    int64_t k; /* tokens before the fault shows */
};

/* Draws from `dice` and then obeys the suffix of `model`. False with one sentence in *why (in the arena) when
 * the suffix cannot be understood. */
bool sim_plan_make(const struct sim_opts *o, struct slice model, struct rng *dice, struct arena *arena,
                   struct sim_plan *out, const char **why);

int64_t sim_time_draw(const struct sim_time *t, struct rng *dice);

#endif
