/* SPDX-License-Identifier: MIT */
/* policy/slots: which counter a model name has, and that it never counts past its limit. */
#include "policy/slots.h"

#include "config_kit.h"
#include "tap.h"

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

    slots_init(&s);
    int a = slots_find(&s, slots_of_account(&s, &cfg.accounts[0]), SLICE("a"));
    CHECK(slots_has_room(&s, a));
    slots_reserve(&s, a);
    CHECK(slots_has_room(&s, a));
    slots_reserve(&s, a);
    CHECK(!slots_has_room(&s, a));
    CHECK_INT(slots_used(&s), 2);
    slots_check(&s);
    slots_release(&s, a);
    CHECK(slots_has_room(&s, a));
    slots_release(&s, a);
    CHECK_INT(slots_used(&s), 0);
    slots_fini(&s);
}

TEST(unlimited_always_has_room_and_counts_nothing)
{
    struct slots s;

    slots_init(&s);
    for (int i = 0; i < 100; i++) {
        CHECK(slots_has_room(&s, SLOTS_UNLIMITED));
        slots_reserve(&s, SLOTS_UNLIMITED);
    }
    CHECK_INT(slots_used(&s), 0);
    slots_release(&s, SLOTS_UNLIMITED);
    slots_fini(&s);
}
