/* SPDX-License-Identifier: MIT */
/* Choice of a target among those that can be used: by given weights, or by least cost. Pure: state, time and
 * dice are arguments; the caller holds the lock of the model's group.
 *
 *     cost = (queued tokens + new prompt tokens) x time per token + penalty + distance
 *
 * queued    prompt tokens that we have sent to the target and that have had no first token yet
 * new       this prompt's, without what the target still holds of it (policy/prefix.h)
 * time      learned: time to first token over the tokens that stood before it, its own included
 * penalty   of recent faults and refusals, halved every CHOOSE_PENALTY_HALF_US
 * distance  what a call to another region costs
 *
 * Among targets whose cost is within CHOOSE_TIE of the least the cheapest price wins, and among equal prices
 * the dice decide, so that several gateways with the same picture do not all run to the same target. Because
 * a prefix match only makes the cost smaller, no target is kept that has become slow or faulty.
 *
 * Why tokens and not requests, why not the raw time to first token: docs/choosing.md. */
#ifndef POLICY_CHOOSE_H
#define POLICY_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "policy/balance.h"

#define CHOOSE_MAX 64
#define CHOOSE_REQUEST_TOKENS 64           /* what a request costs besides its tokens */
#define CHOOSE_TOKEN_NS INT64_C(125000)    /* while nobody knows better: 8,000 tokens a second */
#define CHOOSE_MEMORY 16                   /* first tokens that the learned time covers */
#define CHOOSE_FORGET_US INT64_C(30000000) /* a time not seen again is worth half */
#define CHOOSE_FAULT_US INT64_C(5000000)   /* penalty of a fault that says nothing of when */
#define CHOOSE_PENALTY_MAX_US INT64_C(300000000)
#define CHOOSE_PENALTY_HALF_US INT64_C(10000000)
#define CHOOSE_TIE 20               /* a part: costs within 1/20 are equal */
#define CHOOSE_TIE_US INT64_C(1000) /* or within a millisecond */

/* What is known of a target; zeroed at the start. */
struct choose_target {
    int64_t distance_us; /* set by the owner, not below 0 */
    int64_t price;       /* set by the owner: per token, any unit; may change from one choice to the next */
    int64_t queued;      /* tokens in flight without a first token */
    int64_t calls_n;     /* charges that are open */
    double time_us, tokens; /* decaying sums over first tokens */
    double token_ns;        /* their ratio: time per token; 0: nothing learned */
    int64_t learned_us;     /* when the last first token came */
    int64_t penalty_us, penalty_at_us;
};

/* One call's tokens at a target, from the grant of its slot to its first token or its end. */
struct choose_charge {
    bool open;
    int64_t tokens, before; /* its own, and those that stood before it */
    int64_t at_us;
};

/* The call is sent there, with so many new prompt tokens. The charge must not be open. */
void choose_charge(struct choose_target *t, struct choose_charge *c, int64_t new_tokens, int64_t now_us);
/* Its first token came: the charge ends, and the time is learned. Nothing if the charge is not open. */
void choose_first_token(struct choose_target *t, struct choose_charge *c, int64_t now_us);
/* It ended in any other way: the charge ends, nothing is learned. Nothing if the charge is not open. */
void choose_end(struct choose_target *t, struct choose_charge *c);
/* It failed or was refused: adds a penalty of retry_after_us, or of CHOOSE_FAULT_US if that is 0. */
void choose_fault(struct choose_target *t, int64_t retry_after_us, int64_t now_us);
int64_t choose_penalty_us(const struct choose_target *t, int64_t now_us);

/* One choice. */
struct choose_ask {
    uint64_t usable;       /* bit per target */
    int64_t prompt_tokens; /* estimated */
    const int64_t *cached; /* per target: tokens of these that it holds; NULL: none anywhere */
    int64_t now_us;
};

enum choose_how { CHOOSE_NONE, CHOOSE_ONLY, CHOOSE_WEIGHT, CHOOSE_LEAST, CHOOSE_PRICE, CHOOSE_DICE };

/* The numbers of one candidate, as they were when it was looked at. */
struct choose_candidate {
    bool usable, tied; /* tied: its cost was within CHOOSE_TIE of the least */
    int64_t queued, cached, new_tokens;
    int64_t token_ns; /* per token */
    int64_t penalty_us, distance_us, cost_us;
    int64_t price, weight; /* weight 0: none given */
};

/* What x-tidegate-why says of a choice. */
struct choose_why {
    enum choose_how how;
    int target; /* -1: none usable */
    bool brief; /* set by the caller: that is all it wants */
    size_t n;
    struct choose_candidate candidates[CHOOSE_MAX];
};

/* Picks one of n targets, or -1. peers: their weights, and the state of the split, where weights are given;
 * NULL: by least cost. why: filled if not NULL. */
struct choose_set {
    const struct choose_target *targets;
    struct balance_peer *peers;
    size_t n;
    const uint32_t *at; /* which of `targets` candidate i is; NULL: i */
};
/* The numbers of candidate i among those that ask->usable names. */
struct choose_candidate choose_look(const struct choose_set *set, const struct choose_ask *ask, size_t i);
int choose_pick(const struct choose_set *set, const struct choose_ask *ask, struct rng *dice,
                struct choose_why *why);
const char *choose_how_name(enum choose_how how); /* "least cost" */

#endif
