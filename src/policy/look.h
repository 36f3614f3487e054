/* SPDX-License-Identifier: MIT */
/* What a decision of the line saw: how each target stood, with the numbers of look.def. Filled under the
 * group's lock from what the decision has just looked at, read by the ticket's owner. Pure. */
#ifndef POLICY_LOOK_H
#define POLICY_LOOK_H

#include <stddef.h>
#include <stdint.h>

#define LOOK_FIELDS_MAX 6
#define LOOKS_MAX 6 /* targets: past that some are left out, never the one that was chosen */

enum look_is {
#define LOOK(name, label, fields) LOOK_##name,
#include "policy/look.def"
#undef LOOK
    LOOK_N
};

struct look {
    uint8_t target;              /* over all tiers */
    uint8_t is;                  /* enum look_is */
    uint32_t v[LOOK_FIELDS_MAX]; /* as many as its row has; what does not fit is UINT32_MAX */
};

struct looks {
    uint8_t how;    /* enum choose_how; CHOOSE_NONE: none was chosen */
    uint8_t n;      /* in at */
    uint8_t out_n;  /* left out */
    int32_t budget; /* whole tokens of the retry budget, where it needed one; else -1 */
    struct look at[LOOKS_MAX];
};

static inline void look_set(struct look *k, size_t field, int64_t v)
{
    k->v[field] = v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

#endif
