/* SPDX-License-Identifier: MIT */
/* Times as options, suffixes and files write them: a median and perhaps a spread. */
#ifndef SIM_TIMES_H
#define SIM_TIMES_H

#include <stdint.h>

#include "base/rng.h"
#include "base/slice.h"

/* A time drawn from a distribution: lognormal with this median and sigma (0: always the median). */
struct sim_time {
    int64_t median_us;
    double sigma;
};

/* "200ms", "1.5s:0.4": a duration in us, ms, s or m (a bare 0 too), at most a day, and perhaps a sigma of at
 * most 10. */
bool sim_time_parse(struct slice text, struct sim_time *out);
/* The same without a sigma. */
bool sim_duration_parse(struct slice text, int64_t *out_us);
int64_t sim_time_draw(const struct sim_time *t, struct rng *dice);
/* A probability from 0 to 1 in decimal: "1", "0.25". */
bool sim_share_parse(struct slice text, double *out);

#endif
