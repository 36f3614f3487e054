/* SPDX-License-Identifier: MIT */
/* The byte budget.
 *
 * Why compare-and-swap: add-then-undo would let a charge that is about to be refused make others fail too. */
#include "base/budget.h"

#include "base/assert.h"

void budget_init(struct budget *b, uint64_t limit_bytes)
{
    *b = (struct budget){.limit_bytes = limit_bytes};
}

void budget_set_limit(struct budget *b, uint64_t limit_bytes)
{
    __atomic_store_n(&b->limit_bytes, limit_bytes, __ATOMIC_RELAXED);
}

bool budget_charge(struct budget *b, size_t n)
{
    if (!b)
        return true;
    uint64_t used = __atomic_load_n(&b->used_bytes, __ATOMIC_RELAXED);
    do {
        uint64_t limit = __atomic_load_n(&b->limit_bytes, __ATOMIC_RELAXED);

        if (used > limit || n > limit - used) {
            __atomic_fetch_add(&b->refused_n, 1, __ATOMIC_RELAXED);
            return false;
        }
    } while (!__atomic_compare_exchange_n(&b->used_bytes, &used, used + n, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

void budget_release(struct budget *b, size_t n)
{
    if (!b)
        return;
    uint64_t before = __atomic_fetch_sub(&b->used_bytes, n, __ATOMIC_RELAXED);
    ASSERT(before >= n);
}

uint64_t budget_used(const struct budget *b)
{
    return b ? __atomic_load_n(&b->used_bytes, __ATOMIC_RELAXED) : 0;
}
