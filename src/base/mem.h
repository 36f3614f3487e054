/* SPDX-License-Identifier: MIT */
/* Heap memory, and what happens when the machine has none left.
 *
 * mem_alloc and its kind never return NULL: what the heap refuses comes from the reserve (base/reserve.h),
 * and mem_short_n says that it did. Whoever works for one request looks at that number before and after, and
 * ends this request with `gateway_exhausted`, nobody else's. mem_try_* return NULL: they are for what may be
 * large (base/buf.h, base/chunks.h), whose callers expect errors. The process ends, with a message, only when
 * the reserve has no piece of that size either. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t n);  /* uninitialised; n may be 0 */
void *mem_zalloc(size_t n); /* zeroed */
void *mem_realloc(void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_strndup(const char *p, size_t n); /* NUL-terminated copy */
void mem_free(void *p);                     /* NULL is fine */

/* NULL when the machine has no memory left; p is as it was then. n > 0. */
void *mem_try_alloc(size_t n) __attribute__((warn_unused_result));
void *mem_try_realloc(void *p, size_t n) __attribute__((warn_unused_result));

/* How often the heap has refused the calling thread something, whether the reserve helped out or not. */
uint64_t mem_short_n(void);

/* Allocations made by the calling thread so far: tests assert the exact cost of a request with it. */
uint64_t mem_alloc_n(void);

/* -- for tests and for the reserve ----------------------------------------------------------------------- */

/* Of the calling thread: while `on`, allocations are counted in seen_n, and the heap refuses those from
 * number `from` on (the first is 0), n of them. */
struct mem_faults {
    bool on;
    uint64_t seen_n, from, n;
};
struct mem_faults *mem_faults(void);
/* The heap itself: neither counted nor served from the reserve, but refused by mem_faults too. */
void *mem_raw(size_t n);

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
