/* SPDX-License-Identifier: MIT */
/* The learned limit under random events: what must hold after any of them. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "policy/limiter.h"
#include "tap.h"

#define CROWD 64

/* What must hold of any limiter after anything. */
static bool is_sane(const struct limiter *l, const struct limiter *before, int64_t now_us)
{
    int most = l->cap > 0 ? l->cap : LIMITER_MAX, limit = limiter_limit(l);

    if (l->engine > 0 && l->engine < most)
        most = l->engine;
    if (limit < 1 || limit > most || limiter_has_room(l, limit, now_us))
        return false;
    if (l->cut_us != before->cut_us && l->cut_refused && before->cut_us >= 0 &&
        l->cut_us - before->cut_us < LIMITER_HOLD_US)
        return false; /* a refusal cut within 5 s of a cut */
    if (now_us < l->flat_us && l->cut_us == now_us && l->cut_refused)
        return false;
    return l->window.n <= l->begun_n + CROWD && l->opens_us - now_us <= LIMITER_RETRY_MAX_US;
}

/* A limiter and the calls in flight on it. */
struct churn {
    struct limiter l;
    struct limiter_call calls[CROWD];
    int n;
    int64_t now_us;
    struct rng dice;
};

/* One that is in flight ends: it is given back through *c. */
static bool take_any(struct churn *w, struct limiter_call *c)
{
    int pick;

    if (w->n == 0)
        return false;
    pick = (int)rng_below(&w->dice, (uint64_t)w->n);
    *c = w->calls[pick];
    w->calls[pick] = w->calls[--w->n];
    return true;
}

static void anything(struct churn *w)
{
    uint64_t kind = rng_below(&w->dice, 450);
    struct limiter_call c;

    w->now_us += (int64_t)rng_exp(&w->dice, 50000);
    if (kind < 200) {
        if (w->n < CROWD && limiter_has_room(&w->l, w->n, w->now_us)) {
            limiter_begin(&w->l, &w->calls[w->n], w->n + 1, w->now_us);
            w->n++;
        }
    } else if (kind < 320) {
        if (take_any(w, &c))
            limiter_first(&w->l, &c, (int64_t)rng_below(&w->dice, 100000), w->now_us);
    } else if (kind < 350) {
        if (take_any(w, &c))
            limiter_answered(&w->l, &c, w->now_us);
    } else if (kind < 400) {
        if (take_any(w, &c))
            limiter_refused(&w->l, &c, w->n, (int64_t)rng_below(&w->dice, 3) * 1000, w->now_us);
    } else if (kind < 448) {
        take_any(w, &c); /* broken, or its client left */
    } else if (kind == 448) {
        limiter_hint(&w->l, (int)rng_below(&w->dice, 40), (int)rng_below(&w->dice, 8) - 1, w->n, w->now_us);
    } else {
        limiter_set_cap(&w->l, (int)rng_below(&w->dice, 40));
    }
}

TEST(no_order_of_events_breaks_the_invariants)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct churn w = {.now_us = 0};
        struct limiter before;

        rng_seed(&w.dice, seed);
        limiter_init(&w.l, &(struct limiter_opts){.cap = (int)rng_below(&w.dice, 3) * 20});
        for (int step = 0; step < 20000; step++) {
            before = w.l;
            anything(&w);
            if (!CHECK(is_sane(&w.l, &before, w.now_us)))
                return;
        }
    }
}
