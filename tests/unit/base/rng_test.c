/* SPDX-License-Identifier: MIT */
/* The dice: the published sequences, repetition by seed, and the shape of each distribution. */
#include "base/rng.h"

#include <math.h>

#include "tap.h"

#define SAMPLES 100000

TEST(the_seed_is_spread_by_splitmix64)
{
    struct rng r;

    rng_seed(&r, 0); /* first outputs of the authors' splitmix64.c */
    CHECK(r.s[0] == UINT64_C(0xe220a8397b1dcdaf));
    CHECK(r.s[1] == UINT64_C(0x6e789e6aa1b965f4));
    CHECK(r.s[2] == UINT64_C(0x06c45d188009454f));
    CHECK(r.s[3] == UINT64_C(0xf88bb8a8724c81ec));
}

TEST(the_generator_is_xoshiro256starstar)
{
    struct rng r = {{1, 2, 3, 4}};

    CHECK(rng_u64(&r) == 11520);
    CHECK(rng_u64(&r) == 0);
    CHECK(rng_u64(&r) == 1509978240);
    CHECK(rng_u64(&r) == UINT64_C(1215971899390074240));
}

TEST(a_seed_repeats_every_kind_of_throw)
{
    struct rng a, b;
    int differ_n = 0;

    rng_seed(&a, 42);
    rng_seed(&b, 42);
    for (int i = 0; i < 1000; i++) {
        differ_n += rng_u64(&a) != rng_u64(&b);
        differ_n += rng_below(&a, 17) != rng_below(&b, 17);
        differ_n += rng_unit(&a) != rng_unit(&b);
        differ_n += rng_exp(&a, 3) != rng_exp(&b, 3);
        differ_n += rng_normal(&a) != rng_normal(&b);
    }
    CHECK_INT(differ_n, 0);
    rng_seed(&b, 43);
    CHECK(rng_u64(&a) != rng_u64(&b));
}

TEST(below_is_in_range_and_even)
{
    struct rng r;
    int count[7] = {0}, outside_n = 0;

    rng_seed(&r, 1);
    for (int i = 0; i < 70000; i++) {
        uint64_t v = rng_below(&r, 7);
        if (v < 7)
            count[v]++;
        else
            outside_n++;
    }
    CHECK_INT(outside_n, 0);
    for (int i = 0; i < 7; i++)
        CHECK(count[i] > 9600 && count[i] < 10400); /* four deviations of 93 */
    CHECK_INT(rng_below(&r, 1), 0);
    for (int i = 0; i < 1000; i++)
        outside_n += rng_below(&r, (UINT64_C(1) << 63) + 1) > UINT64_C(1) << 63;
    CHECK_INT(outside_n, 0);
}

TEST(unit_exp_and_normal_have_their_means)
{
    struct rng r;
    double unit = 0, exp_sum = 0, normal = 0, squares = 0;
    int outside_n = 0;

    rng_seed(&r, 2);
    for (int i = 0; i < SAMPLES; i++) {
        double u = rng_unit(&r), e = rng_exp(&r, 4), n = rng_normal(&r);
        outside_n += !(u >= 0 && u < 1) || !(e >= 0) || !isfinite(e) || !isfinite(n);
        unit += u;
        exp_sum += e;
        normal += n;
        squares += n * n;
    }
    CHECK_INT(outside_n, 0);
    CHECK(fabs(unit / SAMPLES - 0.5) < 0.005);
    CHECK(fabs(exp_sum / SAMPLES - 4) < 0.06);
    CHECK(fabs(normal / SAMPLES) < 0.015);
    CHECK(fabs(squares / SAMPLES - 1) < 0.02);
}

TEST(secrets_differ_and_fill_the_whole_piece)
{
    unsigned char a[1000] = {0}, b[1000] = {0}, zeros_n = 0;

    rng_secret_bytes(a, sizeof(a));
    rng_secret_bytes(b, sizeof(b));
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    for (size_t i = 900; i < 1000; i++)
        zeros_n = (unsigned char)(zeros_n + (a[i] == 0));
    CHECK(zeros_n < 20);
    rng_secret_bytes(a, 0);
}
