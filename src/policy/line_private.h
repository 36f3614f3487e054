/* SPDX-License-Identifier: MIT */
/* Private to the line: what it is made of, for the two files that work on it (line.c, line_layout.c). */
#ifndef POLICY_LINE_PRIVATE_H
#define POLICY_LINE_PRIVATE_H

#include "policy/balance.h"
#include "policy/line.h"
#include "policy/slots.h"

struct line_target {
    int endpoint, tier;
    bool fixed;                 /* it names its model, so that its counter is known */
    int counter;                /* if fixed */
    struct slots_range account; /* else: found by the ticket's upstream name */
};

struct line_model {
    int edition;
    int model; /* index in the models of that edition's configuration */
    const struct config *cfg;
    size_t targets_n, tiers_n;
    struct line_target *targets; /* of all tiers, in order */
    struct balance_peer *peers;  /* beside targets */
    size_t *tier_end;            /* where each tier ends in targets */
    struct list waiting[PRIORITY_N];
    size_t waiting_n;
    int64_t counted_us; /* when the places of those who wait were counted */
};

struct line {
    struct slots slots;
    struct line_model *models; /* ascending by edition, then by model */
    size_t models_n;
    size_t waiting_n;   /* over all models */
    struct list held;   /* tickets GRANTED or TAKEN, by their `held` */
    size_t held_n;      /* how many these are */
    size_t unlimited_n; /* of these, on no counter */
    int64_t seen_us;    /* the latest time that was passed in */
    int64_t wake_us;    /* line_wake_us */
};

struct line_model *line_model_find(const struct line *l, int edition, int model); /* NULL: it is not here */
struct line_model *line_model_of(const struct line *l, int edition, int model);
/* The slot counter that a ticket would need for a target. */
int line_counter_of(const struct line *l, const struct line_target *target, const struct ticket *t);

#endif
