/* SPDX-License-Identifier: MIT */
/* What is learned of a model's tokens, and how little nonsense can do to it. */
#include "policy/learned.h"

#include "tap.h"

TEST(before_the_first_answer_an_estimate_stands)
{
    struct learned l = {0};

    CHECK_INT(learned_prompt(&l, 1000), 1000);
    CHECK_INT(learned_answer(&l), LEARNED_ANSWER);
}

TEST(one_answer_is_believed_at_once_and_many_are_averaged)
{
    struct learned l = {0};

    learned_add(&l, 1000, 1300, 50);
    CHECK_INT(learned_prompt(&l, 2000), 2600);
    CHECK_INT(learned_answer(&l), 50);
    for (int i = 0; i < 1000; i++)
        learned_add(&l, 1000, i % 2 == 0 ? 800 : 1000, i % 2 == 0 ? 100 : 300);
    CHECK(learned_prompt(&l, 10000) >= 8900 && learned_prompt(&l, 10000) <= 9100);
    CHECK(learned_answer(&l) >= 195 && learned_answer(&l) <= 205);
}

TEST(long_prompts_weigh_more_than_short_ones)
{
    struct learned l = {0};

    for (int i = 0; i < 200; i++) {
        learned_add(&l, 10, 40, 1);
        learned_add(&l, 10000, 10000, 1);
    }
    CHECK(learned_prompt(&l, 10000) < 10100);
}

TEST(a_change_is_followed)
{
    struct learned l = {0};

    for (int i = 0; i < 100; i++)
        learned_add(&l, 1000, 1000, 100);
    for (int i = 0; i < 5 * LEARNED_MEMORY; i++)
        learned_add(&l, 1000, 1500, 200);
    CHECK(learned_prompt(&l, 1000) > 1480);
    CHECK(learned_answer(&l) > 195);
}

TEST(nonsense_stays_within_bounds)
{
    struct learned l = {0};

    learned_add(&l, 1, INT64_MAX, INT64_MAX);
    CHECK_INT(learned_prompt(&l, 100), 400);
    CHECK_INT(learned_prompt(&l, INT64_MAX), 4 * INT64_C(1000000000));
    CHECK_INT(learned_answer(&l), 1000000000);
    l = (struct learned){0};
    learned_add(&l, INT64_MAX, 1, INT64_MIN);
    CHECK_INT(learned_prompt(&l, 100), 25);
    CHECK_INT(learned_prompt(&l, -5), 0);
    CHECK_INT(learned_answer(&l), 0);
    l = (struct learned){0};
    learned_add(&l, 0, 100, 7); /* no estimate was made: only the answer teaches */
    CHECK_INT(learned_prompt(&l, 100), 100);
    CHECK_INT(learned_answer(&l), 7);
}
