/* SPDX-License-Identifier: MIT */
/* policy/balance: exact by weight over a cycle, smooth inside it, fair when peers come and go. */
#include "policy/balance.h"

#include "base/rng.h"
#include "tap.h"

#define ALL UINT64_MAX

TEST(seventy_thirty_is_seven_and_three_in_every_ten)
{
    struct balance_peer p[] = {{0, 70}, {0, 30}};
    int got[200], n[2] = {0, 0};

    for (int i = 0; i < 200; i++) {
        got[i] = balance_pick(p, 2, ALL);
        n[got[i]]++;
        if (i % 10 == 9) {
            CHECK_INT(n[0], (i + 1) / 10 * 7);
            CHECK_INT(n[1], (i + 1) / 10 * 3);
        }
    }
    for (int i = 0; i + 4 <= 200; i++) /* never more than three of the heavy one in a row */
        CHECK(got[i] + got[i + 1] + got[i + 2] + got[i + 3] > 0);
}

TEST(the_order_is_that_of_nginx)
{
    struct balance_peer p[] = {
        {0, 5}, {0, 1}, {0, 1}}; /* the example of nginx's commit message: a a b a c a a */
    static const int want[] = {0, 0, 1, 0, 2, 0, 0};

    for (int i = 0; i < 21; i++)
        CHECK_INT(balance_pick(p, 3, ALL), want[i % 7]);
}

TEST(nobody_usable_is_nobody_picked)
{
    struct balance_peer p[] = {{0, 5}, {0, 1}};

    CHECK_INT(balance_pick(p, 2, 0), -1);
    CHECK_INT(balance_pick(p, 0, ALL), -1);
    CHECK_INT(balance_pick(p, 2, UINT64_C(1) << 2), -1); /* a bit past the peers is no peer */
    CHECK_INT(p[0].current + p[1].current, 0);
}

TEST(all_sixty_four_bits_count)
{
    struct balance_peer p[64];
    int n[64] = {0};

    for (int i = 0; i < 64; i++)
        p[i] = (struct balance_peer){0, 1};
    for (int i = 0; i < 640; i++)
        n[balance_pick(p, 64, ALL)]++;
    for (int i = 0; i < 64; i++)
        CHECK_INT(n[i], 10);
    CHECK_INT(balance_pick(p, 64, UINT64_C(1) << 63), 63);
}

TEST(who_was_away_comes_back_without_a_burst)
{
    struct balance_peer p[] = {{0, 1}, {0, 1}};
    int back_n = 0;

    for (int i = 0; i < 1000; i++)
        CHECK_INT(balance_pick(p, 2, 1), 0);
    for (int i = 0; i < 10; i++)
        back_n += balance_pick(p, 2, ALL);
    CHECK_INT(back_n, 5);
}

TEST(random_absences_keep_the_state_bounded)
{
    struct rng dice;
    int64_t total = 0;
    struct balance_peer p[8];

    rng_seed(&dice, 7);
    for (int i = 0; i < 8; i++) {
        p[i] = (struct balance_peer){0, (int64_t)(1 + rng_below(&dice, 1000000))};
        total += p[i].weight;
    }
    for (int i = 0; i < 200000; i++) {
        uint64_t usable = rng_u64(&dice);
        int got = balance_pick(p, 8, usable);
        int64_t sum = 0;
        bool held = (usable & 0xff) == 0 ? got == -1 : got >= 0 && (usable >> got & 1);
        for (int k = 0; k < 8; k++) {
            sum += p[k].current;
            held = held && p[k].current > -8 * total && p[k].current < 8 * total;
        }
        if (!CHECK(held && sum == 0))
            return;
    }
}
