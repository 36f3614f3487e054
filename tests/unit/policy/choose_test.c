/* SPDX-License-Identifier: MIT */
/* policy/choose: each term of the cost, what calls teach, ties, weights, and what is told of a choice. */
#include "policy/choose.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

#define ALL UINT64_MAX
#define MINUTE_US (60 * CLOCK_SECOND_US)

static struct rng dice = {{1, 2, 3, 4}};

static int pick(const struct choose_target *t, size_t n, int64_t prompt, const int64_t *cached)
{
    struct choose_set set = {t, NULL, n, NULL};
    struct choose_ask ask = {ALL, prompt, cached, 0};
    return choose_pick(&set, &ask, &dice, NULL);
}

static int pick_at(const struct choose_target *t, size_t n, int64_t now_us)
{
    struct choose_set set = {t, NULL, n, NULL};
    struct choose_ask ask = {ALL, 1000, NULL, now_us};
    return choose_pick(&set, &ask, &dice, NULL);
}

/* How often each of n targets is picked in 1,000. */
static void count_picks(const struct choose_target *t, size_t n, int64_t now_us, int *count)
{
    memset(count, 0, n * sizeof *count);
    for (int i = 0; i < 1000; i++)
        count[pick_at(t, n, now_us)]++;
}

/* Calls that find the target idle, one after the other: each takes so long per token. */
static void teach(struct choose_target *t, int calls_n, int64_t tokens, int64_t token_ns, int64_t *now_us)
{
    for (int i = 0; i < calls_n; i++) {
        struct choose_charge c = {0};
        choose_charge(t, &c, tokens, *now_us);
        *now_us += (tokens + CHOOSE_REQUEST_TOKENS) * token_ns / 1000;
        choose_first_token(t, &c, *now_us);
    }
}

static int64_t token_ns_at(const struct choose_target *t, size_t n, size_t i, int64_t now_us)
{
    struct choose_set set = {t, NULL, n, NULL};
    struct choose_ask ask = {ALL, 1000, NULL, now_us};
    struct choose_why *why = mem_zalloc(sizeof *why);
    int64_t ns;

    choose_pick(&set, &ask, &dice, why);
    ns = why->candidates[i].token_ns;
    mem_free(why);
    return ns;
}

TEST(fewest_tokens_not_fewest_calls)
{
    struct choose_target t[2] = {0};
    struct choose_charge one = {0}, many[20] = {0};

    choose_charge(&t[0], &one, 100000, 0);
    for (int i = 0; i < 20; i++)
        choose_charge(&t[1], &many[i], 100, 0);
    CHECK_INT(t[1].calls_n, 20);
    CHECK_INT(pick(t, 2, 1000, NULL), 1);
}

TEST(a_charge_ends_once)
{
    struct choose_target t = {0};
    struct choose_charge a = {0}, b = {0};

    choose_charge(&t, &a, 1000, 0);
    choose_charge(&t, &b, 500, 0);
    CHECK_INT(t.queued, 1500 + 2 * CHOOSE_REQUEST_TOKENS);
    choose_first_token(&t, &a, 1000);
    choose_first_token(&t, &a, 2000);
    choose_end(&t, &a);
    CHECK_INT(t.queued, 500 + CHOOSE_REQUEST_TOKENS);
    choose_end(&t, &b);
    choose_end(&t, &b);
    choose_first_token(&t, &b, 3000);
    CHECK_INT(t.queued, 0);
    CHECK_INT(t.calls_n, 0);
}

TEST(what_a_target_holds_makes_it_cheaper)
{
    struct choose_target t[3] = {0};
    const int64_t cached[3] = {0, 8000, 0};

    for (int i = 0; i < 100; i++)
        CHECK_INT(pick(t, 3, 10000, cached), 1);
}

/* T24: whatever it holds, a target that is busy, slow, or failing loses. */
TEST(t24_affinity_is_never_a_veto)
{
    const int64_t cached[2] = {9999, 0};
    struct choose_target busy[2] = {0}, slow[2] = {0}, faulty[2] = {0};
    struct choose_charge c = {0};
    struct choose_set set = {slow, NULL, 2, NULL};
    struct choose_ask ask = {ALL, 10000, cached, 0};
    int64_t now_us = 0;

    CHECK_INT(pick(busy, 2, 10000, cached), 0);
    choose_charge(&busy[0], &c, 20000, 0);
    CHECK_INT(pick(busy, 2, 10000, cached), 1);

    teach(&slow[1], 20, 1000, 100000, &now_us);
    teach(&slow[0], 20, 1000, 100000000, &now_us);
    ask.now_us = now_us;
    slow[1].learned_us = now_us;
    CHECK_INT(choose_pick(&set, &ask, &dice, NULL), 1);

    choose_fault(&faulty[0], 0, 0);
    CHECK_INT(pick(faulty, 2, 10000, cached), 1);

    set.targets = busy; /* and one that cannot be used at all is not waited for */
    ask.usable = 2;
    CHECK_INT(choose_pick(&set, &ask, &dice, NULL), 1);
}

TEST(time_per_token_is_learned_and_weighed)
{
    struct choose_target t[2] = {0};
    struct choose_charge c = {0};
    int64_t now_us = 0;

    teach(&t[0], 40, 5000, 400000, &now_us);
    teach(&t[1], 40, 5000, 100000, &now_us);
    t[0].learned_us = now_us;
    CHECK_INT(token_ns_at(t, 2, 0, now_us) / 1000, 400);
    CHECK_INT(token_ns_at(t, 2, 1, now_us) / 1000, 100);
    CHECK_INT(pick_at(t, 2, now_us), 1);
    choose_charge(&t[1], &c, 2500, now_us); /* 3,628 x 100 us is less than 1,064 x 400 us */
    CHECK_INT(pick_at(t, 2, now_us), 1);
    choose_end(&t[1], &c);
    choose_charge(&t[1], &c, 3500, now_us); /* 4,628 x 100 us is more */
    CHECK_INT(pick_at(t, 2, now_us), 0);
}

/* Twenty calls at once on a target that computes them in turn: the last waits twenty times as long, and the
 * target is no slower for it. */
TEST(a_queue_is_not_counted_twice)
{
    struct choose_target t[1] = {0};
    struct choose_charge c[20] = {0};
    int64_t each = 1000 + CHOOSE_REQUEST_TOKENS;

    for (int i = 0; i < 20; i++)
        choose_charge(&t[0], &c[i], 1000, 0);
    for (int i = 0; i < 20; i++)
        choose_first_token(&t[0], &c[i], each * (i + 1) * 100);
    CHECK_INT(token_ns_at(t, 1, 0, each * 2000) / 1000, 100);
}

/* A short prompt's time is mostly the way there and back: it must not make a target look slow. */
TEST(short_prompts_teach_little)
{
    struct choose_target t[1] = {0};
    int64_t now_us = 0;

    for (int i = 0; i < 40; i++) {
        struct choose_charge c = {0};
        teach(&t[0], 1, 20000, 100000, &now_us);
        choose_charge(&t[0], &c, 1, now_us);
        choose_first_token(&t[0], &c, now_us += 200000); /* 200 ms for one token */
    }
    CHECK(token_ns_at(t, 1, 0, now_us) < 115000);
}

TEST(who_ends_without_a_token_teaches_nothing)
{
    struct choose_target t[2] = {0};
    int64_t now_us = 0;

    teach(&t[1], 1, 1000, 50000, &now_us);
    for (int i = 0; i < 100; i++) { /* T13: fails at once, again and again */
        struct choose_charge c = {0};
        choose_charge(&t[0], &c, 1000, now_us);
        choose_end(&t[0], &c);
        choose_fault(&t[0], 0, now_us);
    }
    CHECK_INT(t[0].tokens > 0, 0);
    CHECK_INT(choose_penalty_us(&t[0], now_us), CHOOSE_PENALTY_MAX_US);
    for (int i = 0; i < 60; i++)
        CHECK_INT(pick_at(t, 2, now_us + i * CLOCK_SECOND_US), 1);
}

/* Hanging calls are queued tokens that never go: the target prices itself out. */
TEST(who_hangs_is_left_alone)
{
    struct choose_target t[2] = {0};
    struct choose_charge c[1000] = {0};
    int hung_n = 0;

    for (int i = 0; i < 1000; i++) {
        int64_t now_us = i * CLOCK_SECOND_US;
        int got = pick_at(t, 2, now_us);
        choose_charge(&t[got], &c[i], 1000, now_us);
        if (got == 1)
            choose_first_token(&t[1], &c[i], now_us + 200000);
        hung_n += got == 0;
    }
    CHECK(hung_n <= 2);
}

TEST(a_new_target_is_taken_for_the_best)
{
    struct choose_target t[3] = {0};
    struct choose_charge c = {0};
    int64_t now_us = 0;

    CHECK_INT(token_ns_at(t, 3, 2, 0), CHOOSE_TOKEN_NS);
    teach(&t[0], 30, 1000, 700000, &now_us);
    teach(&t[1], 30, 1000, 300000, &now_us);
    CHECK_INT(token_ns_at(t, 3, 2, now_us) / 1000, 300);
    choose_charge(&t[2], &c, 1000, now_us); /* but not by everybody at once */
    CHECK_INT(pick_at(t, 3, now_us), 1);
}

TEST(slowness_is_forgotten_by_halves)
{
    struct choose_target t[2] = {0};
    int64_t now_us = 0;

    teach(&t[1], 30, 1000, 100000, &now_us);
    teach(&t[0], 30, 1000, 900000, &now_us);
    t[1].learned_us = now_us;
    CHECK_INT(token_ns_at(t, 2, 0, now_us) / 1000, 900);
    CHECK_INT(token_ns_at(t, 2, 0, now_us + CHOOSE_FORGET_US) / 1000, 500);
    CHECK_INT(token_ns_at(t, 2, 0, now_us + 2 * CHOOSE_FORGET_US) / 1000, 300);
    for (int64_t s = 0; s < 100 * CHOOSE_FORGET_US; s += 1234567) {
        int64_t sooner = token_ns_at(t, 2, 0, now_us + s), later = token_ns_at(t, 2, 0, now_us + s + 999999);
        if (!CHECK(sooner >= later && later >= 100000 - 1))
            return;
    }
    CHECK_INT(token_ns_at(t, 2, 0, now_us + 100 * CHOOSE_FORGET_US) / 1000, 100);
}

TEST(penalties_follow_retry_after_add_up_and_halve)
{
    struct choose_target t = {0};

    CHECK_INT(choose_penalty_us(&t, 123), 0);
    choose_fault(&t, 0, 0);
    CHECK_INT(choose_penalty_us(&t, 0), CHOOSE_FAULT_US);
    CHECK_INT(choose_penalty_us(&t, CHOOSE_PENALTY_HALF_US), CHOOSE_FAULT_US / 2);
    choose_fault(&t, 20 * CLOCK_SECOND_US, CHOOSE_PENALTY_HALF_US);
    CHECK_INT(choose_penalty_us(&t, CHOOSE_PENALTY_HALF_US), CHOOSE_FAULT_US / 2 + 20 * CLOCK_SECOND_US);
    choose_fault(&t, INT64_MAX, 2 * CHOOSE_PENALTY_HALF_US);
    CHECK_INT(choose_penalty_us(&t, 2 * CHOOSE_PENALTY_HALF_US), CHOOSE_PENALTY_MAX_US);
    CHECK_INT(choose_penalty_us(&t, INT64_MAX), 0);
    choose_fault(&t, -1, INT64_MAX); /* and a clock that is odd does no harm */
    CHECK_INT(choose_penalty_us(&t, 0), CHOOSE_FAULT_US);
}

TEST(the_nearest_first_and_the_next_when_it_pays)
{
    struct choose_target t[2] = {{.distance_us = 80000}, {.distance_us = 0}};
    struct choose_charge c = {0};

    CHECK_INT(pick_at(t, 2, 0), 1);
    choose_charge(&t[1], &c, 500, 0); /* 564 tokens of 125 us are 70 ms: the way is longer */
    CHECK_INT(pick_at(t, 2, 0), 1);
    choose_end(&t[1], &c);
    choose_charge(&t[1], &c, 1000, 0); /* 133 ms */
    CHECK_INT(pick_at(t, 2, 0), 0);
}

TEST(price_breaks_ties_and_nothing_else)
{
    struct choose_target t[3] = {{.price = 30}, {.price = 10}, {.price = 20}};
    struct choose_charge c = {0};

    for (int i = 0; i < 100; i++)
        CHECK_INT(pick_at(t, 3, 0), 1);
    choose_charge(&t[1], &c, 0, 0); /* 64 tokens more of 1,064: past a twentieth */
    for (int i = 0; i < 100; i++)
        CHECK_INT(pick_at(t, 3, 0), 2);
    t[1].queued = 50; /* within it */
    CHECK_INT(pick_at(t, 3, 0), 1);
    t[1].queued = CHOOSE_REQUEST_TOKENS;
    choose_end(&t[1], &c);
}

TEST(dice_decide_between_equals)
{
    struct choose_target t[4] = {{.price = 5}, {.price = 5}, {.price = 6}, {.price = 5}};
    int n[4];

    count_picks(t, 4, 0, n);
    CHECK(n[0] > 270 && n[1] > 270 && n[3] > 270);
    CHECK_INT(n[2], 0);
}

/* Eight gateways that know nothing of each other: a new idle target is not run over by all of them. */
TEST(gateways_with_the_same_picture_do_not_herd)
{
    int sent[8] = {0};

    for (int gateway = 0; gateway < 800; gateway++) {
        struct choose_target t[8] = {0};
        sent[pick_at(t, 8, 0)]++;
    }
    for (int i = 0; i < 8; i++)
        CHECK(sent[i] > 60 && sent[i] < 140);
}

TEST(only_the_usable_are_picked)
{
    struct choose_target t[CHOOSE_MAX] = {0};
    struct choose_set set = {t, NULL, CHOOSE_MAX, NULL};
    struct choose_ask ask = {0, 1000, NULL, 0};

    CHECK_INT(choose_pick(&set, &ask, &dice, NULL), -1);
    for (int i = 0; i < CHOOSE_MAX; i++) {
        ask.usable = UINT64_C(1) << i;
        CHECK_INT(choose_pick(&set, &ask, &dice, NULL), i);
    }
    set.n = 3;
    ask.usable = UINT64_C(1) << 3; /* a bit past the targets is no target */
    CHECK_INT(choose_pick(&set, &ask, &dice, NULL), -1);
    set.n = 0;
    ask.usable = ALL;
    CHECK_INT(choose_pick(&set, &ask, &dice, NULL), -1);
}

TEST(given_weights_split_exactly_whatever_the_costs)
{
    struct choose_target t[2] = {0};
    struct balance_peer peers[2] = {{0, 70}, {0, 30}};
    struct choose_set set = {t, peers, 2, NULL};
    struct choose_ask ask = {ALL, 1000, NULL, 0};
    int n[2] = {0, 0};

    choose_fault(&t[0], 0, 0);
    for (int i = 0; i < 1000; i++)
        n[choose_pick(&set, &ask, &dice, NULL)]++;
    CHECK_INT(n[0], 700);
    CHECK_INT(n[1], 300);
}

TEST(why_tells_every_number)
{
    struct choose_target t[3] = {{.price = 7}, {.distance_us = 2000}, {0}};
    const int64_t cached[3] = {0, 400, 5000};
    struct choose_set set = {t, NULL, 3, NULL};
    struct choose_ask ask = {3, 1000, cached, 0};
    struct choose_why *why = mem_zalloc(sizeof *why);
    struct choose_charge c = {0};
    const struct choose_candidate *a = why->candidates;

    choose_charge(&t[1], &c, 36, 0);
    choose_fault(&t[0], 0, 0);
    CHECK_INT(choose_pick(&set, &ask, &dice, why), 1);
    CHECK(why->how == CHOOSE_LEAST && why->target == 1 && why->n == 3);
    CHECK(a[0].usable && a[1].usable && !a[2].usable);
    CHECK(!a[0].tied && a[1].tied && !a[2].tied);
    CHECK_INT(a[0].cost_us, 1064 * 125 + CHOOSE_FAULT_US);
    CHECK_INT(a[0].penalty_us, CHOOSE_FAULT_US);
    CHECK_INT(a[0].price, 7);
    CHECK_INT(a[1].queued, 100);
    CHECK_INT(a[1].cached, 400);
    CHECK_INT(a[1].new_tokens, 600);
    CHECK_INT(a[1].token_ns, 125000);
    CHECK_INT(a[1].distance_us, 2000);
    CHECK_INT(a[1].cost_us, 764 * 125 + 2000);
    CHECK_INT(a[2].cached, 1000); /* no more than the prompt has */
    CHECK_INT(a[2].weight, 0);
    mem_free(why);
}

TEST(why_names_how_it_was_decided)
{
    struct choose_target t[2] = {0};
    struct balance_peer peers[2] = {{0, 2}, {0, 1}};
    struct choose_set set = {t, NULL, 2, NULL};
    struct choose_ask ask = {0, 1000, NULL, 0};
    struct choose_why *why = mem_zalloc(sizeof *why);

    choose_pick(&set, &ask, &dice, why);
    CHECK_STR(choose_how_name(why->how), "none usable");
    CHECK_INT(why->target, -1);
    ask.usable = 2;
    choose_pick(&set, &ask, &dice, why);
    CHECK_STR(choose_how_name(why->how), "the only one");
    ask.usable = 3;
    choose_pick(&set, &ask, &dice, why);
    CHECK_STR(choose_how_name(why->how), "equal costs");
    t[0].price = 1;
    choose_pick(&set, &ask, &dice, why);
    CHECK_STR(choose_how_name(why->how), "lower price");
    t[0].distance_us = CLOCK_SECOND_US;
    choose_pick(&set, &ask, &dice, why);
    CHECK_STR(choose_how_name(why->how), "least cost");
    set.peers = peers;
    choose_pick(&set, &ask, &dice, why);
    CHECK_STR(choose_how_name(why->how), "by weight");
    CHECK_INT(why->candidates[0].weight, 2);
    mem_free(why);
}

/* -- against a plain model ------------------------------------------------------------------------------- */

/* Random states: whoever is picked is usable, is within reach of the least cost, and nobody else within reach
 * is cheaper. The costs are worked out anew, in real numbers. */
TEST(picks_are_those_of_the_rule)
{
    struct choose_target t[CHOOSE_MAX];
    int64_t cached[CHOOSE_MAX];

    for (int round = 0; round < 20000; round++) {
        size_t n = 1 + rng_below(&dice, CHOOSE_MAX);
        struct choose_set set = {t, NULL, n, NULL};
        struct choose_ask ask = {rng_u64(&dice), (int64_t)rng_below(&dice, 20000), cached, MINUTE_US};
        double cost[CHOOSE_MAX], least = 1e300;
        int got;

        for (size_t i = 0; i < n; i++) {
            int64_t ns = 50000 + (int64_t)rng_below(&dice, 200000);
            t[i] = (struct choose_target){.distance_us = (int64_t)rng_below(&dice, 3) * 20000,
                                          .price = (int64_t)rng_below(&dice, 3),
                                          .queued = (int64_t)rng_below(&dice, 3) * 5000,
                                          .token_ns = (double)ns,
                                          .learned_us = MINUTE_US};
            if (rng_below(&dice, 4) == 0)
                choose_fault(&t[i], (int64_t)rng_below(&dice, 1000000), MINUTE_US);
            cached[i] = (int64_t)rng_below(&dice, 2) * (int64_t)rng_below(&dice, 20000);
            double held = (double)(cached[i] < ask.prompt_tokens ? cached[i] : ask.prompt_tokens);
            cost[i] = ((double)t[i].queued + (double)ask.prompt_tokens - held + CHOOSE_REQUEST_TOKENS) *
                          (double)ns / 1000 +
                      (double)t[i].penalty_us + (double)t[i].distance_us;
            if ((ask.usable >> i & 1) && cost[i] < least)
                least = cost[i];
        }
        got = choose_pick(&set, &ask, &dice, NULL);
        if (least == 1e300 ? !CHECK_INT(got, -1)
                           : !CHECK(got >= 0 && (size_t)got < n && (ask.usable >> got & 1)))
            return;
        if (got < 0)
            continue;
        CHECK(cost[got] <= least * 1.05 + 1002 || cost[got] <= least + 1002);
        for (size_t i = 0; i < n; i++) {
            if ((ask.usable >> i & 1) && cost[i] <= least * 1.05 - 2 && !CHECK(t[i].price >= t[got].price))
                return;
        }
    }
}

/* Calls come and go in any order: what is queued is the sum of the open charges, always. */
TEST(queued_is_the_sum_of_open_charges)
{
    struct choose_target t[4] = {0};
    static struct {
        struct choose_charge charge;
        int target;
    } calls[64];
    int64_t now_us = 0;

    for (int round = 0; round < 100000; round++) {
        size_t k = rng_below(&dice, 64);
        int64_t queued[4] = {0}, open_n[4] = {0};

        now_us += (int64_t)rng_below(&dice, 100000);
        if (!calls[k].charge.open) {
            calls[k].target = pick_at(t, 4, now_us);
            choose_charge(&t[calls[k].target], &calls[k].charge, (int64_t)rng_below(&dice, 50000) - 10,
                          now_us);
        } else if (rng_below(&dice, 2)) {
            choose_first_token(&t[calls[k].target], &calls[k].charge, now_us);
        } else {
            choose_end(&t[calls[k].target], &calls[k].charge);
            choose_fault(&t[calls[k].target], (int64_t)rng_below(&dice, 100), now_us);
        }
        for (int i = 0; i < 64; i++) {
            queued[calls[i].target] += calls[i].charge.open ? calls[i].charge.tokens : 0;
            open_n[calls[i].target] += calls[i].charge.open;
        }
        for (int i = 0; i < 4; i++) {
            if (!CHECK(t[i].queued == queued[i] && t[i].calls_n == open_n[i]))
                return;
        }
    }
}
