/* SPDX-License-Identifier: MIT */
/* Bump allocation for things that die together: one arena per exchange, flight and snapshot. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/slice.h"

struct arena_block;

struct arena {
    char *at, *end;             /* free part of the newest block */
    struct arena_block *blocks; /* heap blocks, newest first; the caller's first block is not among them */
    char *first, *first_end;    /* caller's storage, or NULL */
    size_t block_bytes;         /* size of the next heap block */
    size_t used_bytes;          /* bytes in heap blocks */
};

/* `first` (may be NULL): storage of the caller, used before the heap is. block_bytes: size of heap blocks. */
void arena_init(struct arena *a, void *first, size_t first_n, size_t block_bytes);
void arena_fini(struct arena *a);
/* Forgets everything; keeps the caller's first block and at most one heap block. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t n); /* aligned to 16, uninitialised */
void *arena_zalloc(struct arena *a, size_t n);
char *arena_bytes(struct arena *a, size_t n); /* not aligned */
/* For what may be large: NULL when the machine has no memory left; never for less than half a block. */
char *arena_try_bytes(struct arena *a, size_t n) __attribute__((warn_unused_result));
/* The copy is followed by a NUL that n does not count; also that of an empty or absent slice. */
struct slice arena_dup(struct arena *a, struct slice s);
char *arena_strdup(struct arena *a, const char *s);
struct slice arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A piece of at least `want` contiguous bytes that is not yet taken; arena_commit takes the first `used` of
 * them. Nothing else may be allocated from the arena in between. */
char *arena_reserve(struct arena *a, size_t want);
void arena_commit(struct arena *a, size_t used);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))

#endif
