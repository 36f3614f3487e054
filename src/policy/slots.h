/* SPDX-License-Identifier: MIT */
/* Slot counters: how many calls may be in flight per account and upstream model name, and how many are. Pure.
 *
 * The limit of an account that learns (policy/limiter.h) is the smaller of what it was given and of what was
 * learned; then room depends on time as well.
 *
 * The name "*" of an account is one counter that all models share which the account does not list. A model
 * that an account neither lists nor covers by "*" is unlimited: its counter is SLOTS_UNLIMITED. */
#ifndef POLICY_SLOTS_H
#define POLICY_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "policy/limiter.h"
#include "policy/outcome.h"

#define SLOTS_UNLIMITED (-1)

struct slots_counter {
    const struct config_account *account; /* borrowed, as is its name */
    struct slice model;
    int limit, used;         /* limit: INT_MAX when none was given */
    int given;               /* the limit of the configuration; what an engine says of itself lowers it */
    struct limiter *limiter; /* what it learns; NULL: nothing */
    int over; /* how far `used` may stand above the limit: what slots_carry brought and is not back yet */
};

struct slots {
    struct slots_counter *counters;
    size_t counters_n;
};

/* The counters of one account: they lie side by side. */
struct slots_range {
    int first, n;
};

void slots_init(struct slots *s);
void slots_fini(struct slots *s);
/* The counters of an account (NULL: none), made when it is first asked for. */
struct slots_range slots_of_account(struct slots *s, const struct config_account *a);
/* The counter of an upstream model name among those of its account, or SLOTS_UNLIMITED. */
int slots_find(const struct slots *s, struct slots_range account, struct slice model);

/* What a call remembers from its reservation to its end. */
struct slots_call {
    struct limiter_call call;
    int64_t prompt_tokens; /* estimated; set by its owner */
    bool first;            /* its first token has come */
};

/* SLOTS_UNLIMITED always has room, and reserving or freeing it counts nothing. */
bool slots_has_room(const struct slots *s, int counter, int64_t now_us);
void slots_reserve(struct slots *s, int counter, struct slots_call *c,
                   int64_t now_us); /* there must be room */
/* Whether a call on it should be told of with slots_first. */
bool slots_learns(const struct slots *s, int counter);
/* The first payload event of a call has come. */
void slots_first(struct slots *s, int counter, struct slots_call *c, int64_t now_us);
/* It must be in use. r NULL: there was no call. */
void slots_release(struct slots *s, int counter, const struct slots_call *c, const struct call_report *r,
                   int64_t now_us);
/* What an engine says of its own slots and queue (limiter_hint), to counters that are its alone. */
void slots_tell(struct slots *s, struct slots_range of, int slots, int queued, int64_t now_us);
/* Reserves one in use that was reserved elsewhere, and gives it back there: may pass the limit. */
void slots_carry(struct slots *from, int from_counter, struct slots *to, int to_counter);
/* Goes on with what the counters of the same model names have learned. */
void slots_inherit(struct slots *to, struct slots_range of, const struct slots *from, struct slots_range was);
/* The earliest time at which one that is closed although less than its limit is in use opens again;
 * CLOCK_NEVER_US: none is. */
int64_t slots_opens_us(const struct slots *s, int64_t now_us);
int slots_limit(const struct slots_counter *c); /* as given, or as learned below that */
size_t slots_used(const struct slots *s);       /* over all counters */
void slots_check(const struct slots *s);        /* asserts that no counter is past its limit or below 0 */

#endif
