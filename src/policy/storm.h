/* SPDX-License-Identifier: MIT */
/* One tenant's requests that a provider refuses again and again in the same way: after a few refusals the
 * answer comes from memory for a while. Pure: time is an argument; the caller's lock.
 *
 * Why: an agent that repeats a request which is invalid (400, 413, 422) as fast as it can takes slots, places
 * in the line and a provider's patience away from everybody else, and can get nothing for it.
 *
 *     counting --the most refusals that may be, within STORM_MEMORY_US--> damped for 1, 2, 4, ... 30 s
 *        ^                                                                  |  ^
 *        |                                                       time over  |  | refused as before: twice as
 *        |                                                                  v  | long
 *        +---- answered, or nothing heard of it for STORM_MEMORY_US ------ one is let through
 *
 * A request is known by the hash and the length of what would be sent. Nothing else of its tenant is touched,
 * and nobody else's: each tenant has a table of its own. Of the one that is let through nothing needs to
 * come back: when its fate stays unknown, another one is let through a pause later.
 *
 * Bounded: STORM_SLOTS_N requests, the one that was not asked for longest makes room. */
#ifndef POLICY_STORM_H
#define POLICY_STORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/slice.h"

#define STORM_SLOTS_N 16
#define STORM_REFUSALS_MAX 16 /* that may be asked for before a request is damped */
#define STORM_MEMORY_US (60 * CLOCK_SECOND_US)
#define STORM_PAUSE_US CLOCK_SECOND_US
#define STORM_PAUSE_MAX_US (30 * CLOCK_SECOND_US)
#define STORM_WORDS_MAX 480 /* of a refusal's message, param and code together */

/* Which request. Never all zero. */
struct storm_key {
    uint64_t hash, bytes_n;
};

/* What it was refused with. p NULL: there is none. */
struct storm_refusal {
    int status;
    struct slice detail, param, code;
};

struct storm_slot {
    struct storm_key key;                 /* all zero: free */
    int64_t times_us[STORM_REFUSALS_MAX]; /* of the last refusals, a ring */
    uint32_t refused_n;                   /* refusals in all */
    int64_t used_us;                      /* last refused or asked for */
    int64_t pause_us;                     /* 0: counting */
    int64_t until_us;                     /* damped: the next is let through */
    bool trying;                          /* one was, and nobody has heard of it yet */
    int status;
    uint16_t detail_n, param_n, code_n; /* in words, one behind the other */
    bool has_param, has_code;
    char words[STORM_WORDS_MAX];
};

struct storm {
    int refusals_max; /* 1..STORM_REFUSALS_MAX: as many are sent on */
    struct storm_slot slots[STORM_SLOTS_N];
};

/* An answer from memory. */
struct storm_answer {
    struct storm_refusal refusal; /* its texts live until the next call */
    int64_t wait_us;              /* until one is let through again; more than 0 */
    uint32_t refused_n;           /* how often it was refused */
};

void storm_init(struct storm *s, int refusals_max);
/* Whether the request may be sent; if not, *out says what it is told. */
bool storm_let(struct storm *s, struct storm_key key, int64_t now_us, struct storm_answer *out);
/* It was refused as the client's own mistake. Words past STORM_WORDS_MAX are cut. */
void storm_refused(struct storm *s, struct storm_key key, const struct storm_refusal *r, int64_t now_us);
/* It was answered. */
void storm_answered(struct storm *s, struct storm_key key);
/* Nothing is remembered any more. */
bool storm_is_over(struct storm *s, int64_t now_us);

#endif
