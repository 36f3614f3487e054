/* SPDX-License-Identifier: MIT */
/* The last records (why_record.h) of one worker, in two rings of bytes: one for requests that were answered
 * at once, and one for those of which somebody may ask later: that failed, waited, or were tried again. So a
 * busy worker, whose good requests fill a ring in a second, still knows the others minutes later.
 *
 * Taken at the start, 2 x WHY_RING_BYTES a worker, but touched only as it is used. Threads: the worker's. */
#ifndef GATEWAY_WHY_RING_H
#define GATEWAY_WHY_RING_H

#include "gateway/why_record.h"

#define WHY_RING_BYTES ((size_t)512 << 10)

struct why_ring {
    char *p;
    size_t head, tail; /* where the next record goes; the oldest one */
    size_t wrap;       /* not 0: records lie in [tail, wrap) and, newer, in [0, head); else in [tail, head) */
};

struct why_rings {
    struct why_ring plain, notable;
};

void why_rings_init(struct why_rings *r);
void why_rings_fini(struct why_rings *r);
void why_rings_add(struct why_rings *r, const struct why_source *s);
/* Shows every record of that id, as bytes for why_unpack. */
void why_rings_find(const struct why_rings *r, struct slice id, void (*show)(void *ud, struct slice record),
                    void *ud);

#endif
