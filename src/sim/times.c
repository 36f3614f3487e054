/* SPDX-License-Identifier: MIT */
/* Times as options, suffixes and files write them, and draws from their distributions. */
#include "sim/times.h"

#include <math.h>

#include "base/clock.h"

#define DAY_US (24 * 3600 * CLOCK_SECOND_US)
#define SIGMA_MAX 10.0

/* Digits, perhaps with a fraction, at the front of *s, which is moved behind them. */
static bool take_decimal(struct slice *s, double *out)
{
    double unit = 1;
    size_t digits_n = 0;

    *out = 0;
    for (; s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9'; *s = slice_from(*s, 1), digits_n++)
        *out = *out * 10 + (s->p[0] - '0');
    if (digits_n == 0 || s->n == 0 || s->p[0] != '.')
        return digits_n > 0;
    *s = slice_from(*s, 1);
    for (digits_n = 0; s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9'; *s = slice_from(*s, 1), digits_n++) {
        unit /= 10;
        *out += unit * (s->p[0] - '0');
    }
    return digits_n > 0;
}

static double unit_us(struct slice name)
{
    static const struct {
        struct slice name;
        double us;
    } UNITS[] = {{SLICE("us"), 1}, {SLICE("ms"), 1e3}, {SLICE("s"), 1e6}, {SLICE("m"), 60e6}};

    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (slice_eq(name, UNITS[i].name))
            return UNITS[i].us;
    }
    return -1;
}

bool sim_time_parse(struct slice text, struct sim_time *out)
{
    struct slice sigma, rest = slice_cut(text, ':', &sigma);
    double number, unit, deviation = 0;

    if (!take_decimal(&rest, &number))
        return false;
    unit = rest.n == 0 && number == 0 ? 1 : unit_us(rest);
    if (unit < 0 || !(number * unit <= (double)DAY_US))
        return false;
    if (sigma.p != NULL && (!take_decimal(&sigma, &deviation) || sigma.n > 0 || deviation > SIGMA_MAX))
        return false;
    *out = (struct sim_time){(int64_t)llround(number * unit), deviation};
    return true;
}

int64_t sim_time_draw(const struct sim_time *t, struct rng *dice)
{
    double us;

    if (t->sigma <= 0 || t->median_us <= 0)
        return t->median_us;
    us = (double)t->median_us * exp(t->sigma * rng_normal(dice));
    return us < (double)DAY_US ? (int64_t)us : DAY_US;
}

bool sim_duration_parse(struct slice text, int64_t *out_us)
{
    struct sim_time t;

    if (text.p == NULL || !sim_time_parse(text, &t) || t.sigma > 0)
        return false;
    *out_us = t.median_us;
    return true;
}

bool sim_share_parse(struct slice text, double *out)
{
    return take_decimal(&text, out) && text.n == 0 && *out <= 1;
}
