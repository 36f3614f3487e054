/* SPDX-License-Identifier: MIT */
/* What one key, one key with one model, or one model has used of its limits: windows for requests and tokens,
 * and a count of what is in flight. Pure: the time is an argument.
 *
 *     meter_ask      does one more request fit? nothing is changed by asking, so a refused request extends
 *                    nobody's wait
 *     meter_reserve  it is let through: counted, with its tokens as they were estimated
 *     meter_settle   it is over: its tokens as they really were; or it was never sent, and counts for nothing
 *
 * A request and its tokens count from the moment when it was let through, for one span of each window. */
#ifndef POLICY_METER_H
#define POLICY_METER_H

#include <stdbool.h>

#include "config/config.h"
#include "policy/window.h"

#define METER_WINDOWS_N LIMIT_INFLIGHT /* every limit before it has a window */

struct meter {
    struct config_limits limits;
    struct window windows[METER_WINDOWS_N]; /* of limits that are set */
    int64_t inflight;
};

/* Why a request does not fit. */
struct meter_refusal {
    enum limit limit;
    int64_t n; /* the limit's number */
    int64_t
        wait_us;  /* until it would fit if nothing else came; CLOCK_NEVER_US: never; inflight: 0, unknown */
    int64_t left; /* tpm: tokens that would fit now */
};

/* What became of a reservation. */
struct meter_use {
    int64_t then_us;        /* when it was reserved */
    int64_t reserved, used; /* tokens; used may be more than was reserved */
    bool counts;            /* false: it was never sent to an endpoint, so it is no request either */
};

/* Where a limit stands, for the client. */
struct meter_level {
    int64_t n, left, reset_us; /* n 0: there is no such limit */
};

void meter_init(struct meter *m, const struct config_limits *limits);
void meter_fini(struct meter *m);
/* Other limits from now on. What was counted stays, where a limit of that kind stays. */
void meter_set_limits(struct meter *m, const struct config_limits *limits);

/* Whether one more request of so many tokens fits. If not, *why names the limit that it would wait for
 * longest.
 */
bool meter_ask(struct meter *m, int64_t now_us, int64_t tokens, struct meter_refusal *why);
/* Returns the time under which it is counted (policy/window.h). */
int64_t meter_reserve(struct meter *m, int64_t now_us, int64_t tokens);
/* Exactly once for each reservation. What is to be given back is taken from where it was counted, and has no
 * effect once that has left the window; what was used beyond the reservation counts from now on. */
void meter_settle(struct meter *m, int64_t now_us, const struct meter_use *use);

/* The request window (or the token window) with the least left; of equals the one that takes longest to
 * reset. */
struct meter_level meter_requests(struct meter *m, int64_t now_us);
struct meter_level meter_tokens(struct meter *m, int64_t now_us);
/* The tighter of two levels. */
struct meter_level meter_level_min(struct meter_level a, struct meter_level b);

#endif
