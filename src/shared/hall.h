/* SPDX-License-Identifier: MIT */
/* The hall where all lines stand: every group of models of every configuration in use, and the locks.
 *
 * Whenever a configuration comes into use or goes out of it, the lines are laid out anew for all that are in
 * use then (policy/line_layout.c): the new lines are made beside the old ones without any lock, then
 * everybody moves while all locks are held. Most of the time there is one configuration; while a reload's old
 * one still has calls, there are two or more, and models of both that share an account are one group.
 *
 * Locking: there are HALL_LOCKS mutexes that stay as long as the hall; group g is guarded by number
 * g % HALL_LOCKS. Which group a model belongs to changes only while all of them are held, so whoever holds
 * one and still finds its model in a group of that lock may trust what it sees (hall_lock does that). Lock
 * order: by number, then mailboxes; only laying out holds more than one.
 *
 * Threads: hall_enter and hall_leave on one thread (the control thread); everything else on any. */
#ifndef SHARED_HALL_H
#define SHARED_HALL_H

#include <pthread.h>

#include "base/arena.h"
#include "base/map.h"
#include "config/config.h"
#include "policy/line.h"

#define HALL_LOCKS 32       /* far more than workers; ThreadSanitizer follows no more than 64 held at once */
#define HALL_LOCK_BYTES 128 /* two locks never share a cache line */

struct hall_lock {
    pthread_mutex_t mutex;
    char pad[HALL_LOCK_BYTES - sizeof(pthread_mutex_t)];
};

/* One configuration in the hall. */
struct hall_side {
    struct list node; /* in hall->sides */
    int edition;
    struct config *cfg;
    int *tenant_of; /* by key */
    int *group_of;  /* by model; atomic: read without a lock, written under all of them */
};

struct hall {
    struct hall_lock locks[HALL_LOCKS];
    struct line **lines; /* by group: written under all locks, read under any */
    size_t lines_n;
    struct list sides; /* ascending by edition */
    /* Keys of one name are one tenant in all configurations, also after a time without such a key: one number
     * for each name that a key has ever had. 0 is nobody's. */
    struct map tenants; /* its keys are in `names` */
    struct arena names;
    size_t tenants_n;
    int last_edition;
    int64_t wall_us; /* the time that prices are those of */
};

/* What may be done with those who got a slot by the new layout; under all locks. */
typedef void (*hall_grants)(struct list *grants);

struct hall *hall_new(void);
void hall_free(struct hall **h); /* nobody may be in it */
/* A configuration comes into use; keeps a reference to it. */
struct hall_side *hall_enter(struct hall *h, struct config *cfg, hall_grants post);
/* It goes out of use: none of its tickets waits or holds anything. */
void hall_leave(struct hall *h, struct hall_side **s, hall_grants post);

/* Locks a group and returns its number. */
int hall_lock(struct hall *h, const struct hall_side *side, int model);
void hall_unlock(struct hall *h, int group);
/* Offers what has opened with time in every line where that is due (line_wake_us); returns when the next is,
 * or CLOCK_NEVER_US. Takes one lock at a time. */
int64_t hall_ring(struct hall *h, int64_t now_us, struct rng *dice, hall_grants post);
/* Notes what targets cost at that time of the wall clock; returns when that may change, or CLOCK_NEVER_US.
 * Thread: that of hall_enter. */
int64_t hall_reprice(struct hall *h, int64_t wall_us);
/* Shows every counter, under the lock of its line. */
void hall_counters(struct hall *h, void (*show)(void *ud, const struct slots_counter *c), void *ud);
/* Shows the health of every endpoint and model, under the lock of its line. */
void hall_healths(struct hall *h, void (*show)(void *ud, const struct health *x), void *ud);
/* Slots and places in use over all lines. */
size_t hall_used(struct hall *h);

#endif
