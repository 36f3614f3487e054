/* SPDX-License-Identifier: MIT */
/* When the tide has gone out: memory that a crowd took goes back to the system.
 *
 * Why: the allocator gives a heap's top back by itself, and never what is free below something that stayed.
 * Nine thousand streams left 99 % of what they had taken (docs/bench.md). What a crowd has left behind is
 * found in steps (base/shed.h), each in a turn of its own, and only when three quarters of the crowd are
 * gone.
 *
 * There are two tides: clients with their requests, and connections to endpoints that rest behind them,
 * which end by and by for the time of timeouts.pool_idle. With TLS each of these holds more than its client
 * did. */
#ifndef GATEWAY_EBB_H
#define GATEWAY_EBB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/shed.h"
#include "io/timer.h"

struct worker;

enum tide { TIDE_CLIENTS, TIDE_RESTING, TIDES_N };

struct ebb {
    struct timer timer;
    size_t resting_n;     /* connections to endpoints */
    size_t peak[TIDES_N]; /* since memory last went back */
    struct shed shed;
    size_t steps_n, steps_left; /* of the walk under way: first half to take, second half to put back */
    size_t done_n;              /* how often it went back */
    bool waits;                 /* the timer is set for a fall to last */
};

void ebb_init(struct worker *w);
void ebb_fini(struct worker *w);
/* A connection or an exchange of the worker has come or gone. */
void ebb_note(struct worker *w);
/* pool_opts.note: so many connections to endpoints more, or less, are at rest. `ud` is the worker. */
void ebb_note_resting(void *ud, int change);

#endif
