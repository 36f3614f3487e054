/* SPDX-License-Identifier: MIT */
/* Growable contiguous bytes with a mandatory maximum, charged to a byte budget. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/budget.h"
#include "base/err.h"
#include "base/slice.h"

struct buf {
    char *p;
    size_t n, cap, max;
    struct budget *budget; /* charged with cap; NULL: not charged */
};

void buf_init(struct buf *b, size_t max_bytes, struct budget *budget);
void buf_fini(struct buf *b); /* frees and gives the budget back; the buf can be used again */
/* Appends; ERR_TOO_LARGE past max, ERR_MEMORY_BUDGET when the budget refuses, ERR_EXHAUSTED when the machine
 * does (never up to RESERVE_SMALL_BYTES, see base/mem.h). Doubles, from 1 KiB; past 1 MiB
 * it grows by a quarter. */
enum err buf_add(struct buf *b, struct slice s) __attribute__((warn_unused_result));
enum err buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for n more bytes (they are not counted until the caller adds to b->n). */
enum err buf_reserve(struct buf *b, size_t n) __attribute__((warn_unused_result));
void buf_drop_front(struct buf *b, size_t n);
/* JSON string with quotes and escapes (controls, quote, backslash; invalid UTF-8 becomes U+FFFD). */
enum err buf_add_json_string(struct buf *b, struct slice s);

static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->p, b->n};
}

#endif
