/* SPDX-License-Identifier: MIT */
/* Times to first token: the ninetieth percentile against sorted samples, the slope against what made it. */
#include "policy/ttft.h"

#include "base/rng.h"
#include "tap.h"

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

TEST(the_p90_of_a_window_is_that_of_its_sorted_samples)
{
    struct rng dice;

    rng_seed(&dice, 2);
    for (int k = 0; k < 2000; k++) {
        struct ttft_window w = {.target_us = 1 + (int64_t)rng_below(&dice, 5000000)};
        int64_t samples[200], want;
        int n = 1 + (int)rng_below(&dice, 200);

        for (int i = 0; i < n; i++) {
            samples[i] = (int64_t)rng_exp(&dice, (double)w.target_us / 2);
            ttft_add(&w, samples[i]);
        }
        qsort(samples, (size_t)n, sizeof *samples, by_size);
        want = samples[(n * 9 + 9) / 10 - 1];
        want = want < 2 * w.target_us ? want : 2 * w.target_us;
        CHECK(llabs(ttft_p90_us(&w) - want) <= w.target_us / 32 + 1);
    }
}

TEST(a_slope_is_found_under_noise_and_fades_where_prompts_are_alike)
{
    struct ttft_slope s = {0};
    struct rng dice;

    rng_seed(&dice, 3);
    for (int i = 0; i < 2000; i++) {
        int64_t tokens = (int64_t)rng_exp(&dice, 1000);

        ttft_learn(&s, tokens, 200000 + 500 * tokens + (int64_t)rng_exp(&dice, 500000));
    }
    CHECK(ttft_slope_us(&s) > 400 && ttft_slope_us(&s) < 600);
    s = (struct ttft_slope){0};
    for (int i = 0; i < 2000; i++) {
        ttft_learn(&s, 1000 + (int64_t)rng_below(&dice, 10), (int64_t)rng_exp(&dice, 3000000));
        CHECK(ttft_slope_us(&s) < 500);
    }
    s = (struct ttft_slope){0};
    for (int i = 0; i < 100; i++)
        ttft_learn(&s, i % 2 ? INT64_MAX : INT64_MIN, i % 2 ? INT64_MAX : INT64_MIN);
    CHECK(ttft_slope_us(&s) >= 0 && ttft_slope_us(&s) <= TTFT_SLOPE_MAX_US);
    CHECK_INT(ttft_normal_us(&s, INT64_MAX, 5), 0);
}
