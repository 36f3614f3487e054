/* SPDX-License-Identifier: MIT */
/* Numbers: what is read and what is refused, from guard pages; draws against their means and deviations. */
#include "load/amount.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"
#include "tap.h"

#define DRAWS_N 200000

/* The text right before an unmapped page. */
static struct slice guarded(const char *text, char **copy)
{
    *copy = tap_guard(text, strlen(text));
    return (struct slice){*copy, strlen(text)};
}

TEST(decimals)
{
    static const struct {
        const char *text;
        double want; /* -1: refused */
    } CASES[] = {
        {"0", 0},
        {"1", 1},
        {"0.5", 0.5},
        {"12.25", 12.25},
        {"1e3", 1000},
        {"1.5e-3", 0.0015},
        {"2E+2", 200},
        {"007", 7},
        {"", -1},
        {"-1", -1},
        {"+1", -1},
        {".5", -1},
        {"1.", -1},
        {"1.e3", -1},
        {"0x10", -1},
        {"inf", -1},
        {"nan", -1},
        {"1 ", -1},
        {" 1", -1},
        {"1e", -1},
        {"1e999", -1},
        {"1,5", -1},
        {"1e+", -1},
        {"1.2.3", -1},
        {"99999999999999999999999999999999", 1e32},
        {"999999999999999999999999999999999", -1},
    };

    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        char *copy;
        double got = -1;
        struct slice s = guarded(CASES[i].text, &copy);

        if (!CHECK(amount_decimal(s, &got) == (CASES[i].want >= 0)) ||
            (CASES[i].want >= 0 && !CHECK(fabs(got - CASES[i].want) <= CASES[i].want * 1e-12)))
            printf("# %s: %g\n", CASES[i].text, got);
        tap_guard_free(copy, s.n);
    }
}

TEST(durations)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } CASES[] = {
        {"0", 0},
        {"5us", 5},
        {"200ms", 200000},
        {"1.5s", 1500000},
        {"1m30s", 90000000},
        {"2h", 7200000000},
        {"1h1m1s1ms1us", 3661001001},
        {"0s", 0},
        {"", -1},
        {"5", -1},
        {"5x", -1},
        {"s", -1},
        {"1s5", -1},
        {"1 s", -1},
        {"-1s", -1},
        {"1S", -1},
        {"1e9h", -1},
        {"1sm", -1},
        {"1s ", -1},
        {"00", -1},
    };

    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        char *copy;
        int64_t got = -1;
        struct slice s = guarded(CASES[i].text, &copy);

        if (!CHECK(amount_duration(s, &got) == (CASES[i].want >= 0)) ||
            (CASES[i].want >= 0 && !CHECK_INT(got, CASES[i].want)))
            printf("# %s\n", CASES[i].text);
        tap_guard_free(copy, s.n);
    }
}

TEST(spreads)
{
    struct spread s;

    CHECK(amount_spread(SLICE("128"), &s) && s.median == 128 && s.sigma == 0);
    CHECK(amount_spread(SLICE("100:0.7"), &s) && s.median == 100 && s.sigma == 0.7);
    CHECK(!amount_spread(SLICE(""), &s));
    CHECK(!amount_spread(SLICE("0"), &s));
    CHECK(!amount_spread(SLICE("10:"), &s));
    CHECK(!amount_spread(SLICE("10:6"), &s));
    CHECK(!amount_spread(SLICE("10:1:1"), &s));
    CHECK(!amount_spread(SLICE("10000001"), &s));
}

struct moments {
    double mean, cv;
};

static struct moments moments_of(double (*draw)(double, struct rng *), double shape)
{
    struct rng dice;
    double sum = 0, squares = 0;

    rng_seed(&dice, 3);
    for (int i = 0; i < DRAWS_N; i++) {
        double x = draw(shape, &dice);

        sum += x;
        squares += x * x;
    }
    sum /= DRAWS_N;
    return (struct moments){sum, sqrt(squares / DRAWS_N - sum * sum) / sum};
}

TEST(gaps_have_the_mean_and_the_deviation_of_their_shape)
{
    static const double SHAPES[] = {0.25, 0.8, 1, 1.3, 4, 100};

    for (size_t i = 0; i < COUNT_OF(SHAPES); i++) {
        double k = SHAPES[i], m1 = tgamma(1 + 1 / k), m2 = tgamma(1 + 2 / k);
        struct moments g = moments_of(amount_gamma, k), w = moments_of(amount_weibull, k);

        if (!CHECK(fabs(g.mean - 1) < 0.03 && fabs(g.cv * sqrt(k) - 1) < 0.03))
            printf("# gamma %g: %g %g\n", k, g.mean, g.cv);
        if (!CHECK(fabs(w.mean / m1 - 1) < 0.1 && fabs(w.cv / sqrt(m2 / m1 / m1 - 1) - 1) < 0.2))
            printf("# weibull %g: %g %g\n", k, w.mean, w.cv);
    }
}

TEST(lengths_have_their_median_and_bounds)
{
    struct spread fixed = {50, 0}, wide = {100, 1};
    struct rng dice;
    int below = 0;

    rng_seed(&dice, 4);
    CHECK_INT(amount_draw(&fixed, 1000, &dice), 50);
    CHECK_INT(amount_draw(&fixed, 20, &dice), 20);
    for (int i = 0; i < DRAWS_N; i++) {
        uint32_t n = amount_draw(&wide, 500, &dice);

        if (n < 1 || n > 500)
            CHECK(false);
        below += n < 100;
    }
    CHECK(abs(below - DRAWS_N / 2) < DRAWS_N / 100);
}
