/* SPDX-License-Identifier: MIT */
/* How many connections to one endpoint may be in the making, after how many failures.
 *
 * Why: an endpoint that refuses, or breaks off handshakes (which is how DeepSeek's throttling looks from
 * outside), would otherwise be dialled once by every waiting call and every retry of theirs, as fast as the
 * machine can: TLS handshakes that all fail, at a full processor.
 *
 * A healthy endpoint never notices: the window is GATE_WINDOW_MAX and a single failure only halves what is
 * under way. After GATE_SHUT_N failures with no success between them the gate is shut: one connection at a
 * time, with a pause of 10 ms, doubling to 250 ms, before the next. The first success opens it again, and the
 * window doubles with each further one.
 *
 * Pure: time and dice are arguments. */
#ifndef UPSTREAM_GATE_H
#define UPSTREAM_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

#define GATE_WINDOW_MAX 1024
#define GATE_SHUT_N 3

struct gate {
    size_t window;       /* most connections in the making */
    size_t busy_n;       /* in the making */
    unsigned failures_n; /* since the last success */
    int64_t next_us;     /* not before this time */
};

enum gate_end { GATE_SUCCESS, GATE_FAILURE, GATE_CANCELLED };

void gate_init(struct gate *g);
/* True: one more may be made now, and gate_leave must follow. */
bool gate_enter(struct gate *g, int64_t now_us);
void gate_leave(struct gate *g, enum gate_end end, int64_t now_us, struct rng *dice);
/* Whether failures follow each other, so that a new attempt would most likely be one more. */
bool gate_is_shut(const struct gate *g);
/* When gate_enter may be worth asking again although nothing has left; INT64_MAX: only when something does.
 */
int64_t gate_opens_us(const struct gate *g);

#endif
