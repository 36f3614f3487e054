/* SPDX-License-Identifier: MIT */
/* A bounded queue of bytes in chunks: pending output of a stream, kept part of a flight's log. */
#ifndef BASE_CHUNKS_H
#define BASE_CHUNKS_H

#include <sys/uio.h>

#include "base/budget.h"
#include "base/err.h"
#include "base/slice.h"

struct chunk;

struct chunks {
    struct chunk *head, *tail;
    size_t n;              /* bytes queued */
    size_t max;            /* most bytes that may be queued */
    struct budget *budget; /* charged with the chunks' sizes; NULL: not charged */
};

void chunks_init(struct chunks *q, size_t max_bytes, struct budget *budget);
void chunks_fini(struct chunks *q); /* drops everything; an empty queue holds no memory */
/* Copies s to the tail, all or nothing: ERR_TOO_LARGE past max, ERR_MEMORY_BUDGET when the budget refuses,
 * ERR_EXHAUSTED when the machine does. */
enum err chunks_add(struct chunks *q, struct slice s) __attribute__((warn_unused_result));
/* Shows up to `n` pieces from the front without taking them; returns how many were filled in. */
size_t chunks_peek(const struct chunks *q, struct iovec *iov, size_t n);
void chunks_drop(struct chunks *q, size_t n_bytes); /* n_bytes <= q->n */

#endif
