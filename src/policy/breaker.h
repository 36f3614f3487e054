/* SPDX-License-Identifier: MIT */
/* A breaker: whether an endpoint's upstream model is asked at all while it fails. One per both. Pure.
 *
 *            5 failures running, or under 80 % of at least 5 calls good within 30 s
 *     CLOSED ----------------------------------------------------------------------> OPEN <------+
 *       ^                                                                   its time |           | failure
 *       |  the allowance reaches BREAKER_WHOLE                               is over v           |
 *       +----------------------------- RAMP <----------------------------------- PROBE ----------+
 *                  each success doubles what     success, or its first payload    one pass at a  |
 *                  may be in flight       |                                       time           |
 *                                         +------------------------------------------------------+
 *
 * An opening lasts 0.5 s at first and doubles up to 16 s, each time half of it fixed and half of it by dice,
 * so that breakers that opened together do not probe together; it begins anew after 30 s without one.
 *
 * Busy is not broken: a refusal for being full (429, 503) is reported as BREAKER_NOTHING. Where it says when
 * to come back, breaker_cool holds every pass until then; that is no state, and no failure.
 *
 * Passes. Who sends a call holds a pass; it is given back once, as success, failure or nothing, and is empty
 * from then on. Giving back an empty one does nothing, so every exit path may do it. What a path forgot, or a
 * call that hangs, holds back others for BREAKER_LEASE_US at most: then its place is given away, and when it
 * comes back after all it can tell of a success but no longer of a failure. Passes from before an opening
 * tell nothing.
 *
 * The last usable endpoint is never shut: breaker_take_last gives a pass in every state (not while cooling);
 * the caller spaces those calls by policy/throttle. Their successes count as all do; their failures open
 * nothing, so that an endpoint which fails now and then goes on at the pace of what it takes.
 *
 * Invariant: used <= allowed in PROBE and RAMP; used is 0 in CLOSED and OPEN. Threads: the caller's lock. A
 * time before the latest seen (another worker's clock, read a moment earlier) is taken as that one. */
#ifndef POLICY_BREAKER_H
#define POLICY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "policy/outcome.h"

struct rng;

#define BREAKER_RUN 5           /* failures without a success between them that open it, by default */
#define BREAKER_SAMPLES 5       /* so many calls must have ended before their share counts */
#define BREAKER_GOOD_PERCENT 80 /* a smaller share of successes opens it */
#define BREAKER_SLICE_US (3 * CLOCK_SECOND_US)      /* the share is kept in slices of time */
#define BREAKER_SLICES 10                           /* so many: the last 27 to 30 s */
#define BREAKER_FIRST_US (500 * CLOCK_MS_US)        /* how long the first opening lasts */
#define BREAKER_LONGEST_US (16 * CLOCK_SECOND_US)   /* and the longest: recovery is seen within it */
#define BREAKER_CALM_US (30 * CLOCK_SECOND_US)      /* closed for so long: the next opening is a first one */
#define BREAKER_AGAIN_US (250 * CLOCK_MS_US)        /* until the next probe when one told nothing */
#define BREAKER_LEASE_US (30 * CLOCK_SECOND_US)     /* no pass moved for so long: those out are forgotten */
#define BREAKER_WHOLE 64                            /* an allowance of so many is no allowance any more */
#define BREAKER_COOL_MAX_US (300 * CLOCK_SECOND_US) /* the longest Retry-After that is believed */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBE, BREAKER_RAMP };

/* PACED: beyond what the state allows, because there is no other endpoint. */
enum breaker_kind { PASS_NONE, PASS_NORMAL, PASS_PROBE, PASS_RAMP, PASS_PACED };

/* Zeroed: none. A plain value that belongs to the call. */
struct breaker_pass {
    uint32_t era;   /* of the opening before which it was given */
    uint32_t lease; /* of the places given away */
    uint8_t kind;   /* enum breaker_kind */
    bool alive;     /* breaker_alive was told of it */
};

struct breaker_slice {
    uint32_t good, bad;
};

struct breaker {
    enum breaker_state state;
    uint32_t era, lease;
    uint32_t run, run_max;  /* failures since the last success, and how many of them open it */
    uint32_t level;         /* the next opening lasts BREAKER_FIRST_US times two to this */
    uint32_t used, allowed; /* in PROBE and RAMP: passes out and how many may be */
    int64_t seen_us;        /* the latest time that was ever passed in */
    int64_t closed_us;      /* since when it has been closed */
    int64_t opened_us;      /* when it opened last */
    int64_t ask_us;         /* OPEN: until when; PROBE: no probe before */
    int64_t moved_us;       /* PROBE and RAMP: when a pass was last given or came back */
    int64_t cool_us;        /* no pass before */
    int64_t slice_no;       /* the number of the newest slice since time 0 */
    struct breaker_slice slices[BREAKER_SLICES]; /* a ring, at slice_no % BREAKER_SLICES */
};

/* run_max: so many failures running open it. */
void breaker_init(struct breaker *b, uint32_t run_max);

/* Whether breaker_take would give a pass. Changes nothing. */
bool breaker_may(const struct breaker *b, int64_t now_us);
/* A pass, or an empty one (PASS_NONE): not now. */
struct breaker_pass breaker_take(struct breaker *b, int64_t now_us);
/* The same where no other endpoint is usable: empty only while cooling; takes no place of probes. */
struct breaker_pass breaker_take_last(struct breaker *b, int64_t now_us);
/* When it is worth asking again: now_us when it would give a pass. A report may make that earlier. */
int64_t breaker_next_us(const struct breaker *b, int64_t now_us);

/* The call's first payload event has come. What was tried out has succeeded so far: answers may last for
 * minutes, and nobody need wait for their end. Any number of times; the pass stays out. */
void breaker_alive(struct breaker *b, struct breaker_pass *pass, int64_t now_us);
/* Gives the pass back and empties it. */
void breaker_report(struct breaker *b, struct breaker_pass *pass, enum outcome_breaker how, int64_t now_us,
                    struct rng *dice);
/* The endpoint said that it is busy and when to come back. An earlier end than the one known changes nothing;
 * retry_after_us <= 0: it did not say. */
void breaker_cool(struct breaker *b, int64_t now_us, int64_t retry_after_us);

const char *breaker_state_name(enum breaker_state s);
void breaker_check(const struct breaker *b); /* asserts the invariant */

#endif
