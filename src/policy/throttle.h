/* SPDX-License-Identifier: MIT */
/* Paces calls to an endpoint that takes few of them, by what it takes (Google's adaptive throttling). Pure.
 *
 * The rule of the SRE book: of `requests` within two minutes `accepts` were taken; requests beyond
 * K x accepts are held, K = 2. A client throws dice and fails those it holds. We hold them in the line, so
 * there are no dice: every accept pays for K calls (a credit), a call costs one, and without credit one call
 * may go per THROTTLE_PROBE_US. So while nothing is taken two calls a second go out; the first that is taken
 * pays for two, these for four: from nothing to everything in a few round trips. An endpoint that takes half
 * of what it is asked is asked no less; one that takes less is asked about K times what it takes.
 *
 * K is 4 for the last usable endpoint: one that takes less than half would starve with 2, each call paying
 * for less than one, and nobody else could answer. It would still starve below a quarter.
 *
 * Two uses. The last usable endpoint whose breaker is not closed is always paced, from throttle_cut on. Any
 * other is paced while it takes less than a third of at least THROTTLE_SAMPLES calls: that is where refusals
 * for being busy, which are no failures, end.
 *
 * A call counts when its fate is known: taken at its first payload event, never at its end (counted at the
 * end the throttle locks itself at a fifth of the capacity), not taken when it was refused or failed before.
 * What ended for reasons of ours counts as neither. The window is two minutes or THROTTLE_CALLS_MAX calls,
 * whatever is less: past that many all counts are halved, or a busy endpoint's good past would let an outage
 * go on for a minute unseen.
 *
 * Constant memory; the caller's lock; times as in policy/breaker. */
#ifndef POLICY_THROTTLE_H
#define POLICY_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define THROTTLE_K 2      /* of one that is busy */
#define THROTTLE_K_LAST 4 /* of the last one, which fails */
#define THROTTLE_SLICE_US (10 * CLOCK_SECOND_US)
#define THROTTLE_SLICES 12                    /* two minutes */
#define THROTTLE_SAMPLES 50                   /* fewer calls than that say nothing */
#define THROTTLE_CALLS_MAX 512                /* what is remembered of a busy endpoint */
#define THROTTLE_CREDIT_MAX 64                /* calls that accepts of the past can pay for at once */
#define THROTTLE_PROBE_US (500 * CLOCK_MS_US) /* without credit one call goes in that time */

struct throttle_slice {
    uint32_t requests, accepts;
};

struct throttle {
    int64_t seen_us, slice_no;
    int64_t probe_us; /* without credit: no call before */
    uint32_t credit;
    struct throttle_slice sum; /* of all slices */
    struct throttle_slice slices[THROTTLE_SLICES];
};

void throttle_init(struct throttle *t);
/* The breaker has opened: what the endpoint took before tells no longer what it takes. */
void throttle_cut(struct throttle *t, int64_t now_us);

/* When a call may be sent: now_us, or when the next one is due. is_last: the last usable endpoint, whose
 * breaker is not closed. */
int64_t throttle_next_us(struct throttle *t, int64_t now_us, bool is_last);
void throttle_sent(struct throttle *t, int64_t now_us);
/* pays: for how many further calls, THROTTLE_K or THROTTLE_K_LAST. */
void throttle_taken(struct throttle *t, int64_t now_us, uint32_t pays);
void throttle_refused(struct throttle *t, int64_t now_us);

/* The share of calls that the book's rule would hold, in thousandths. To be shown. */
unsigned throttle_held(struct throttle *t, int64_t now_us);

#endif
