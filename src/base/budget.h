/* SPDX-License-Identifier: MIT */
/* The process-wide byte budget: bodies, logs and pending output are charged before they are allocated.
 * Past the limit new work is refused; work already admitted is never killed. Thread: any (atomic). */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget {
    uint64_t limit_bytes; /* atomic */
    uint64_t used_bytes;  /* atomic */
    uint64_t refused_n;   /* atomic */
};

void budget_init(struct budget *b, uint64_t limit_bytes);
/* False, and nothing charged, if n more bytes would pass the limit. A NULL budget accepts everything. */
bool budget_charge(struct budget *b, size_t n);
/* From now on; what is charged stays charged, even if it is more. Thread: any. */
void budget_set_limit(struct budget *b, uint64_t limit_bytes);
void budget_release(struct budget *b, size_t n);
uint64_t budget_used(const struct budget *b);

#endif
