/* SPDX-License-Identifier: MIT */
/* Limits across workers: one meter (policy/meter.h) for every key, key with model, and model that has limits,
 * each with a lock of its own. Whoever has no limits takes no lock.
 *
 * A request is let through by all meters that apply to it, or by none: their locks are taken together, in the
 * order key, key with model, model, each is asked, and only if all agree it is counted in all. So N per
 * window are N, however many workers ask at once, and a request that is refused has changed nothing.
 *
 * Reloading: the limits of a new configuration take over the meters of the old one, by the names of keys and
 * models, so that counts go on. A pass holds its meters itself: it may be settled after the limits that gave
 * it are gone. */
#ifndef SHARED_LIMITS_H
#define SHARED_LIMITS_H

#include "config/config.h"
#include "policy/meter.h"

struct limits;
struct guard;

enum limits_scope { LIMITS_OF_KEY, LIMITS_OF_KEY_MODEL, LIMITS_OF_MODEL, LIMITS_SCOPES_N };

/* Who asks: indices in the configuration; -1: no key, no model (yet). */
struct limits_who {
    int key, model;
};

struct limits_refusal {
    enum limits_scope scope;
    struct meter_refusal why;
};

/* The tightest windows that apply, after the answer: for x-ratelimit headers. */
struct limits_levels {
    struct meter_level requests, tokens;
};

/* The right to be in work, until it is settled. */
struct limits_pass {
    struct {
        struct guard *guard;
        int64_t at_us; /* when it was counted there */
    } holds[LIMITS_SCOPES_N];
    int holds_n;
    int64_t tokens; /* reserved */
};

/* Keeps a reference to the configuration. `old`: the limits whose counts go on, or NULL; it stays usable, and
 * its meters take the new numbers at once. */
struct limits *limits_new(struct config *cfg, const struct limits *old);
void limits_free(struct limits **l);

/* Thread: any, for all that follow. */

/* Whether any limit applies; the least limit of tokens that does, 0: none. They take no lock. */
bool limits_apply(const struct limits *l, struct limits_who who);
int64_t limits_tokens_max(const struct limits *l, struct limits_who who);
/* Whether one more request of `tokens` would be let through now. Counts nothing. On false *why says what is
 * in the way longest. *levels is set either way. */
bool limits_ask(struct limits *l, struct limits_who who, int64_t now_us, int64_t tokens,
                struct limits_refusal *why, struct limits_levels *levels);
/* The same for the tokens that the caller has set in *pass, and counts it: *pass has to be settled exactly
 * once.
 */
bool limits_enter(struct limits *l, struct limits_who who, int64_t now_us, struct limits_pass *pass,
                  struct limits_refusal *why, struct limits_levels *levels);
/* `used`: tokens that it really took. `counts`: false when it was never sent to an endpoint, and so counts
 * for nothing. Empties the pass. */
void limits_settle(struct limits_pass *pass, int64_t now_us, int64_t used, bool counts);

/* What was learned about a model's tokens (policy/learned.h). */
int64_t limits_prompt(struct limits *l, int model, int64_t estimated);
int64_t limits_answer(struct limits *l, int model);
void limits_learn(struct limits *l, int model, int64_t estimated, int64_t prompt, int64_t answer);

/* Passes that are not settled, over all meters of these limits; 0 when idle. */
int64_t limits_inflight(struct limits *l);

#endif
