/* SPDX-License-Identifier: MIT */
/* The waiting line, the slots and the health of one group of models that share accounts or endpoints:
 * admission and choice in one step. Pure: state, time and dice are arguments; the caller holds the group's
 * lock.
 *
 * Ticket: FREE -> WAITING -> GRANTED -> TAKEN -> FREE, or FREE -> TAKEN at once when a slot is free. A
 * release hands the slot to the next ticket that can use it before anyone else can see it free, so nobody
 * barges.
 *
 * Who has failed comes back with its first arrival. It is granted another target at once where one is usable;
 * else it rests for a backoff, and then waits in its place for any target, also those that have failed it
 * (models with retry.outage 0s: it never asks one twice). Every call behind its first takes a token of the
 * group's retry budget (policy/retry.h).
 *
 * A line can serve models of several configurations (a reload): see line_layout.c.
 *
 * A call holds a slot of its account and one of its endpoint, where these are counted; it needs both.
 *
 * Invariants (line_check asserts them): used of a slot counter = tickets GRANTED or TAKEN on it, never above
 * its limit (unless line_move brought them, until they are given back); no ticket WAITING that could be
 * granted a target (unless time has opened it and line_offer is due); a WAITING ticket is in one model's
 * line, or rests. */
#ifndef POLICY_LINE_H
#define POLICY_LINE_H

#include "base/list.h"
#include "base/rng.h"
#include "config/config.h"
#include "policy/eta.h"
#include "policy/fair.h"
#include "policy/health.h"
#include "policy/look.h"
#include "policy/retry.h"
#include "policy/slots.h"

#define LINE_COUNT_US INT64_C(1000000)
#define LINE_TARGETS_MAX 64 /* targets of one model; config refuses more */

enum ticket_state { TICKET_FREE, TICKET_WAITING, TICKET_GRANTED, TICKET_TAKEN };

struct ticket {
    struct list node;       /* resting: in the order of rest_until_us; just GRANTED: in the caller's grants */
    struct fair_entry wait; /* WAITING in its place: in the model's queue */
    struct list held;       /* GRANTED or TAKEN: among those who hold slots of the line */
    enum ticket_state state;
    uint32_t generation; /* counts the asks made with this ticket */
    int edition;         /* the configuration that `model` and all targets belong to; 0 where there is one */
    int model;           /* index in its models */
    enum priority priority;
    int tenant;               /* 0: nobody's; below the line's tenants_n */
    int64_t arrived_us;       /* first arrival: a retry keeps its place */
    int64_t deadline_us;      /* earliest first among those of a tenant; a retry keeps it */
    int64_t bytes;            /* of its body */
    int64_t answer_max;       /* tokens that its answer may have; -1: it did not say */
    unsigned client_retries;  /* how often the client has tried before */
    uint64_t tried;           /* bit per target (counted over all tiers) that has failed this flight */
    uint64_t never;           /* those that it may not ask, or not again */
    struct retry_tries tries; /* what it has behind it; set when it first asks */
    bool rests;               /* WAITING: until rest_until_us, then in its place */
    bool rested;              /* it has rested since it last failed: what it has tried may be tried again */
    int64_t rest_until_us;
    int64_t retry_after_us; /* what the last target that failed it has said; 0: nothing that binds it */
    struct slice upstream;  /* model name for targets that set none; borrowed, lives as long as the flight */
    struct looks looks;     /* what the last decision saw: of line_admit, or of a grant */
    /* WAITING, as last counted (line_place), or as it would have been when it was refused: */
    size_t place;
    int64_t eta_us; /* until it is served; ETA_UNKNOWN; CLOCK_NEVER_US */
    size_t tiers_n; /* tiers that are open to it (policy/line_spill.c) */
    /* set while GRANTED or TAKEN: */
    int target; /* index over all tiers of the model */
    int tier;
    int endpoint;    /* index in the configuration's endpoints */
    int counter;     /* slot counter that was reserved, -1: none */
    int own;         /* that of the endpoint itself, likewise */
    int64_t charged; /* tokens */
    /* line_first should be called; atomic: a reload may change it while its owner looks */
    bool learns;
    struct slots_call call;     /* its prompt_tokens are set before it is admitted */
    struct slots_call own_call; /* at the endpoint's own counter */
    struct health_call probe;
    /* set when it was refused, LINE_PARKED: */
    enum outcome parked_why;
    int64_t parked_us; /* until then */
};

void ticket_init(struct ticket *t);

struct line; /* one group */

enum line_verdict {
    LINE_TAKEN,      /* a slot is reserved; ticket->target says where */
    LINE_QUEUED,     /* in the line: a grant will come, or the owner cancels */
    LINE_FULL,       /* limits.line: so many wait for the model */
    LINE_FULL_BYTES, /* limits.line_bytes: bodies of so many bytes wait for it */
    LINE_SLOW,       /* it would have to wait for longer than limits.line_wait */
    LINE_LATE,       /* it would have to wait beyond its deadline */
    LINE_NONE,       /* no target is left to be asked */
    LINE_PARKED      /* those that are left refuse our credential or have no balance */
};

/* models: indices (in config->models) of this group. The config must outlive the line. */
struct line *line_new(const struct config *cfg, const int *models, size_t models_n);
void line_free(struct line **l);

/* slots 0, queued below 0: it does not say. */
struct line_told {
    int slots, queued;
};

/* Models of one configuration in a line that serves several. */
struct line_part {
    int edition;
    const struct config *cfg;
    const struct config_account *const *accounts; /* by account: whose limits count; NULL: its own */
    const int *models;
    size_t models_n;
    size_t tenants_n; /* their numbers are below; 0: one more than the configuration has keys */
};

/* One line for all parts, which come with their editions ascending; everything borrowed. */
struct line *line_new_of(const struct line_part *parts, size_t parts_n);
/* Moves every ticket of `from` to the line that line_of names for its model (NULL: its configuration goes out
 * of use, and nobody is in it), and what was learned of accounts that go on; these lines were made by
 * line_new_of and nobody has asked them for anything yet. Slots that are held count there, also past a limit
 * that is lower now. Afterwards `from` is empty, and line_offer is due on every new line. */
void line_move(struct line *from, struct line *(*line_of)(void *ud, int edition, int model), void *ud);
/* Hands out what is free, as a release does; due also at line_wake_us. */
void line_offer(struct line *l, int64_t now_us, struct rng *dice, struct list *grants);

/* What the endpoint of a model's target has said of its own slots and queue. Slots that it adds are handed
 * out. */
void line_hear(struct line *l, int edition, int model, int endpoint, const struct line_told *told,
               int64_t now_us, struct rng *dice, struct list *grants);
/* Notes what targets cost at a time of the wall clock; returns when that may change, or CLOCK_NEVER_US. */
int64_t line_reprice(struct line *l, int64_t wall_us);

/* Asks for a slot; the ticket must be FREE with model, priority, tenant, arrived_us, deadline_us, bytes,
 * never, upstream set. A target is usable that has a free slot, is not one that has failed the ticket, and
 * whose health lets a call go (policy/health.h). The first tier with one is used (spill to the next tier when
 * this one is full); inside it a smooth split where weights are given, else the least cost. When none is
 * usable, it waits for all. */
enum line_verdict line_admit(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice);

/* GRANTED -> TAKEN: the owner has received the grant. */
void line_take(struct line *l, struct ticket *t);

/* TAKEN: the first payload event of the call has come. What is learned from it may free slots, as a release
 * does. */
void line_first(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice, struct list *grants);

/* TAKEN -> FREE: line_release, and whoever learns hears how the call ended, the ticket as well: it may ask
 * again (line_may_ask_again). */
void line_settle(struct line *l, struct ticket *t, const struct call_report *r, int64_t now_us,
                 struct rng *dice, struct list *grants);

/* Whether it has calls left and targets that it may ask, as far as its model's configuration tells. */
bool line_may_ask_again(const struct ticket *t, const struct config *cfg);
/* WAITING: every target of its model is broken or parked, not only busy. *why: the last failure of one. */
bool line_is_out(const struct line *l, const struct ticket *t, enum outcome *why);

/* When somebody has to call line_offer although nothing is given back: slots that are learned may be closed
 * for a time, and somebody waits. CLOCK_NEVER_US: nobody has to. */
int64_t line_wake_us(const struct line *l);

/* TAKEN or GRANTED -> FREE: gives the slot back. Tickets that get it are moved, GRANTED, to `grants` (through
 * ticket.node): the caller posts a message to the owner of each. */
void line_release(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice, struct list *grants);

/* Any state -> FREE. WAITING is unlinked; GRANTED or TAKEN is released. */
void line_cancel(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice, struct list *grants);

/* Tickets waiting for a model; place of a WAITING ticket (1 = next). */
size_t line_depth(const struct line *l, int model);
size_t line_depth_in(const struct line *l, int edition, int model);
size_t line_position(const struct line *l, const struct ticket *t);
/* The same as counted at most LINE_COUNT_US ago, and sets eta_us: thousands that wait ask again and again,
 * and each exact answer walks past everybody in front. */
size_t line_place(struct line *l, struct ticket *t, int64_t now_us);
/* How long somebody who comes now would wait for the model, of class normal; ETA_UNKNOWN, CLOCK_NEVER_US. */
int64_t line_eta_us(const struct line *l, int edition, int model, int64_t now_us);

/* Shows every counter of the group. */
void line_counters(const struct line *l, void (*show)(void *ud, const struct slots_counter *c), void *ud);
/* Shows the health of every endpoint and model of the group, of two of one name that of the newer. */
void line_healths(const struct line *l, void (*show)(void *ud, const struct health *h), void *ud);
/* Slots in use over the whole group: 0 when idle. */
size_t line_used(const struct line *l);
size_t line_waiting(const struct line *l); /* tickets that wait, over all models */
/* Asserts the invariants of the header comment. For tests and fuzzers. */
void line_check(const struct line *l);

#endif
