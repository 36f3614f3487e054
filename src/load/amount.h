/* SPDX-License-Identifier: MIT */
/* Numbers as people and traces write them: decimals, durations, and lengths that are drawn. */
#ifndef LOAD_AMOUNT_H
#define LOAD_AMOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/slice.h"

/* A length that is drawn: lognormal with this median and sigma (0: always the median). */
struct spread {
    double median, sigma;
};

/* A decimal of at most 32 bytes, "0.085" or "1.5e-3": no sign, no "inf", no hexadecimal. */
bool amount_decimal(struct slice s, double *out);
/* "1h30m", "200ms", "1.5s": parts with a unit of us, ms, s, m or h; at most ten years. A bare 0 too. */
bool amount_duration(struct slice s, int64_t *out_us);
/* "128" or "128:0.7": a median of tokens, and perhaps a sigma of at most 5. */
bool amount_spread(struct slice s, struct spread *out);

/* Draws from a spread, rounded, within 1..max. */
uint32_t amount_draw(const struct spread *s, uint32_t max, struct rng *dice);
/* Mean 1. The coefficient of variation is 1/sqrt(shape). */
double amount_gamma(double shape, struct rng *dice);
/* Scale 1: the mean is tgamma(1 + 1/shape). */
double amount_weibull(double shape, struct rng *dice);

#endif
