/* SPDX-License-Identifier: MIT */
/* Whether refusals rise with what is in flight: by what is below, and by what the last cut did. */
#include "policy/refusals.h"

#include "base/assert.h"
#include "base/rng.h"
#include "tap.h"

TEST(what_is_known_below_says_whether_the_last_cut_helped)
{
    struct refusals r;

    refusals_init(&r);
    for (int i = 0; i < 20; i++)
        refusals_add(&r, 50, i % 2);
    CHECK_INT(refusals_judge(&r, 50, 0), REFUSALS_UNKNOWN); /* there was no cut */
    refusals_begin(&r);
    for (int i = 0; i < 5; i++)
        refusals_add(&r, 45, i % 2);
    CHECK_INT(refusals_judge(&r, 45, 0), REFUSALS_UNKNOWN); /* too few since */
    refusals_begin(&r);                                     /* so this cut is a part of it */
    for (int i = 0; i < 5; i++)
        refusals_add(&r, 45, i % 2);
    CHECK_INT(refusals_judge(&r, 45, 0), REFUSALS_FLAT);
    for (int i = 0; i < 22; i++)
        refusals_add(&r, 45, false);
    CHECK_INT(refusals_judge(&r, 45, 0), REFUSALS_UNKNOWN); /* it did */
    refusals_init(&r);
    for (int i = 0; i < 20; i++)
        refusals_add(&r, 50, i == 0);
    refusals_begin(&r);
    for (int i = 0; i < 10; i++)
        refusals_add(&r, 45, i % 2);
    CHECK_INT(refusals_judge(&r, 45, 0), REFUSALS_UNKNOWN); /* they rose: something else has happened */
}

TEST(fewer_refusals_above_than_below_are_no_limit)
{
    struct refusals r;

    refusals_init(&r);
    for (int i = 0; i < 100; i++)
        refusals_add(&r, 50, i >= 60);
    for (int i = 0; i < 100; i++)
        refusals_add(&r, 80, i >= 99);
    CHECK_INT(refusals_judge(&r, 80, 0), REFUSALS_FLAT);
}

/* Of two calls that began together the later one took the last slot. */
TEST(a_limit_that_was_known_is_known_again_although_calls_overtake_each_other)
{
    struct refusals r;

    refusals_init(&r);
    for (int i = 0; i < 240; i++)
        refusals_add(&r, i < 100 ? 90 + i % 10 : 100, false);
    for (int i = 0; i < 4; i++)
        refusals_add(&r, 101 + i, i > 0);
    refusals_add(&r, 100, true);
    CHECK_INT(refusals_judge(&r, 100, 0), REFUSALS_FLAT);
    CHECK_INT(refusals_judge(&r, 100, 100), REFUSALS_RISE);
    CHECK_INT(refusals_judge(&r, 100, 200), REFUSALS_FLAT); /* nothing began past that one */
}

TEST(a_real_limit_is_told_from_chance)
{
    /* The more is refused at random as well, the more often a single call cannot tell; the next one may. */
    static const struct {
        double share;
        int missed_most; /* in a hundred */
    } rows[] = {{0.01, 5}, {0.05, 5}, {0.2, 5}, {0.5, 10}, {0.9, 25}};
    struct rng dice;

    rng_seed(&dice, 4);
    for (size_t k = 0; k < COUNT_OF(rows); k++) {
        int refused = 0, rising = 0, missed = 0, beyond = 0;
        struct refusals flat, real;

        refusals_init(&flat);
        refusals_init(&real);
        for (int i = 0; i < 100000; i++) {
            int level = 20 + (int)rng_below(&dice, 40);
            bool no = rng_unit(&dice) < rows[k].share;

            refusals_add(&flat, level, no);
            refused += no;
            rising += no && refusals_judge(&flat, level, 45) == REFUSALS_RISE;
            no = no && level % 4 == 0; /* some at random, and all past 57 */
            refusals_add(&real, level, no || level > 57);
            beyond += level > 57 && i > 100;
            missed += level > 57 && i > 100 && refusals_judge(&real, level, 0) != REFUSALS_RISE;
        }
        CHECK(rising * 100 <= refused * 3);
        CHECK(missed * 100 <= beyond * rows[k].missed_most);
    }
}
