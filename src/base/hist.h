/* SPDX-License-Identifier: MIT */
/* Log-linear latency histogram: 64-bit values in buckets of at most 1/32 relative width (after HdrHistogram).
 * One writer; readers on other threads see each count whole (relaxed atomics). */
#ifndef BASE_HIST_H
#define BASE_HIST_H

#include <stdint.h>

#define HIST_SUB 32
#define HIST_BUCKETS \
    (HIST_SUB * 37) /* values up to 2^41 us, about 25 days; larger ones count in the last bucket */

struct hist {
    uint64_t count[HIST_BUCKETS];
    uint64_t n, sum;
};

void hist_init(struct hist *h);
void hist_add(struct hist *h, int64_t value); /* negative counts as 0 */
void hist_merge(struct hist *into, const struct hist *from);
/* The value below or at which a share q (0..1) of the samples lies, by the bucket's top; 0 when empty. */
int64_t hist_quantile(const struct hist *h, double q);
/* How many samples are <= value (by bucket). */
uint64_t hist_count_le(const struct hist *h, int64_t value);

#endif
