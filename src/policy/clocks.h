/* SPDX-License-Identifier: MIT */
/* The three clocks of a call and the deadline over all calls (DESIGN 4.1, conventions 1.6). Pure.
 *
 * transport: time since the last byte of any kind; streaming calls only.
 * progress:  time since the last payload event, once there was one; comments and blank lines never count.
 * deadline:  one point in time for the whole request; a streaming answer is past it with its first
 *            payload event. */
#ifndef POLICY_CLOCKS_H
#define POLICY_CLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/outcome.h"

struct clocks {
    bool streaming;
    int64_t transport_us, progress_us; /* the bounds */
    int64_t deadline_at_us;            /* absolute */
    int64_t stream_max_at_us;          /* absolute; rules once a payload event has come */
    int64_t last_byte_us;              /* when sent, then any byte */
    int64_t last_payload_us;           /* 0: none yet */
};

/* The earliest point at which one of the clocks can run out; CLOCK_NEVER_US if none runs. */
int64_t clocks_due(const struct clocks *c);
/* Which clock has run out at `now`: OUTCOME_TRANSPORT_TIMEOUT, _STALLED, _DEADLINE, or OUTCOME_OK for none.
 * paused: the client's own slowness holds the call back, so silence is not the endpoint's fault: only the
 * deadline and stream_max count. */
enum outcome clocks_check(const struct clocks *c, int64_t now_us, bool paused);
/* As clocks_due, while paused: the deadline or stream_max alone, so that a timer set for it does not fire
 * at once. */
int64_t clocks_due_paused(const struct clocks *c);
/* The pause has ended at `now`: the silence so far was not the endpoint's, so both silences are counted from
 * here. */
void clocks_resume(struct clocks *c, int64_t now_us);

/* The deadline of a request (absolute): now + the smallest of the model's, the client's header
 * (x-tidegate-deadline-ms, 0: none) and the client's own patience (x-stainless-read-timeout in s, 0: none; a
 * small margin is left so that our answer comes before the client gives up). */
int64_t clocks_deadline(int64_t now_us, int64_t model_us, int64_t header_ms, double client_timeout_s);

#endif
