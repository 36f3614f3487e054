/* SPDX-License-Identifier: MIT */
/* When the tide has gone out: memory that a crowd of clients took goes back to the system.
 *
 * Why: the allocator gives a heap's top back by itself, and never what is free below something that stayed.
 * Nine thousand streams left 99 % of what they had taken (docs/bench.md). Walking through free memory takes
 * milliseconds, so a helper does it, and only when three quarters of a crowd have left. */
#ifndef GATEWAY_EBB_H
#define GATEWAY_EBB_H

#include <stdbool.h>
#include <stddef.h>

#include "io/helpers.h"
#include "io/timer.h"

struct worker;

struct ebb {
    struct timer timer;
    struct task task;
    size_t peak;   /* of connections and exchanges since memory last went back */
    size_t done_n; /* how often it went back */
    bool waits;    /* the timer is set */
    bool works;    /* the task is at a helper */
};

void ebb_init(struct worker *w);
void ebb_fini(struct worker *w); /* it does not work */
/* A connection or an exchange of the worker has come or gone. */
void ebb_note(struct worker *w);

#endif
