/* SPDX-License-Identifier: MIT */
/* Slot counters: how many calls may be in flight per account and upstream model name, and how many are. Pure.
 *
 * The name "*" of an account is one counter that all models share which the account does not list. A model
 * that an account neither lists nor covers by "*" is unlimited: its counter is SLOTS_UNLIMITED. */
#ifndef POLICY_SLOTS_H
#define POLICY_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

#define SLOTS_UNLIMITED (-1)

struct slots_counter {
    const struct config_account *account; /* borrowed, as is its name */
    struct slice model;
    int limit, used;
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

/* SLOTS_UNLIMITED always has room, and reserving or freeing it counts nothing. */
bool slots_has_room(const struct slots *s, int counter);
void slots_reserve(struct slots *s, int counter); /* there must be room */
void slots_release(struct slots *s, int counter); /* it must be in use */
void slots_carry(struct slots *s,
                 int counter);            /* one in use that was reserved elsewhere: may pass the limit */
size_t slots_used(const struct slots *s); /* over all counters */
void slots_check(const struct slots *s);  /* asserts that no counter is past its limit or below 0 */

#endif
