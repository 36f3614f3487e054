/* SPDX-License-Identifier: MIT */
/* Reading and drawing numbers.
 *
 * Source of the gamma draw: Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", 2000; a
 * shape below 1 is drawn with shape + 1 and then multiplied by U^(1/shape), as they say. */
#include "load/amount.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

#define DECIMAL_BYTES 32
#define SIGMA_MAX 5
#define TOKENS_MAX 10000000
#define DURATION_MAX_US (10 * 366 * 24 * 3600 * CLOCK_SECOND_US)

static size_t digits_at(struct slice s, size_t i)
{
    size_t n = 0;

    while (i + n < s.n && s.p[i + n] >= '0' && s.p[i + n] <= '9')
        n++;
    return n;
}

/* How many bytes of s are a decimal: digits, a point with digits, an exponent. 0: none. */
static size_t decimal_bytes(struct slice s)
{
    size_t i = digits_at(s, 0), n;

    if (i == 0)
        return 0;
    if (i < s.n && s.p[i] == '.') {
        n = digits_at(s, i + 1);
        if (n == 0)
            return 0;
        i += 1 + n;
    }
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        size_t sign = i + 1 < s.n && (s.p[i + 1] == '-' || s.p[i + 1] == '+');

        n = digits_at(s, i + 1 + sign);
        if (n > 0)
            i += 1 + sign + n;
    }
    return i;
}

bool amount_decimal(struct slice s, double *out)
{
    char text[DECIMAL_BYTES + 1] = "";

    if (s.n > DECIMAL_BYTES || s.n == 0 || decimal_bytes(s) != s.n)
        return false;
    memcpy(text, s.p, s.n);
    *out = strtod(text, NULL);
    return isfinite(*out);
}

static int64_t unit_us(struct slice unit)
{
    static const struct {
        struct slice name;
        int64_t us;
    } UNITS[] = {
        {{"us", 2}, 1},
        {{"ms", 2}, CLOCK_MS_US},
        {{"s", 1}, CLOCK_SECOND_US},
        {{"m", 1}, 60 * CLOCK_SECOND_US},
        {{"h", 1}, 3600 * CLOCK_SECOND_US},
    };

    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (slice_eq(unit, UNITS[i].name))
            return UNITS[i].us;
    }
    return 0;
}

bool amount_duration(struct slice s, int64_t *out_us)
{
    double sum = 0;

    if (slice_eq(s, SLICE("0"))) {
        *out_us = 0;
        return true;
    }
    if (s.n == 0)
        return false;
    while (s.n > 0) {
        size_t n = decimal_bytes(s), letters = 0;
        struct slice number = {s.p, n};
        double value;
        int64_t us;

        s = slice_from(s, n);
        while (letters < s.n && s.p[letters] >= 'a' && s.p[letters] <= 'z')
            letters++;
        us = unit_us((struct slice){s.p, letters});
        if (us == 0 || !amount_decimal(number, &value))
            return false;
        sum += value * (double)us;
        s = slice_from(s, letters);
    }
    if (sum > (double)DURATION_MAX_US)
        return false;
    *out_us = (int64_t)llround(sum);
    return true;
}

bool amount_spread(struct slice s, struct spread *out)
{
    struct slice sigma, median = slice_cut(s, ':', &sigma);

    *out = (struct spread){0, 0};
    if (!amount_decimal(median, &out->median) || out->median < 1 || out->median > TOKENS_MAX)
        return false;
    return sigma.p == NULL || (amount_decimal(sigma, &out->sigma) && out->sigma <= SIGMA_MAX);
}

uint32_t amount_draw(const struct spread *s, uint32_t max, struct rng *dice)
{
    double v = s->sigma > 0 ? s->median * exp(s->sigma * rng_normal(dice)) : s->median;

    if (v < 1)
        return 1;
    return v >= (double)max ? max : (uint32_t)llround(v);
}

static double gamma_from_one(double shape, struct rng *dice)
{
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);

    for (;;) {
        double x = rng_normal(dice), v = 1 + c * x;

        if (v <= 0)
            continue;
        v = v * v * v;
        if (log1p(-rng_unit(dice)) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

double amount_gamma(double shape, struct rng *dice)
{
    if (shape >= 1)
        return gamma_from_one(shape, dice) / shape;
    double u = 1 - rng_unit(dice);
    return gamma_from_one(shape + 1, dice) * pow(u, 1 / shape) / shape;
}

double amount_weibull(double shape, struct rng *dice)
{
    return pow(rng_exp(dice, 1), 1 / shape);
}
