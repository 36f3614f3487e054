/* SPDX-License-Identifier: MIT */
/* The one budget for every call beyond a request's first: retries, hedges and fallbacks. Pure.
 *
 * A bucket of tokens. A success pays two in, a further call takes one out, and one comes by itself every
 * 20 s, so that a gateway with little traffic is never stuck. Half of all calls may be refused and the bucket
 * stays full; when nothing succeeds it empties and all wait for the next token. It holds as much as a
 * fraction of the first calls of the last minute (at least RETRY_HOLD_MIN): a total outage of ten minutes
 * then sees at most 1.1 calls a request from one request a second on, with that bucket full when it begins.
 *
 * A request has RETRY_CALLS real calls. An instant refusal (refused at once, or no connection: the endpoint
 * did no work) is not one of them; it takes a token and is spaced by the backoff, which grows with each.
 * A client's own retry (x-stainless-retry-count) was counted at its first try: it raises no allowance, takes
 * a token when there is one, and has so many real calls fewer, though at least one.
 *
 * The caller's lock; times as in policy/breaker. */
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct rng;

#define RETRY_CALLS 3                           /* real calls of one request, by default */
#define RETRY_EARNED 2                          /* tokens for a success */
#define RETRY_HOLD_MIN 10                       /* what the bucket holds without traffic */
#define RETRY_HOLD_MAX 500                      /* and with any */
#define RETRY_RESERVE_US (20 * CLOCK_SECOND_US) /* a token comes by itself in that time */
#define RETRY_HALF_US (40 * CLOCK_SECOND_US)    /* after that long first calls count half */
#define RETRY_SHARE 4                           /* the bucket holds a quarter of the first calls remembered */
#define RETRY_BACKOFF_US (100 * CLOCK_MS_US)    /* the first backoff is up to that; it doubles */
#define RETRY_BACKOFF_MAX_US (5 * CLOCK_SECOND_US) /* up to that */
#define RETRY_AFTER_MAX_US (300 * CLOCK_SECOND_US) /* the longest Retry-After that is believed */

struct retry_budget {
    int64_t seen_us, filled_us, halved_us;
    int64_t tokens_u; /* in millionths */
    int64_t firsts;   /* first calls, older ones less */
};

/* What one request has behind it. */
struct retry_tries {
    uint8_t real, allowed; /* calls that counted, and how many may */
    uint8_t failed;        /* calls that brought nothing, for the backoff; stops at 255 */
};

/* HEDGE: a second call beside a slow one; never waits, and leaves half of the bucket to the others. */
enum retry_use { RETRY_RETRY, RETRY_FALLBACK, RETRY_HEDGE };

void retry_init(struct retry_budget *b, int64_t now_us);

/* A request of that many real calls makes its first one. client_retries: how often its client has tried
 * before (0: not, or unknown). */
struct retry_tries retry_begin(struct retry_budget *b, int64_t now_us, unsigned calls,
                               unsigned client_retries);
/* A call of it brought nothing. is_instant: the endpoint did no work for it. */
void retry_spent(struct retry_tries *r, bool is_instant);
/* Whether it may make a further call at all. */
bool retry_has_calls(const struct retry_tries *r);
/* How long it waits before it asks the same endpoint again: by dice up to a bound that doubles with each
 * failure, and that much longer than Retry-After (<= 0: not said). Another endpoint may be asked at once. */
int64_t retry_backoff_us(const struct retry_tries *r, int64_t retry_after_us, struct rng *dice);

/* A call succeeded: at its first payload event, or at its end when it has none. */
void retry_success(struct retry_budget *b, int64_t now_us);
/* Takes a token for a further call. False: there is none. */
bool retry_take(struct retry_budget *b, enum retry_use use, int64_t now_us);
/* When there will be one if nothing succeeds: now_us when there is. For a hedge: CLOCK_NEVER_US instead. */
int64_t retry_next_us(struct retry_budget *b, enum retry_use use, int64_t now_us);
/* Whole tokens, and how many the bucket holds. To be shown. */
int64_t retry_tokens(struct retry_budget *b, int64_t now_us);
int64_t retry_holds(struct retry_budget *b, int64_t now_us);

#endif
