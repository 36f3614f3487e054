/* SPDX-License-Identifier: MIT */
/* The histogram: values below 32 have a bucket each, every further power of two is cut into 32 buckets.
 *
 *     bucket of v, e = floor(log2 v) >= 5:   (e - 4) * 32 + (v >> (e - 5)) - 32
 *
 * Source of the idea: HdrHistogram by Gil Tene. */
#include "base/hist.h"

#include <math.h>
#include <string.h>

#define SUB_BITS 5 /* HIST_SUB = 2^SUB_BITS */
#define LARGEST ((INT64_C(1) << 41) - 1)

_Static_assert(HIST_SUB == 1 << SUB_BITS, "the bucket formula needs it");

static size_t bucket_of(int64_t value)
{
    if (value < HIST_SUB)
        return value < 0 ? 0 : (size_t)value;
    if (value > LARGEST)
        return HIST_BUCKETS - 1;
    unsigned shift = 63u - (unsigned)__builtin_clzll((unsigned long long)value) - SUB_BITS;
    return (size_t)shift * HIST_SUB + (size_t)((uint64_t)value >> shift);
}

/* The largest value that counts in bucket i. */
static int64_t bucket_top(size_t i)
{
    if (i < HIST_SUB)
        return (int64_t)i;
    size_t shift = i / HIST_SUB - 1;
    return (int64_t)(((uint64_t)(i % HIST_SUB + HIST_SUB + 1) << shift) - 1);
}

/* There is one writer, so a plain load and store is an increment that readers see whole. */
static void bump(uint64_t *cell, uint64_t n)
{
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

void hist_init(struct hist *h)
{
    memset(h, 0, sizeof(*h));
}

void hist_add(struct hist *h, int64_t value)
{
    bump(&h->count[bucket_of(value)], 1);
    bump(&h->n, 1);
    bump(&h->sum, value < 0 ? 0 : (uint64_t)value);
}

/* n is counted anew from the buckets: the writer of `from` may be between its two increments. */
void hist_merge(struct hist *into, const struct hist *from)
{
    uint64_t n = 0;

    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        uint64_t c = __atomic_load_n(&from->count[i], __ATOMIC_RELAXED);
        if (c > 0)
            bump(&into->count[i], c);
        n += c;
    }
    bump(&into->n, n);
    bump(&into->sum, __atomic_load_n(&from->sum, __ATOMIC_RELAXED));
}

int64_t hist_quantile(const struct hist *h, double q)
{
    uint64_t n = __atomic_load_n(&h->n, __ATOMIC_RELAXED), seen = 0;
    size_t last = 0;

    if (n == 0)
        return 0;
    double wanted = ceil(q * (double)n);
    uint64_t rank = wanted < 1 ? 1 : wanted >= (double)n ? n : (uint64_t)wanted;
    for (size_t i = 0; i < HIST_BUCKETS && seen < rank; i++) {
        seen += __atomic_load_n(&h->count[i], __ATOMIC_RELAXED);
        last = i;
    }
    return bucket_top(last);
}

uint64_t hist_count_le(const struct hist *h, int64_t value)
{
    uint64_t n = 0;

    if (value < 0)
        return 0;
    size_t last = bucket_of(value);
    for (size_t i = 0; i <= last; i++)
        n += __atomic_load_n(&h->count[i], __ATOMIC_RELAXED);
    return n;
}
