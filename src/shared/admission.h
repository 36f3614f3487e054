/* SPDX-License-Identifier: MIT */
/* Admission across workers: a lock around each group of models (policy/line.h), and the messages that follow;
 * for one configuration, or for several that succeed each other (shared/hall.h).
 *
 * Locking: one mutex per group; inside it only policy code and mailbox posts run (lock order: group, then
 * mailbox). A grant is posted before the group's lock is released, so that a cancel on the owner's worker
 * finds either a WAITING ticket or a GRANTED one whose message it can withdraw: no grant is ever delivered to
 * a seat that was cancelled, and a seat's memory may be freed as soon as admission_leave returned. */
#ifndef SHARED_ADMISSION_H
#define SHARED_ADMISSION_H

#include "config/config.h"
#include "io/mailbox.h"
#include "policy/line.h"

struct admission;

/* What admission_enter saw of a ticket that waits: copied, because from then on any worker may grant it. */
struct seat_wait {
    struct looks looks;
    size_t place;    /* 1 = next */
    int64_t rest_us; /* before it takes that place; 0: it has it */
};

/* A flight's seat: its ticket and the message that brings a grant. Owned by the flight; embedded in it. */
struct seat {
    struct ticket ticket;
    struct message message;
    struct mailbox *box;                 /* of the owner's worker */
    void (*on_grant)(struct seat *seat); /* runs on the owner's worker; the ticket is TAKEN */
    struct admission *admission;
    struct seat_wait *wait; /* filled when admission_enter queues it; NULL: nobody wants to know */
    int64_t wake_us;        /* after each step: when admission_ring is due, CLOCK_NEVER_US: it is not */
};

/* Groups the models of a snapshot by shared accounts and endpoints. Keeps a reference to the config. */
struct admission *admission_new(struct config *cfg);
/* The admission of a new configuration beside one that is in use: from now on they share slots by the names
 * of account and upstream model, with the limits of the newest; whoever waits keeps its class and arrival,
 * and slots that a higher limit adds are granted at once. Thread: one for all of admission_succeed and
 * admission_free of the same succession. */
struct admission *admission_succeed(struct admission *before, struct config *cfg);
/* Its seats must have left. */
void admission_free(struct admission **a);

/* The number of a key's tenant, the same for all keys of that name; of -1, no key: 0. */
int admission_tenant(const struct admission *a, int key);

void seat_init(struct seat *s, struct admission *a, struct mailbox *box, void (*on_grant)(struct seat *));

/* Thread: the seat's worker for all three. */
enum line_verdict admission_enter(struct seat *s, int64_t now_us, struct rng *dice);
/* Gives back whatever the seat holds: a slot, a place, a grant under way. Idempotent. */
void admission_leave(struct seat *s, int64_t now_us, struct rng *dice);
/* Whether admission_first is worth its lock. */
static inline bool seat_learns(const struct seat *s)
{
    return __atomic_load_n(&s->ticket.learns, __ATOMIC_RELAXED);
}

/* The first payload event of its call has come. */
void admission_first(struct seat *s, int64_t now_us, struct rng *dice);
/* admission_leave, and how the call ended. */
void admission_settle(struct seat *s, const struct call_report *r, int64_t now_us, struct rng *dice);
/* It waits, and every target of its model is broken or parked. *why: the last failure of one, OUTCOME_N: none
 * is known. */
bool admission_is_out(const struct seat *s, enum outcome *why);
/* 1 = next, as counted at most a second ago (line_place), and the time until then; 0: not waiting. */
size_t admission_position(struct seat *s, int64_t now_us, int64_t *eta_us);

/* Thread: any. Grants what has opened with time; returns when it is due again, or CLOCK_NEVER_US. Due when a
 * seat's wake_us says so: some seat's worker has to see to it, for nothing else happens then. */
int64_t admission_ring(struct admission *a, int64_t now_us, struct rng *dice);
/* What an endpoint of a model has said of its own slots and queue (line_hear). Thread: any. */
void admission_tell(struct admission *a, int model, int endpoint, const struct line_told *told,
                    int64_t now_us, struct rng *dice);
/* Notes what targets cost at that time of the wall clock; returns when that may change, or CLOCK_NEVER_US.
 * Thread: that of admission_succeed. */
int64_t admission_reprice(struct admission *a, int64_t wall_us);
/* Shows every slot counter of all configurations that share them; show runs under a lock. */
void admission_counters(struct admission *a, void (*show)(void *ud, const struct slots_counter *c), void *ud);
/* Shows the health of every endpoint's models; show runs under a lock. */
void admission_healths(struct admission *a, void (*show)(void *ud, const struct health *h), void *ud);
/* How long who comes now would wait (line_eta_us). */
int64_t admission_eta_us(struct admission *a, int model, int64_t now_us);
size_t admission_depth(struct admission *a, int model);
size_t admission_used(struct admission *a); /* slots and places in use over all that share slots; 0: idle */

#endif
