/* SPDX-License-Identifier: MIT */
/* Crowds: a provider asks for a second of patience with each refusal, so that all who wait begin at once, and
 * reach it in any order. The limit must be seen all the same. */
#include "policy/limiter.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "tap.h"

#define SLOTS 40
#define STAY 30 /* of the calls in flight, from one crowd to the next */
#define CALLS_MAX 400
#define BACK_US (8 * CLOCK_MS_US)
#define FIRST_US (300 * CLOCK_MS_US)

struct rig {
    struct limiter l;
    struct rng dice;
    int64_t now_us;
    struct limiter_call calls[CALLS_MAX];
    int order[CALLS_MAX];
};

/* As many as there is room for begin, in the order of their indices, and come in another. */
static int begin_all(struct rig *r)
{
    int n = 0;

    while (limiter_has_room(&r->l, STAY + n, r->now_us) && n < CALLS_MAX) {
        limiter_begin(&r->l, &r->calls[n], STAY + n + 1, r->now_us);
        r->order[n] = n;
        n++;
    }
    for (int i = n - 1; i > 0; i--) {
        int k = (int)rng_below(&r->dice, (uint64_t)i + 1), other = r->order[k];

        r->order[k] = r->order[i];
        r->order[i] = other;
    }
    return n;
}

/* Returns how many were refused. */
static int crowd(struct rig *r)
{
    int n = begin_all(r), free = SLOTS - STAY, refused = n > free ? n - free : 0;

    for (int i = 0; i < refused; i++)
        limiter_refused(&r->l, &r->calls[r->order[free + i]], STAY + n - 1 - i, CLOCK_SECOND_US,
                        r->now_us + BACK_US);
    for (int i = 0; i < n - refused; i++)
        limiter_first(&r->l, &r->calls[r->order[i]], 100, r->now_us + FIRST_US);
    r->now_us += CLOCK_SECOND_US + 2 * BACK_US;
    return refused;
}

TEST(those_that_overtake_each_other_do_not_hide_the_limit)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rig r = {.now_us = CLOCK_SECOND_US};
        int refused = 0, most = 0;

        limiter_init(&r.l, &(struct limiter_opts){.cap = 300, .start = 120});
        rng_seed(&r.dice, seed);
        for (int i = 0; i < 30; i++)
            crowd(&r);
        for (int i = 0; i < 120; i++) {
            refused += crowd(&r);
            most = limiter_limit(&r.l) > most ? limiter_limit(&r.l) : most;
        }
        CHECK(most <= SLOTS * 1.5);
        CHECK(limiter_limit(&r.l) >= SLOTS * 0.8);
        CHECK(refused < 100); /* thousands, when levels are taken as they are */
    }
}
