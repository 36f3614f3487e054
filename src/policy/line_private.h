/* SPDX-License-Identifier: MIT */
/* Private to the line: what it is made of, for the files that work on it: line.c (its steps), line_queue.c
 * (who waits and who is next), line_places.c (in which place), line_choose.c (where a ticket may go),
 * line_spill.c (which tiers are open to it), line_looks.c (what is told of that), line_layout.c and
 * line_domains.c (making and moving). */
#ifndef POLICY_LINE_PRIVATE_H
#define POLICY_LINE_PRIVATE_H

#include <limits.h>

#include "policy/balance.h"
#include "policy/eta.h"
#include "policy/fair.h"
#include "policy/learned.h"
#include "policy/line.h"
#include "policy/slots.h"

struct line_target {
    int endpoint, tier;
    bool fixed;                 /* its upstream model's name is known, and so its counter */
    int counter, own;           /* if fixed: of its account, and of the endpoint itself */
    struct slots_range account; /* else: found by the ticket's upstream name */
    struct slots_range owns;
};

struct line_tier {
    size_t end;    /* where it ends in the model's targets */
    bool weighted; /* some of its targets have a weight */
};

struct line_model {
    int edition;
    int model; /* index in the models of that edition's configuration */
    const struct config *cfg;
    size_t targets_n, tiers_n;
    struct line_target *targets; /* of all tiers, in order */
    struct balance_peer *peers;  /* beside targets */
    uint32_t *health;            /* beside targets: which of the line's */
    struct line_tier *tiers;
    int64_t spill_us; /* how long a ticket waits for a tier before the next one is open to it */
    struct eta *etas; /* beside tiers: how fast those before it serve who waits; NULL: all are always open */
    struct fair_queue queue; /* who stands in its place */
    size_t waiting_n;        /* with those that rest */
    int64_t waiting_bytes;
    size_t held_n; /* tickets GRANTED or TAKEN */
    struct eta eta;
    struct learned learned;
    uint32_t domain;    /* which of the line's shares count */
    int64_t counted_us; /* when the places of those who wait were counted */
};

struct line {
    struct slots slots;
    struct health *healths;
    struct choose_target *loads;        /* beside healths */
    const struct config_price **prices; /* beside healths; NULL: none was given */
    size_t healths_n;
    struct retry_budget retry;
    bool starved;              /* somebody has waited for a token of it since everything was offered last */
    struct line_model *models; /* ascending by edition, then by model */
    size_t models_n;
    struct fair_shares *shares; /* by domain */
    size_t domains_n, tenants_n;
    size_t waiting_n;    /* over all models, with those that rest */
    struct list resting; /* of these; soonest first */
    size_t resting_n;
    struct list held;   /* tickets GRANTED or TAKEN, by their `held` */
    size_t held_n;      /* how many these are */
    size_t unlimited_n; /* of these, on no counter of an account */
    size_t own_n;       /* of these, on one of an endpoint */
    int64_t seen_us;    /* the latest time that was passed in */
    int64_t wake_us;    /* line_wake_us */
    int64_t spills_us;  /* when a tier may open to somebody who waits */
};

struct line_model *line_model_find(const struct line *l, int edition, int model); /* NULL: it is not here */
struct line_model *line_model_of(const struct line *l, int edition, int model);
/* The slot counter of its account that a ticket would need for a target, and that of the endpoint itself. */
int line_counter_of(const struct line *l, const struct line_target *target, const struct ticket *t);
int line_own_of(const struct line *l, const struct line_target *target, const struct ticket *t);
struct health *line_health_of(const struct line *l, const struct line_model *m, size_t target);

/* Line up the models by the slots that they have in common, with shares for all tenants; in line_free. */
void line_make_domains(struct line *l);
void line_free_domains(struct line *l);

#define LINE_EVERYTHING INT_MAX /* instead of a counter */

/* Slots have opened with time, and those who wait have not been offered them yet: a newcomer takes none from
 * them. */
bool line_is_due(const struct line *l);
/* A slot is reserved for the ticket; its call is over (r NULL: there was none). */
void line_charge(struct line *l, struct line_model *m, struct ticket *t);
void line_correct(struct line *l, struct line_model *m, struct ticket *t, const struct call_report *r);
/* It takes its place; it leaves it, because it does not wait any more or because it is served. */
void line_stand(struct line *l, struct line_model *m, struct ticket *t);
void line_unstand(struct line *l, struct line_model *m, struct ticket *t);
void line_serve(struct line *l, struct line_model *m, struct ticket *t);
/* Those who stand in a model of l move to the same model of another line, in which nobody stands yet. */
void line_move_queue(struct line *l, struct line_model *from, struct line *to, struct line_model *m);
/* Who is next, of those for whom something may have opened: with a slot of the counter, or LINE_EVERYTHING;
 * NULL: nobody. */
struct ticket *line_next(struct line *l, int counter);
/* Whether a ticket may wait: LINE_QUEUED, or why not. Sets its eta_us and place as they would be. */
enum line_verdict line_refusal(struct line *l, struct line_model *m, struct ticket *t);
/* Where one stands that does, by `before` as it was counted. */
struct eta_place line_eta_place(const struct line *l, const struct line_model *m, const struct ticket *t);
/* Tickets that wait for the same model under an older configuration: they have come before. */
size_t line_before(const struct line *l, const struct line_model *m);
/* Shows everybody who stands in a model; `see` moves nobody. */
void line_each(struct line *l, struct line_model *m,
               void (*see)(struct line *l, struct line_model *m, struct ticket *t));
void line_check_queue(struct line *l, struct line_model *m); /* asserts what holds for all who stand */

/* Those whose health lets a call go now, a bit per target. Changes nothing that matters. */
uint64_t line_open(const struct line *l, const struct line_model *m);
/* The targets of the first so many tiers; at least one. */
uint64_t line_tiers_mask(const struct line_model *m, size_t tiers_n);
/* Sees which tiers are open to a ticket, or to all that wait. */
void line_open_tiers(struct line *l, const struct line_model *m, struct ticket *t);
void line_open_all(struct line *l);
/* A ticket begins to wait in its place, leaves it without a grant, or was granted t->target. */
void line_note_came(const struct line *l, struct line_model *m, const struct ticket *t);
void line_note_left(const struct line *l, struct line_model *m);
void line_note_served(const struct line *l, struct line_model *m, const struct ticket *t);
/* Those of them that a ticket could be granted, were there a token of the retry budget where it needs one. */
uint64_t line_usable(const struct line *l, const struct line_model *m, const struct ticket *t, uint64_t open);
/* Whether it has that token, or needs none. */
bool line_has_token(struct line *l, const struct ticket *t);
/* Those that it may ask at all, now or later. */
uint64_t line_allowed(const struct line_model *m, const struct ticket *t);
/* Chooses a target among the usable ones and reserves it; false: none is usable. */
bool line_reserve(struct line *l, struct line_model *m, struct ticket *t, struct rng *dice);
/* The target that is asked although none is well; -1: there is no need. */
int line_last_of(const struct line *l, const struct line_model *m);
/* Notes in the ticket what a decision has seen: before the target is reserved; t->target -1: none was chosen.
 */
void line_tell(struct line *l, const struct line_model *m, struct ticket *t, uint64_t usable,
               enum choose_how how);
/* The earliest time after now at which a target's health opens, over all models in which somebody waits. */
int64_t line_opens_us(const struct line *l);
/* A call has ended: what the ticket, its target and those of the same account learn. */
void line_learn(struct line *l, struct line_model *m, struct ticket *t, const struct call_report *r,
                struct rng *dice);
void line_rest(struct line *l, struct ticket *t); /* in the order of rest_until_us */

#endif
