/* SPDX-License-Identifier: MIT */
/* Do refusals rise with what is in flight? What the last calls began at, and which of them were refused.
 * Pure.
 *
 * Why: 429 and 503 mean "too many in flight" at one provider and nothing of the kind at another, which
 * refuses a share of all calls whatever we do. A limit cut by the second kind is cut again and again, down
 * to nothing. Three ways to tell:
 *
 *     below   Enough of the last REFUSALS_N calls began at a lower level (calls in flight) than the one
 *             that was refused now: compare how often each side was refused, by the likelihood ratio of "two
 *             rates" to "one rate".
 *     knee    The same with the calls up to the knee, where the last cut was, and those past it. Calls
 *             that begin together reach the provider in any order, so that the level of a single one that was
 *             refused says little: the one that began at the limit may take the last slot before the one
 *             below it.
 *
 *     after   All began at about one level, because the line keeps the slots full: then the last cut was the
 *             experiment. If the share refused has not fallen by half since, it did nothing. (If it has
 *             risen threefold, something else has changed, and it tells nothing.)
 *
 *     alone   Nothing of ours was in flight beside it: then nothing of ours was one too many.
 *
 * Where none can tell, the answer is REFUSALS_UNKNOWN, and the caller's cut becomes the next experiment. */
#ifndef POLICY_REFUSALS_H
#define POLICY_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#define REFUSALS_N 256
#define REFUSALS_ENOUGH 10     /* calls on one side, before they say anything */
#define REFUSALS_RECENT 32     /* calls over which the share before and after a cut is taken */
#define REFUSALS_LLR_CLEAN 3.0 /* natural logarithm; nothing was refused below */
#define REFUSALS_LLR 9.0       /* something was */

enum refusals_verdict { REFUSALS_UNKNOWN, REFUSALS_RISE, REFUSALS_FLAT };

struct refusals {
    uint32_t ring[REFUSALS_N]; /* 2 * level + refused */
    int next, n;
    int since;     /* calls since the last experiment, counted up to REFUSALS_N */
    double before; /* share that was refused when it began; below 0: there was none */
};

void refusals_init(struct refusals *r);
/* A call that began with `level` in flight, itself among them. */
void refusals_add(struct refusals *r, int level, bool refused);
/* For a call at this level, which was refused and is already added. knee: where the last cut was; 0: there
 * was none. */
enum refusals_verdict refusals_judge(const struct refusals *r, int level, int knee);
/* A cut is made now: the experiment begins, or goes on if the last one has told nothing yet. */
void refusals_begin(struct refusals *r);

#endif
