/* SPDX-License-Identifier: MIT */
/* Learns how many calls may be in flight on one account and upstream model, or on one endpoint. Pure: time
 * and samples are arguments; nothing is allocated; the caller's lock guards it.
 *
 *      limit
 *    128 |        x  the first 429s: limit = what was accepted then
 *    100 |       / \___________            _______      ____________________ knee
 *     90 |      /              \       _.-'        \_.-'
 *        |     /                \_____/
 *     64 |    /                   hold  half of the way back per window, rest at the knee, probe past it
 *        |___/ doubling per window
 *        +------------------------------------------------------------------------> time
 *
 * Two signals say "too many". A refusal (429, 503) that depends on what is in flight: a cut to 0.9 of what
 * was accepted, at most one in LIMITER_HOLD_US; refusals that come whatever is in flight cut nothing
 * (refusals.h). And a window whose p90 of the time to first token is past the target: a cut by target /
 * p90, at least to 0.7. The time of a whole answer is no signal: the length of the answer rules it, not
 * the load. Nor is the target learned: what is learned drifts in a long overload.
 *
 * What differs from the study that this follows (docs/slots.md has the figures):
 *
 *   - A window counts only calls that began after the last cut. Older ones speak of the limit as it was
 *     then, and counting them cuts twice.
 *   - The way back is remembered. After a cut the limit goes half of the way to the knee (where the last
 *     cut was) in each window, or sqrt(limit)/4 if that is more, rests there for 1, 2 and at most
 *     LIMITER_REST_MAX windows (longer each time when the knee is found where it was), then probes with
 *     steps that double from 1 up to sqrt(limit)/4 and, once it is a tenth past the knee, up to an eighth
 *     of the limit.
 *   - While doubling, a window is enough with half as many samples as calls were in flight, if these are
 *     fewer than LIMITER_SAMPLES: ten would take minutes with four slots. It goes on until nine in ten of
 *     the calls that began in it have their first token, or for LIMITER_UNSEEN_US: the slow ones come
 *     last, and a window without them would double far past the end. Therefore a miss may halve the limit
 *     then.
 *   - A window that lasts longer needs fewer samples: half after 20 s, three after LIMITER_STALE_US.
 *   - Fewer than LIMITER_FEW slots are cut to what was accepted, or by one: a tenth of them is no whole
 *     slot.
 *   - While it is not known yet whether refusals depend on what is in flight, a cut does not end the
 *     doubling: one refused at random among the first calls would leave a limit of three for minutes. And
 *     it is made only with half of the limit in flight, or after 2 * LIMITER_RUN refusals in a row.
 *   - Cuts by time that make nothing faster are taken back: when half of the limit has gone and the mean
 *     time is at least 0.8 of what it was, others cause it. Times then say nothing for LIMITER_DEAF_US.
 *   - Where all answers come in one piece nothing tells a queue from long answers: while no call is
 *     refused, the limit grows up to LIMITER_BLIND and stays there.
 *   - Calls that begin together, as when a pause is over, reach the provider in any order. Of such a
 *     crowd the fewest that were in flight behind one of its refusals is the level of all that were
 *     accepted.
 *   - After LIMITER_RUN refusals in a row one call at a time may begin, and after a pause that doubles.
 *
 * Invariant: 1 <= limit <= ceiling, the smaller of the cap and of what the engine says it has. */
#ifndef POLICY_LIMITER_H
#define POLICY_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/refusals.h"
#include "policy/ttft.h"

#define LIMITER_START 8
#define LIMITER_MAX 1000000 /* without a cap */
#define LIMITER_TARGET_US INT64_C(2000000)
#define LIMITER_WINDOW_US INT64_C(2000000)
#define LIMITER_SAMPLES 10
#define LIMITER_SEEN 0.9
#define LIMITER_UNSEEN_US (3 * LIMITER_WINDOW_US)
#define LIMITER_BLIND 64
#define LIMITER_STALE_US INT64_C(60000000) /* after twice as long a window is thrown away */
#define LIMITER_HOLD_US INT64_C(5000000)
#define LIMITER_CROWD_US INT64_C(10000) /* calls that began within it began together */
#define LIMITER_FLAT_US INT64_C(100000) /* so long such a verdict stands: to judge costs a microsecond */
#define LIMITER_CUT 0.9
#define LIMITER_CUT_MAX 0.7
#define LIMITER_CUT_DOUBLED 0.5 /* the same while doubling: half of the limit was not too slow */
#define LIMITER_FEW 8           /* fewer slots are cut one at a time */
#define LIMITER_BUSY 0.8        /* of the limit: with a lower peak nothing was learned, and nothing grows */
#define LIMITER_REST_MAX 4
#define LIMITER_DEAF_US INT64_C(60000000)
#define LIMITER_RUN 8
#define LIMITER_PAUSE_US INT64_C(50000)
#define LIMITER_PAUSE_MAX_US INT64_C(1000000)
#define LIMITER_RETRY_MAX_US INT64_C(60000000) /* of a Retry-After: more is not believed */

struct limiter_opts {
    int cap;           /* published; 0: none is known */
    int start;         /* 0: the cap, or LIMITER_START without one */
    int64_t target_us; /* of the time to first token; 0: LIMITER_TARGET_US */
};

/* What a call in flight remembers. */
struct limiter_call {
    int64_t begun_us;
    int level; /* in flight when it began, itself among them */
};

struct limiter {
    int cap, engine; /* 0: not known */
    double limit;
    bool doubling; /* until the first cut that is certain */
    /* the window */
    struct ttft_window window;
    int64_t window_us; /* when it began; below 0: with the next call */
    int peak;          /* in flight */
    int begun_n;       /* calls */
    int whole_n;       /* answers that told no first token */
    struct ttft_slope slope;
    /* cuts */
    int64_t cut_us;      /* the last one; below 0: none yet */
    bool cut_refused;    /* it was a refusal's */
    double cut_factor;   /* by which a refusal cut what was accepted */
    double knee;         /* where the last cut was; 0: there was none, or it has been passed */
    int rest, rest_most; /* windows to stay at the knee; as many at first */
    double step;         /* of the last probe past the knee; 0: it is not past */
    struct refusals refusals;
    int64_t crowd_us; /* when the call that was refused last began; below 0: none was */
    int crowd_level;  /* fewest in flight behind a refusal of those that began with it */
    int64_t flat_us;  /* until then refusals are known not to depend on what is in flight */
    /* cuts by time that do not help */
    double slow_limit, slow_us; /* limit and mean at the first of a row of cuts; 0: none */
    int64_t deaf_us;            /* until then times say nothing */
    /* a run of refusals */
    int run, run_level; /* how many in a row; in flight at the last one */
    int64_t opens_us;
};

void limiter_init(struct limiter *l, const struct limiter_opts *opts);
/* Another cap, as after a reload: everything else goes on. A limiter is carried by copying it. */
void limiter_set_cap(struct limiter *l, int cap);

/* Calls that may be in flight: at least 1. */
int limiter_limit(const struct limiter *l);
/* Whether one more may begin beside those in flight. Where the limit would allow it and this does not, ask
 * again when a call ends, gets its first token, or at limiter_opens_us. */
bool limiter_has_room(const struct limiter *l, int in_flight, int64_t now_us);
int64_t limiter_opens_us(const struct limiter *l); /* may be past */

/* A call begins: in_flight counts it. */
void limiter_begin(struct limiter *l, struct limiter_call *c, int in_flight, int64_t now_us);
/* Its first token has come. Keep-alive comments and blank lines are none. */
void limiter_first(struct limiter *l, const struct limiter_call *c, int64_t prompt_tokens, int64_t now_us);
/* It was answered, and there was no first token to time (an answer in one piece). */
void limiter_answered(struct limiter *l, const struct limiter_call *c, int64_t now_us);
/* It was refused for being one too many: in_flight no longer counts it. retry_after_us 0: nothing was said.
 */
void limiter_refused(struct limiter *l, const struct limiter_call *c, int in_flight, int64_t retry_after_us,
                     int64_t now_us);
/* What an engine says of itself. slots 0: not said; queued below 0: not said. in_flight is our own count. */
void limiter_hint(struct limiter *l, int slots, int queued, int in_flight, int64_t now_us);

#endif
