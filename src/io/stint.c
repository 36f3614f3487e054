/* SPDX-License-Identifier: MIT */
/* The longest turns, in parts of a minute. */
#include "io/stint.h"

static uint64_t part_of(int64_t now_us)
{
    return (uint64_t)(now_us / STINT_PART_US) & UINT32_MAX;
}

void stint_end(struct stint *h, int64_t now_us)
{
    int64_t since_us = __atomic_load_n(&h->since_us, __ATOMIC_RELAXED);
    int64_t us = now_us - since_us;
    uint64_t part = part_of(now_us), *worst = &h->worst[part % STINT_PARTS];
    uint64_t found = __atomic_load_n(worst, __ATOMIC_RELAXED);

    if (since_us == 0)
        return;
    __atomic_store_n(&h->since_us, 0, __ATOMIC_RELAXED);
    us = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : us;
    if (us > STINT_LONG_US)
        __atomic_store_n(&h->long_n, __atomic_load_n(&h->long_n, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    if (found >> 32 != part || (found & UINT32_MAX) < (uint64_t)us)
        __atomic_store_n(worst, part << 32 | (uint64_t)us, __ATOMIC_RELAXED);
}

int64_t stint_max_us(const struct stint *h, int64_t now_us)
{
    int64_t since_us = __atomic_load_n(&h->since_us, __ATOMIC_RELAXED);
    int64_t max = since_us != 0 && now_us > since_us ? now_us - since_us : 0;
    uint64_t part = part_of(now_us);

    for (int i = 0; i < STINT_PARTS; i++) {
        uint64_t found = __atomic_load_n(&h->worst[i], __ATOMIC_RELAXED);
        int64_t us = (int64_t)(found & UINT32_MAX);

        /* A writer may be a part ahead of a reader whose own time is that of its turn's beginning. */
        if (((part + 1 - (found >> 32)) & UINT32_MAX) <= STINT_PARTS && us > max)
            max = us;
    }
    return max;
}

uint64_t stint_long_n(const struct stint *h)
{
    return __atomic_load_n(&h->long_n, __ATOMIC_RELAXED);
}
