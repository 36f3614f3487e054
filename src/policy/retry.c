/* SPDX-License-Identifier: MIT */
/* The bucket, what a request may still do, and its backoff. */
#include "policy/retry.h"

#include "base/assert.h"
#include "base/rng.h"

#define TOKEN_U INT64_C(1000000)
#define TICK_US (RETRY_RESERVE_US / TOKEN_U) /* a millionth of a token comes in that time */
#define HALVINGS_MAX 62

static int64_t holds(const struct retry_budget *b)
{
    int64_t n = b->firsts / RETRY_SHARE;

    return n < RETRY_HOLD_MIN ? RETRY_HOLD_MIN : n > RETRY_HOLD_MAX ? RETRY_HOLD_MAX : n;
}

static void put(struct retry_budget *b, int64_t tokens_u)
{
    int64_t most_u = holds(b) * TOKEN_U;

    b->tokens_u = b->tokens_u > most_u - tokens_u ? most_u : b->tokens_u + tokens_u;
}

void retry_init(struct retry_budget *b, int64_t now_us)
{
    *b = (struct retry_budget){.seen_us = now_us, .filled_us = now_us, .halved_us = now_us};
    b->tokens_u = holds(b) * TOKEN_U;
}

/* Fills in what came by itself and lets old first calls count less. */
static int64_t advance(struct retry_budget *b, int64_t now_us)
{
    if (now_us > b->seen_us)
        b->seen_us = now_us;
    int64_t halvings = (b->seen_us - b->halved_us) / RETRY_HALF_US;
    int64_t ticks = (b->seen_us - b->filled_us) / TICK_US;

    b->firsts >>= halvings < HALVINGS_MAX ? halvings : HALVINGS_MAX;
    b->halved_us += halvings * RETRY_HALF_US;
    b->filled_us += ticks * TICK_US;
    put(b, ticks < RETRY_HOLD_MAX * TOKEN_U ? ticks : RETRY_HOLD_MAX * TOKEN_U);
    return b->seen_us;
}

struct retry_tries retry_begin(struct retry_budget *b, int64_t now_us, unsigned calls,
                               unsigned client_retries)
{
    struct retry_tries r = {.allowed = (uint8_t)calls};

    advance(b, now_us);
    if (client_retries == 0) {
        b->firsts++;
        return r;
    }
    if (b->tokens_u >= TOKEN_U)
        b->tokens_u -= TOKEN_U;
    r.allowed = client_retries < calls ? (uint8_t)(calls - client_retries) : 1;
    return r;
}

void retry_spent(struct retry_tries *r, bool is_instant)
{
    if (!is_instant && r->real < r->allowed)
        r->real++;
    if (r->failed < UINT8_MAX)
        r->failed++;
}

bool retry_has_calls(const struct retry_tries *r)
{
    return r->real < r->allowed;
}

int64_t retry_backoff_us(const struct retry_tries *r, int64_t retry_after_us, struct rng *dice)
{
    int64_t most = RETRY_BACKOFF_US, floor = retry_after_us > 0 ? retry_after_us : 0;

    for (unsigned n = 1; n < r->failed && most < RETRY_BACKOFF_MAX_US; n++)
        most *= 2;
    if (most > RETRY_BACKOFF_MAX_US)
        most = RETRY_BACKOFF_MAX_US;
    if (floor > RETRY_AFTER_MAX_US)
        floor = RETRY_AFTER_MAX_US;
    return floor + (int64_t)rng_below(dice, (uint64_t)most + 1);
}

void retry_success(struct retry_budget *b, int64_t now_us)
{
    advance(b, now_us);
    put(b, RETRY_EARNED * TOKEN_U);
}

/* How many tokens there must be for this use. */
static int64_t needed_u(const struct retry_budget *b, enum retry_use use)
{
    return use == RETRY_HEDGE ? holds(b) * TOKEN_U / 2 + TOKEN_U : TOKEN_U;
}

bool retry_take(struct retry_budget *b, enum retry_use use, int64_t now_us)
{
    advance(b, now_us);
    if (b->tokens_u < needed_u(b, use))
        return false;
    b->tokens_u -= TOKEN_U;
    ASSERT(b->tokens_u >= 0);
    return true;
}

int64_t retry_next_us(struct retry_budget *b, enum retry_use use, int64_t now_us)
{
    advance(b, now_us);
    if (b->tokens_u >= needed_u(b, use))
        return now_us;
    if (use == RETRY_HEDGE)
        return CLOCK_NEVER_US;
    return b->filled_us + (TOKEN_U - b->tokens_u) * TICK_US;
}

int64_t retry_tokens(struct retry_budget *b, int64_t now_us)
{
    advance(b, now_us);
    return b->tokens_u / TOKEN_U;
}

int64_t retry_holds(struct retry_budget *b, int64_t now_us)
{
    advance(b, now_us);
    return holds(b);
}
