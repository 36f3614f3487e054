/* SPDX-License-Identifier: MIT */
/* Who is next among those who wait: classes strictly, tenants inside a class in turn by the tokens they were
 * served, deadlines inside a tenant. Pure.
 *
 *     class     high      | tenant a: start 1200 | 10:03 10:07 10:31    <- entries, earliest deadline first
 *                         | tenant b: start 3000 | 10:01
 *               normal    | ...
 *
 * Between tenants this is start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) as it is done where
 * many are served at once (SFQ(D): Jin, Chase and Kaur, SIGMETRICS 2004): a tenant's next entry starts where
 * its last one finished, or at the class's time if that is later; the earliest start is served, and that
 * start becomes the class's time. Thus whoever was away earns nothing by it, and between two tenants that
 * both wait all the time the tokens served differ by no more than the largest entries of both.
 *
 * Shares are kept for a group of models, since a tenant is one whatever it asks for; queues for each model,
 * since a slot that was freed is of use to some models only. */
#ifndef POLICY_FAIR_H
#define POLICY_FAIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "config/config.h"

/* -- shares: what tenants were served -------------------------------------------------------------------- */

struct fair_share {
    double finish;    /* in tokens: where its next entry may start */
    size_t waiting_n; /* its entries, over all queues */
};

/* Each class has a time of its own: else whoever is served much in a better class would move the time past
 * all who wait in a worse one, and these would be served by turns instead of by tokens. */
struct fair_class_shares {
    struct fair_share *of; /* by tenant; NULL until the class is used */
    double now;            /* the latest start that was served */
    double cost;           /* tokens of an entry, on average over about the last FAIR_COSTS */
    size_t costs_n;
};

struct fair_shares {
    struct fair_class_shares classes[PRIORITY_N];
    size_t n; /* tenants */
};

#define FAIR_COSTS 64

void fair_shares_init(struct fair_shares *s, size_t tenants_n);
void fair_shares_fini(struct fair_shares *s);
/* All tenants' shares go on among others: as far ahead of the time as they were, or as they are there
 * already. */
void fair_inherit(struct fair_shares *to, const struct fair_shares *from);
/* An entry of that many tokens is served. */
void fair_charge(struct fair_shares *s, enum priority p, int tenant, int64_t tokens);
/* It has turned out to be of `served` tokens instead of the `charged` ones. What was charged too much is
 * given back as far as the time has not passed it: kept for later, it would be a claim to be served many
 * times running. Where it was, fair_moved is due for every queue in which the tenant waits. */
void fair_correct(struct fair_shares *s, enum priority p, int tenant, int64_t charged, int64_t served);

#define FAIR_LOOKED_AT 32

/* -- queues: who waits for one model --------------------------------------------------------------------- */

struct fair_entry {
    struct list node;
    int tenant;
    enum priority priority;
    int64_t deadline_us, arrived_us; /* an earlier arrival goes first among equal deadlines */
    size_t before;                   /* of its tenant and class, when it came or was last counted */
};

struct fair_tenant {
    struct list entries; /* earliest deadline first */
    size_t n;
    double since, start; /* the class's time when its first entry came; the place in the heap */
    size_t at;           /* in the heap */
};

/* The tenants of a class that wait, a binary heap by start. */
struct fair_class {
    struct fair_tenant *tenants; /* by tenant; NULL until somebody waits in this class */
    int *heap;
    size_t heap_n, n; /* tenants and entries that wait */
};

struct fair_queue {
    struct fair_class classes[PRIORITY_N];
    size_t n; /* entries over all classes */
};

void fair_queue_init(struct fair_queue *q);
void fair_queue_fini(struct fair_queue *q); /* nobody waits */
/* Sets `before` of one that does not wait as if it did. */
void fair_look(const struct fair_queue *q, struct fair_entry *e);
void fair_add(struct fair_queue *q, struct fair_shares *s, struct fair_entry *e);
void fair_remove(struct fair_queue *q, struct fair_shares *s, struct fair_entry *e);
/* A tenant's share has moved back. */
void fair_moved(struct fair_queue *q, const struct fair_shares *s, enum priority p, int tenant);
/* Removes somebody, of each tenant in order; NULL: nobody waits. */
struct fair_entry *fair_pop(struct fair_queue *q, struct fair_shares *s);

/* The next entry of a class for which `fits` holds, and where it starts; NULL: none. Its cost grows only with
 * the entries that do not fit. */
struct fair_entry *fair_next(struct fair_queue *q, const struct fair_shares *s, enum priority p,
                             bool (*fits)(void *ud, const struct fair_entry *e), void *ud, double *start);
/* How many entries are served before this one if nobody else comes and all cost the same: better classes
 * whole, of its own tenant those before it, of every other tenant of its class those whose turn comes before
 * its own. `before` says how many there are of its own; of more than FAIR_LOOKED_AT tenants so many stand for
 * all. *more: how many more the other tenants who wait could still send before it. */
size_t fair_ahead(const struct fair_queue *q, const struct fair_shares *s, const struct fair_entry *e,
                  size_t *more);
/* Brings `before` up to date for everybody. */
void fair_count(struct fair_queue *q);
size_t fair_waiting(const struct fair_queue *q, enum priority p, int tenant);
/* Asserts heap order, counts and the order of entries. For tests and fuzzers. */
void fair_check(const struct fair_queue *q);

#endif
