/* SPDX-License-Identifier: MIT */
/* policy/retry: its rules and the bucket against a plain model. retry_outage_test.c holds it to its promise.
 */
#include "policy/retry.h"

#include "base/assert.h"
#include "base/rng.h"
#include "tap.h"

#define S CLOCK_SECOND_US

static int drain(struct retry_budget *b, int64_t now)
{
    int n = 0;

    while (retry_take(b, RETRY_RETRY, now))
        n++;
    return n;
}

TEST(a_success_pays_for_two_and_a_call_takes_one)
{
    struct retry_budget b;

    retry_init(&b, 0);
    CHECK_INT(drain(&b, 0), RETRY_HOLD_MIN);
    retry_success(&b, 0);
    CHECK_INT(drain(&b, 0), RETRY_EARNED);
    for (int i = 0; i < 1000; i++)
        retry_success(&b, 0);
    CHECK_INT(retry_tokens(&b, 0), RETRY_HOLD_MIN); /* and no more than it holds */
}

TEST(the_empty_bucket_says_when_to_come_back)
{
    struct retry_budget b;
    int64_t now = 77 * S;

    retry_init(&b, now);
    CHECK_INT(retry_next_us(&b, RETRY_RETRY, now), now);
    drain(&b, now);
    int64_t next = retry_next_us(&b, RETRY_FALLBACK, now);
    CHECK_INT(next, now + RETRY_RESERVE_US);
    now += 7 * S + 13; /* not a whole number of millionths */
    CHECK_INT(retry_next_us(&b, RETRY_RETRY, now), next);
    CHECK(!retry_take(&b, RETRY_RETRY, next - 1));
    CHECK(retry_take(&b, RETRY_RETRY, next));
    CHECK(!retry_take(&b, RETRY_RETRY, next));
    CHECK(!retry_take(&b, RETRY_RETRY, 0)); /* an earlier time is taken as the latest */
    retry_success(&b, next);
    CHECK_INT(retry_next_us(&b, RETRY_RETRY, next), next);
    CHECK_INT(retry_tokens(&b, next + 3600 * S), RETRY_HOLD_MIN);
}

TEST(traffic_makes_the_bucket_larger_and_its_end_smaller)
{
    struct retry_budget b;
    int64_t now = 0;

    retry_init(&b, now);
    for (; now < 600 * S; now += S / 10)
        retry_begin(&b, now, RETRY_CALLS, 0);
    CHECK(retry_holds(&b, now) >= 95 && retry_holds(&b, now) <= 200);
    for (int i = 0; i < 200; i++)
        retry_success(&b, now);
    CHECK_INT(retry_tokens(&b, now), retry_holds(&b, now));
    for (int i = 0; i < 100000; i++)
        retry_begin(&b, now, RETRY_CALLS, 0);
    CHECK_INT(retry_holds(&b, now), RETRY_HOLD_MAX);
    now += 3600 * S;
    CHECK_INT(retry_holds(&b, now), RETRY_HOLD_MIN);
    CHECK_INT(retry_tokens(&b, now), RETRY_HOLD_MIN);
}

TEST(a_hedge_leaves_half_and_never_waits)
{
    struct retry_budget b;
    int n = 0;

    retry_init(&b, 0);
    while (retry_take(&b, RETRY_HEDGE, 0))
        n++;
    CHECK_INT(n, RETRY_HOLD_MIN / 2);
    CHECK_INT(retry_next_us(&b, RETRY_HEDGE, 0), CLOCK_NEVER_US);
    CHECK_INT(retry_next_us(&b, RETRY_RETRY, 0), 0);
    CHECK_INT(drain(&b, 0), RETRY_HOLD_MIN / 2);
}

TEST(t10_three_real_calls)
{
    struct retry_budget b;

    retry_init(&b, 0);
    struct retry_tries r = retry_begin(&b, 0, RETRY_CALLS, 0);
    for (int i = 0; i < RETRY_CALLS; i++) {
        CHECK(retry_has_calls(&r));
        retry_spent(&r, false);
    }
    CHECK(!retry_has_calls(&r));
}

TEST(an_instant_refusal_is_spaced_and_not_counted)
{
    struct retry_budget b;
    struct rng dice;
    int64_t longest = 0;

    rng_seed(&dice, 1);
    retry_init(&b, 0);
    struct retry_tries r = retry_begin(&b, 0, RETRY_CALLS, 0);
    for (int i = 0; i < 1000; i++) {
        retry_spent(&r, true);
        CHECK(retry_has_calls(&r));
        int64_t wait = retry_backoff_us(&r, 0, &dice);
        longest = wait > longest ? wait : longest;
    }
    CHECK(longest > RETRY_BACKOFF_MAX_US * 9 / 10);
    CHECK_INT(r.failed, UINT8_MAX);
}

TEST(t9_backoff_has_full_jitter_above_retry_after)
{
    static const int64_t floors[] = {-1, 0, 1, 3 * S, RETRY_AFTER_MAX_US};
    struct rng dice;

    rng_seed(&dice, 2);
    for (unsigned failed = 0; failed <= UINT8_MAX; failed++) {
        struct retry_tries r = {.allowed = RETRY_CALLS, .failed = (uint8_t)failed};
        int64_t whole = failed <= 1   ? RETRY_BACKOFF_US
                        : failed <= 6 ? RETRY_BACKOFF_US << (failed - 1)
                                      : RETRY_BACKOFF_MAX_US;
        for (size_t f = 0; f < COUNT_OF(floors); f++) {
            int64_t floor = floors[f] > 0 ? floors[f] : 0, least = INT64_MAX, most = 0;
            for (int i = 0; i < 200; i++) {
                int64_t wait = retry_backoff_us(&r, floors[f], &dice) - floor;
                least = wait < least ? wait : least;
                most = wait > most ? wait : most;
            }
            CHECK(least >= 0 && most <= whole && least < whole / 10 && most > whole * 9 / 10);
        }
    }
    struct retry_tries r = {.allowed = RETRY_CALLS};
    int64_t longest = retry_backoff_us(&r, INT64_MAX, &dice) - RETRY_AFTER_MAX_US; /* an absurd one */
    CHECK(longest >= 0 && longest <= RETRY_BACKOFF_US);
}

TEST(a_clients_own_retries_weigh_in)
{
    struct retry_budget b;
    static const int calls[] = {3, 2, 1, 1, 1};

    retry_init(&b, 0);
    for (unsigned n = 0; n < 5; n++) {
        int64_t tokens = retry_tokens(&b, 0);
        struct retry_tries r = retry_begin(&b, 0, RETRY_CALLS, n);
        CHECK_INT(r.allowed, calls[n]);
        CHECK_INT(tokens - retry_tokens(&b, 0), n > 0);
    }
    for (int i = 0; i < 1000; i++) { /* never below nothing, and no larger bucket for it */
        struct retry_tries r = retry_begin(&b, 0, RETRY_CALLS, UINT32_MAX);
        CHECK(retry_has_calls(&r));
    }
    CHECK_INT(retry_tokens(&b, 0), 0);
    CHECK_INT(retry_holds(&b, 0), RETRY_HOLD_MIN);
    CHECK_INT(retry_next_us(&b, RETRY_RETRY, 0), RETRY_RESERVE_US);
}

/* The bucket in real numbers. */
struct plain {
    double tokens, holds, firsts;
    int64_t now, halved;
};

static void pass_time(struct plain *p, int64_t now)
{
    for (; p->halved + RETRY_HALF_US <= now; p->halved += RETRY_HALF_US)
        p->firsts = (double)(int64_t)(p->firsts / 2);
    p->tokens += (double)(now - p->now) / (double)RETRY_RESERVE_US;
    p->now = now;
    p->holds = (double)((int64_t)p->firsts / RETRY_SHARE);
    p->holds = p->holds < RETRY_HOLD_MIN   ? RETRY_HOLD_MIN
               : p->holds > RETRY_HOLD_MAX ? RETRY_HOLD_MAX
                                           : p->holds;
    if (p->tokens > p->holds)
        p->tokens = p->holds;
}

TEST(the_bucket_does_what_plain_numbers_do)
{
    struct retry_budget b;
    struct plain p = {.tokens = RETRY_HOLD_MIN};
    struct rng dice;
    int refused_n = 0, taken_n = 0;

    rng_seed(&dice, 3);
    retry_init(&b, 0);
    for (int step = 0; step < 200000; step++) {
        int64_t now = p.now + (int64_t)rng_below(&dice, step / 5000 % 2 ? S / 50 : 5 * S);
        unsigned op = (unsigned)rng_below(&dice, 10);

        pass_time(&p, now);
        if (op < 4) {
            unsigned retries = rng_below(&dice, 4) == 0;
            if (p.tokens < 1 + 1e-4 && p.tokens > 1 - 1e-4)
                continue;
            retry_begin(&b, now, RETRY_CALLS, retries);
            p.firsts += retries == 0;
            if (retries > 0 && p.tokens > 1)
                p.tokens -= 1;
        } else if (op == 4) {
            retry_success(&b, now);
            pass_time(&p, now);
            p.tokens = p.tokens + RETRY_EARNED > p.holds ? p.holds : p.tokens + RETRY_EARNED;
        } else {
            enum retry_use use = op == 9 ? RETRY_HEDGE : RETRY_RETRY;
            double needed = use == RETRY_HEDGE ? p.holds / 2 + 1 : 1;
            pass_time(&p, now);
            if (p.tokens < needed + 1e-4 && p.tokens > needed - 1e-4)
                continue; /* too close to say: millionths are rounded */
            bool may = retry_next_us(&b, use, now) <= now, took = retry_take(&b, use, now);
            if (!CHECK_INT(took, p.tokens >= needed) || !CHECK_INT(may, took))
                return;
            p.tokens -= took;
            took ? taken_n++ : refused_n++;
        }
        pass_time(&p, now);
        double off = (double)b.tokens_u / 1e6 - p.tokens;
        if (!CHECK(off < 1e-3 && off > -1e-3))
            return;
        p.tokens += off; /* rounding does not add up */
    }
    CHECK(refused_n > 1000 && taken_n > 1000);
}
