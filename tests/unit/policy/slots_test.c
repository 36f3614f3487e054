/* SPDX-License-Identifier: MIT */
/* policy/slots: which counter a model name has, and that it never counts past its limit. */
#include "policy/slots.h"

#include "base/clock.h"
#include "config_kit.h"
#include "tap.h"

#define NOW (1000 * CLOCK_SECOND_US)

static const struct config cfg = {
    ACCOUNTS({.name = "listed", SLOTS({NAME("a"), 2}, {NAME("b"), 1})},
             {.name = "any", SLOTS({NAME("*"), 1}, {NAME("a"), 3})}, {.name = "unlimited"}),
};

TEST(names_find_their_counter)
{
    struct slots s;

    slots_init(&s);
    struct slots_range any = slots_of_account(&s, &cfg.accounts[1]),
                       listed = slots_of_account(&s, &cfg.accounts[0]);
    struct slots_range unlimited = slots_of_account(&s, &cfg.accounts[2]), none = slots_of_account(&s, NULL);
    CHECK_INT(s.counters_n, 4);

    int a = slots_find(&s, listed, SLICE("a")), b = slots_find(&s, listed, SLICE("b"));
    CHECK(a >= 0 && b >= 0 && a != b);
    CHECK_INT(s.counters[a].limit, 2);
    CHECK_INT(slots_find(&s, listed, SLICE("c")), SLOTS_UNLIMITED);
    CHECK_INT(slots_find(&s, listed, SLICE_NONE), SLOTS_UNLIMITED);

    int star = slots_find(&s, any, SLICE("b"));
    CHECK_INT(s.counters[star].limit, 1);
    CHECK_INT(slots_find(&s, any, SLICE("c")), star); /* one counter for all that are not listed */
    CHECK_INT(s.counters[slots_find(&s, any, SLICE("a"))].limit, 3);
    CHECK(slots_find(&s, any, SLICE("a")) != a); /* accounts share nothing */
    CHECK_INT(slots_find(&s, unlimited, SLICE("a")), SLOTS_UNLIMITED);
    CHECK_INT(slots_find(&s, none, SLICE("a")), SLOTS_UNLIMITED);
    slots_fini(&s);
}

TEST(an_account_is_made_once)
{
    struct slots s;

    slots_init(&s);
    struct slots_range first = slots_of_account(&s, &cfg.accounts[0]);
    slots_of_account(&s, &cfg.accounts[1]);
    struct slots_range again = slots_of_account(&s, &cfg.accounts[0]);
    CHECK_INT(again.first, first.first);
    CHECK_INT(again.n, 2);
    CHECK_INT(s.counters_n, 4);
    slots_fini(&s);
}

TEST(a_counter_is_full_at_its_limit)
{
    struct slots s;
    struct slots_call call = {0};

    slots_init(&s);
    int a = slots_find(&s, slots_of_account(&s, &cfg.accounts[0]), SLICE("a"));
    CHECK(slots_has_room(&s, a, NOW));
    slots_reserve(&s, a, &call, NOW);
    CHECK(slots_has_room(&s, a, NOW));
    slots_reserve(&s, a, &call, NOW);
    CHECK(!slots_has_room(&s, a, NOW));
    CHECK_INT(slots_used(&s), 2);
    slots_check(&s);
    slots_release(&s, a, &call, NULL, NOW);
    CHECK(slots_has_room(&s, a, NOW));
    slots_release(&s, a, &call, NULL, NOW);
    CHECK_INT(slots_used(&s), 0);
    slots_fini(&s);
}

TEST(unlimited_always_has_room_and_counts_nothing)
{
    struct slots s;
    struct slots_call call = {0};

    slots_init(&s);
    for (int i = 0; i < 100; i++) {
        CHECK(slots_has_room(&s, SLOTS_UNLIMITED, NOW));
        slots_reserve(&s, SLOTS_UNLIMITED, &call, NOW);
    }
    CHECK_INT(slots_used(&s), 0);
    slots_release(&s, SLOTS_UNLIMITED, &call, NULL, NOW);
    slots_fini(&s);
}

/* -- what is learned ---------------------------------------------------------------------------------------
 */

static const struct config learning = {
    ACCOUNTS({.name = "capped", .learn = true, SLOTS({NAME("a"), 50})},
             {.name = "open", .learn = true, SLOTS({NAME("*"), 0})},
             {.name = "fixed", SLOTS({NAME("a"), 50})}),
};

/* As many calls as there is room for, at most max. */
static int fill(struct slots *s, int counter, struct slots_call *calls, int max, int64_t now_us)
{
    int n = 0;

    while (n < max && slots_has_room(s, counter, now_us))
        slots_reserve(s, counter, &calls[n++], now_us);
    return n;
}

static void end(struct slots *s, int counter, const struct slots_call *c, enum outcome o, int64_t now_us)
{
    slots_release(s, counter, c, &(struct call_report){o, -1, 0, 0}, now_us);
}

TEST(what_has_a_cap_begins_with_it_and_what_has_none_with_few)
{
    struct slots s;
    struct slots_call calls[100] = {0};

    slots_init(&s);
    struct slots_range capped = slots_of_account(&s, &learning.accounts[0]),
                       open = slots_of_account(&s, &learning.accounts[1]);

    CHECK_INT(fill(&s, slots_find(&s, capped, SLICE("a")), calls, 100, NOW), 50);
    CHECK_INT(fill(&s, slots_find(&s, open, SLICE("b")), calls, 100, NOW), LIMITER_START);
    slots_check(&s);
    slots_fini(&s);
}

TEST(only_refusals_for_being_full_and_slow_first_tokens_cut)
{
    struct slots s;
    struct slots_call calls[50] = {0};

    slots_init(&s);
    int a = slots_find(&s, slots_of_account(&s, &learning.accounts[0]), SLICE("a"));
    int fixed = slots_find(&s, slots_of_account(&s, &learning.accounts[2]), SLICE("a"));

    for (int o = 0; o < OUTCOME_N; o++) { /* whatever happens at 30 in flight, without a word of fullness */
        if (outcome_row((enum outcome)o)->slots == SLOTS_FULL)
            continue;
        CHECK_INT(fill(&s, a, calls, 30, NOW), 30);
        for (int i = 0; i < 30; i++)
            end(&s, a, &calls[i], (enum outcome)o, NOW + 1000);
    }
    CHECK_INT(limiter_limit(s.counters[a].limiter), 50);
    for (int round = 0; round < 40; round++) { /* 20 are taken, what is more is refused */
        int64_t now_us = NOW + round * CLOCK_SECOND_US;
        int n = fill(&s, a, calls, 50, now_us);

        for (int i = n - 1; i >= 0; i--)
            end(&s, a, &calls[i], i < 20 ? OUTCOME_OK : OUTCOME_ACCOUNT_BUSY, now_us + 200 * CLOCK_MS_US);
    }
    CHECK(limiter_limit(s.counters[a].limiter) <= 26);
    CHECK(limiter_limit(s.counters[a].limiter) >= 10);
    CHECK(!slots_learns(&s, fixed) && slots_learns(&s, a));
    slots_check(&s);
    slots_fini(&s);
}

TEST(a_first_token_is_told_once)
{
    struct slots s;
    struct slots_call call = {.prompt_tokens = 100};

    slots_init(&s);
    int a = slots_find(&s, slots_of_account(&s, &learning.accounts[0]), SLICE("a"));

    slots_reserve(&s, a, &call, NOW);
    slots_first(&s, a, &call, NOW + CLOCK_SECOND_US);
    uint64_t seen = s.counters[a].limiter->window.n;
    CHECK_INT((int)seen, 1);
    slots_first(&s, a, &call, NOW + 2 * CLOCK_SECOND_US);
    CHECK_INT((int)s.counters[a].limiter->window.n, 1);
    end(&s, a, &call, OUTCOME_OK, NOW + 3 * CLOCK_SECOND_US);
    CHECK_INT(s.counters[a].limiter->whole_n, 0); /* it was no answer in one piece */
    slots_fini(&s);
}

static const struct config lower = {
    ACCOUNTS({.name = "capped", .learn = true, SLOTS({NAME("a"), 10}, {NAME("b"), 7})}),
};

TEST(what_was_learned_goes_on_under_a_new_cap)
{
    struct slots s, t;

    slots_init(&s);
    slots_init(&t);
    struct slots_range was = slots_of_account(&s, &learning.accounts[0]),
                       is = slots_of_account(&t, &lower.accounts[0]);
    struct limiter *l = s.counters[slots_find(&s, was, SLICE("a"))].limiter;

    l->limit = 33;
    slots_inherit(&t, is, &s, was);
    CHECK_INT(limiter_limit(t.counters[slots_find(&t, is, SLICE("a"))].limiter), 10);
    CHECK_INT(limiter_limit(t.counters[slots_find(&t, is, SLICE("b"))].limiter), 7);
    l->limit = 6;
    slots_inherit(&t, is, &s, was);
    CHECK_INT(limiter_limit(t.counters[slots_find(&t, is, SLICE("a"))].limiter), 6);
    slots_fini(&s);
    slots_fini(&t);
}
