/* SPDX-License-Identifier: MIT */
/* Counting: percentiles against sorted samples, reasons and their bound, the answered rate. */
#include "load/tally.h"

#include <math.h>

#include "base/assert.h"
#include "base/mem.h"
#include "tap.h"

#define SAMPLES_N 10000

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

TEST(percentiles_against_brute_force)
{
    static const double SHARES[] = {0.5, 0.9, 0.99, 0.999, 1};
    static int64_t samples[SAMPLES_N];
    static struct tally_times t;
    struct rng dice;

    rng_seed(&dice, 8);
    for (int i = 0; i < SAMPLES_N; i++) {
        samples[i] = (int64_t)rng_exp(&dice, 50000);
        tally_add(&t, samples[i]);
    }
    qsort(samples, SAMPLES_N, sizeof samples[0], by_value);
    CHECK_INT(t.max_us, samples[SAMPLES_N - 1]);
    for (size_t i = 0; i < COUNT_OF(SHARES); i++) {
        int64_t exact = samples[(size_t)ceil(SHARES[i] * SAMPLES_N) - 1], got = tally_quantile(&t, SHARES[i]);

        CHECK(got >= exact && (got - exact) * 32 <= exact);
    }
    CHECK_INT(tally_quantile(&t, 1), t.max_us); /* never above the largest */
}

TEST(no_sample_and_one)
{
    static struct tally_times t;

    CHECK_INT(tally_quantile(&t, 0.5), 0);
    tally_add(&t, 1001);
    CHECK_INT(tally_quantile(&t, 0.5), 1001);
    CHECK_INT(tally_quantile(&t, 0.999), 1001);
}

TEST(reasons_are_bounded)
{
    struct tally *t = tally_new();
    struct tally_group *g = &t->all;

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < TALLY_REASONS_MAX + 5; i++) {
            char code[JUDGE_CODE_BYTES];

            snprintf(code, sizeof code, "c%d", i);
            tally_reason(g, code, 500);
        }
    }
    tally_reason(g, "c0", 503);
    CHECK_INT(g->reasons_n, TALLY_REASONS_MAX);
    CHECK_INT(g->other_reasons_n, 11);
    CHECK_STR(g->reasons[0].code, "c0");
    CHECK_INT(g->reasons[0].n, 2);
    CHECK_INT(g->reasons[0].status, 500);
    tally_free(&t);
    CHECK(t == NULL);
}

TEST(the_answered_rate)
{
    static const struct {
        uint64_t ended[END_N]; /* full degraded deferred templated failed refused cancelled */
        double want;
    } CASES[] = {
        {{0}, -1},
        {{0, 0, 0, 0, 0, 5, 5}, -1},
        {{1, 0, 0, 0, 0, 9, 9}, 1},
        {{1, 1, 1, 0, 1, 0, 0}, 0.75},
        {{1, 0, 0, 3, 0, 0, 0}, 0.25},
        {{0, 0, 0, 0, 7, 0, 0}, 0},
    };

    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        static struct tally_group g;

        memcpy(g.ended_n, CASES[i].ended, sizeof g.ended_n);
        CHECK(tally_answered_rate(&g) == CASES[i].want);
    }
}
