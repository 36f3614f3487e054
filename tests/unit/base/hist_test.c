/* SPDX-License-Identifier: MIT */
/* The histogram against sorted samples: never off by more than 1/32. */
#include "base/hist.h"

#include <math.h>

#include "base/assert.h"
#include "base/rng.h"
#include "tap.h"

#define SAMPLES 20000

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

TEST(quantiles_are_within_a_thirty_second_of_sorted_samples)
{
    static const double shares[] = {0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1};
    static int64_t samples[SAMPLES];
    static struct hist h;
    struct rng r;

    rng_seed(&r, 21);
    for (int scale = 1; scale <= 10; scale++) {
        hist_init(&h);
        for (int i = 0; i < SAMPLES; i++) {
            samples[i] = (int64_t)rng_exp(&r, pow(10, scale));
            hist_add(&h, samples[i]);
        }
        qsort(samples, SAMPLES, sizeof(samples[0]), by_value);
        for (size_t i = 0; i < COUNT_OF(shares); i++) {
            int64_t rank = (int64_t)ceil(shares[i] * SAMPLES);
            int64_t exact = samples[rank < 1 ? 0 : rank - 1], got = hist_quantile(&h, shares[i]);
            if (!CHECK(got >= exact && (got - exact) * 32 <= exact))
                printf("# scale %d, q %g: got %lld, exact %lld\n", scale, shares[i], (long long)got,
                       (long long)exact);
        }
    }
}

TEST(small_values_are_exact)
{
    struct hist h;

    for (int64_t v = 0; v < 64; v++) {
        hist_init(&h);
        hist_add(&h, v);
        CHECK_INT(hist_quantile(&h, 0.5), v);
    }
}

TEST(buckets_have_no_gap_and_no_overlap)
{
    static struct hist h;
    int wrong_n = 0;

    for (int bit = 0; bit < 41; bit++) {
        for (int64_t v = (INT64_C(1) << bit) - 2; v <= (INT64_C(1) << bit) + 2; v++) {
            if (v < 0)
                continue;
            hist_init(&h);
            hist_add(&h, v);
            int64_t top = hist_quantile(&h, 1);
            wrong_n += top < v || (top - v) * 32 > v;
            wrong_n += hist_count_le(&h, v) != 1 || hist_count_le(&h, top) != 1;
            hist_add(&h, top + 1); /* the first value of the next bucket */
            wrong_n += top < (INT64_C(1) << 41) - 1 && hist_count_le(&h, top) != 1;
        }
    }
    CHECK_INT(wrong_n, 0);
}

TEST(out_of_range_values_are_counted_at_the_ends)
{
    struct hist h;

    hist_init(&h);
    CHECK_INT(hist_quantile(&h, 0.5), 0);
    hist_add(&h, -7);
    CHECK_INT(hist_quantile(&h, 1), 0);
    CHECK_INT(h.sum, 0);
    hist_add(&h, INT64_MAX);
    CHECK_INT(hist_quantile(&h, 1), (INT64_C(1) << 41) - 1);
    CHECK_INT(h.n, 2);
    CHECK_INT(hist_count_le(&h, -1), 0);
    CHECK_INT(hist_count_le(&h, 0), 1);
    CHECK_INT(hist_count_le(&h, INT64_MAX), 2);
}

TEST(merging_adds_counts_and_sums)
{
    static struct hist a, b;

    hist_init(&a);
    hist_init(&b);
    for (int i = 1; i <= 100; i++)
        hist_add(i % 2 ? &a : &b, i * 1000);
    hist_merge(&a, &b);
    CHECK_INT(a.n, 100);
    CHECK_INT(a.sum, 5050000);
    CHECK_INT(b.n, 50);
    CHECK_INT(hist_count_le(&a, 100000), 100);
    int64_t median = hist_quantile(&a, 0.5);
    CHECK(median >= 50000 && median <= 50000 + 50000 / 32);
}
