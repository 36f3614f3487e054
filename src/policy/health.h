/* SPDX-License-Identifier: MIT */
/* What is known of one upstream model at one endpoint, and whether a call may be sent there now: breaker,
 * pacing, refused credentials, and what a call there would cost. Pure.
 *
 * One record for each endpoint and upstream model, shared by all models and workers that send calls there, so
 * that nobody has a picture of his own (a group's lock guards it). Targets that pass the client's model name
 * on share one record for all names: clients choose them, and could otherwise fill memory.
 *
 *     may a call go?   parked (401, 402)   no, until the park ends; then one call tries
 *                      breaker             policy/breaker.h
 *                      throttle            policy/throttle.h
 *
 * Retry-After and refused credentials shut it for everybody only if it takes nobody at present: where it
 * refuses some and takes others, the one that was refused waits, and nobody else.
 *
 * Parking: a refused credential or an empty account is refused again until somebody mends it. The first park
 * is short, each further one twice as long, and one call at its end tries. */
#ifndef POLICY_HEALTH_H
#define POLICY_HEALTH_H

#include "config/config.h"
#include "policy/breaker.h"
#include "policy/choose.h"
#include "policy/outcome.h"
#include "policy/throttle.h"

#define HEALTH_PARK_US (5 * CLOCK_SECOND_US) /* the first park */
#define HEALTH_PARK_MAX_US (300 * CLOCK_SECOND_US)
#define HEALTH_TRIAL_US (10 * CLOCK_SECOND_US) /* at its end one call tries; the next that much later */
#define HEALTH_TAKES_US (250 * CLOCK_MS_US)    /* it took a call so lately: a refusal does not shut it */
#define HEALTH_BRIEF_US CLOCK_SECOND_US        /* a failure within that time has cost it little */
#define HEALTH_LOADING_US CLOCK_SECOND_US /* an engine that loads is asked again then, if it says nothing */

struct health {
    const struct config_endpoint *endpoint; /* borrowed */
    const struct config_account *account;   /* borrowed; NULL: none */
    struct slice model;                     /* its name there; borrowed; p NULL: any */
    bool watched;                           /* whether failures count at all (breaker.failures) */
    struct breaker breaker;
    struct throttle throttle;
    struct choose_target *load; /* borrowed: these lie side by side */
    int64_t taken_us;           /* when it took a call last */
    enum outcome last;          /* the last failure; OUTCOME_N: none yet */
    enum outcome park_why;
    int64_t parked_us; /* no call before; 0: not parked */
    unsigned park_level;
    bool trial; /* a call tries whether the park may end; others wait for what it finds */
};

/* What a call remembers of it. Zeroed: no call. */
struct health_call {
    struct breaker_pass pass;
    struct choose_charge charge;
    int64_t began_us;
    bool taken; /* its first payload event was told */
    bool again; /* the request has failed there before */
};

/* failures: running ones that open its breaker; 0: it is never left alone. Its names are set by the owner. */
void health_init(struct health *h, struct choose_target *load, int failures);
/* Goes on with what another record knows of the same endpoint. */
void health_inherit(struct health *h, const struct health *from);

bool health_is_parked(const struct health *h, int64_t now_us);
/* It takes calls in the ordinary way: its breaker is closed, and it is neither cooling nor parked. */
bool health_is_well(const struct health *h, int64_t now_us);
/* Its breaker is closed and it takes everything: no call's end can open more than its own slot. */
bool health_is_calm(const struct health *h);
/* When a call may be sent: now_us, or a later time. is_last: no target of the model is well, and this is the
 * one that is asked all the same. */
int64_t health_next_us(struct health *h, int64_t now_us, bool is_last);
/* A call is sent; health_next_us was now_us. c->again is set by the owner: breakers count one failure of a
 * request, or a request that no endpoint can answer would shut it for all. */
void health_take(struct health *h, struct health_call *c, int64_t prompt_tokens, int64_t now_us,
                 bool is_last);
/* It, or another endpoint of its account, was told to come back later. */
void health_cool(struct health *h, int64_t now_us, int64_t retry_after_us);
/* Another endpoint of its account was told that the account has no balance. */
void health_park(struct health *h, enum outcome why, int64_t now_us);
/* Whether the end of this call, which told nothing of how it was worked on, was the endpoint's way to refuse
 * everybody: it came at once, and nobody was taken meanwhile. */
bool health_refuses_all(const struct health *h, const struct health_call *c, int64_t now_us);
/* Whether health_first is worth a step before the end of the call. */
bool health_listens(const struct health *h, const struct health_call *c);
/* The call's first payload event has come. */
void health_first(struct health *h, struct health_call *c, int64_t now_us);
/* The call is over. r NULL: there was none after all. */
void health_settle(struct health *h, struct health_call *c, const struct call_report *r, int64_t now_us,
                   struct rng *dice);

#endif
