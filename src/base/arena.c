/* SPDX-License-Identifier: MIT */
/* Bump allocation out of a list of blocks.
 *
 *     first (caller's)        blocks (heap, newest first)
 *     [####....|at   end]     [header|######] -> [header|####..] -> NULL
 *
 * Why: what belongs to one exchange is freed by one call, and most exchanges never leave the caller's block.
 * A request larger than half a block gets a block of its own, behind the newest, so that it does not cost the
 * free part of the block in use. Under AddressSanitizer every byte that is not handed out is poisoned. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/poison.h"

#define ALIGN ((size_t)16)
#define PRINTF_GUESS_BYTES 128 /* most formatted strings are header values and names: one pass is enough */

struct arena_block {
    struct arena_block *next;
    size_t n;   /* bytes of data */
    bool spare; /* kept by a reset and not in use yet */
    _Alignas(16) char data[];
};

static size_t padding(const char *p)
{
    return (ALIGN - ((uintptr_t)p & (ALIGN - 1))) & (ALIGN - 1);
}

void arena_init(struct arena *a, void *first, size_t first_n, size_t block_bytes)
{
    ASSERT(block_bytes > 0);
    *a = (struct arena){.first = first, .block_bytes = block_bytes};
    if (first) {
        a->first_end = a->first + first_n;
        a->at = a->first;
        a->end = a->first_end;
        POISON(first, first_n);
    }
}

static void block_free(struct arena *a, struct arena_block *b)
{
    a->used_bytes -= sizeof(*b) + b->n;
    UNPOISON(b->data, b->n);
    mem_free(b);
}

void arena_fini(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        block_free(a, b);
    }
    if (a->first)
        UNPOISON(a->first, (size_t)(a->first_end - a->first));
    *a = (struct arena){.block_bytes = a->block_bytes};
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = NULL;

    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        if (!kept && b->n == a->block_bytes)
            kept = b;
        else
            block_free(a, b);
    }
    a->blocks = kept;
    a->at = a->first;
    a->end = a->first_end;
    if (a->first)
        POISON(a->first, (size_t)(a->first_end - a->first));
    if (kept) {
        kept->next = NULL;
        kept->spare = true;
        POISON(kept->data, kept->n);
    }
}

static struct arena_block *block_made(struct arena *a, struct arena_block *b, size_t n)
{
    b->next = NULL;
    b->n = n;
    b->spare = false;
    a->used_bytes += sizeof(*b) + n;
    POISON(b->data, n);
    return b;
}

static struct arena_block *block_new(struct arena *a, size_t n)
{
    ASSERT(n < SIZE_MAX / 2);
    return block_made(a, mem_alloc(sizeof(struct arena_block) + n), n);
}

static bool has_spare(const struct arena *a, size_t n)
{
    return a->blocks && a->blocks->spare && a->blocks->n >= n;
}

/* Makes a block with at least n free bytes the one in use. */
static void refill(struct arena *a, size_t n)
{
    struct arena_block *b = a->blocks;

    if (!has_spare(a, n)) {
        b = block_new(a, n > a->block_bytes ? n : a->block_bytes);
        b->next = a->blocks;
        a->blocks = b;
    }
    b->spare = false;
    a->at = b->data;
    a->end = b->data + b->n;
}

static void *own_block(struct arena *a, struct arena_block *b)
{
    struct arena_block **place = a->blocks ? &a->blocks->next : &a->blocks;

    b->next = *place;
    *place = b;
    UNPOISON(b->data, b->n);
    return b->data;
}

static void *take(struct arena *a, size_t pad, size_t n)
{
    size_t left = (size_t)(a->end - a->at);

    if (!a->at || left < pad || left - pad < n) {
        if (n > a->block_bytes / 2 && left > 0 && !has_spare(a, n))
            return own_block(a, block_new(a, n));
        refill(a, n); /* the data of a block is aligned */
        pad = 0;
    }
    char *p = a->at + pad;
    a->at = p + n;
    UNPOISON(p, n);
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    return take(a, padding(a->at), n);
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

char *arena_bytes(struct arena *a, size_t n)
{
    return take(a, 0, n);
}

char *arena_try_bytes(struct arena *a, size_t n)
{
    struct arena_block *b;

    if (n <= a->block_bytes / 2 || (a->at && (size_t)(a->end - a->at) >= n))
        return take(a, 0, n);
    b = mem_try_alloc(sizeof(*b) + n);
    return b ? own_block(a, block_made(a, b, n)) : NULL;
}

struct slice arena_dup(struct arena *a, struct slice s)
{
    char *p = arena_bytes(a, s.n + 1);

    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (struct slice){p, s.n};
}

char *arena_strdup(struct arena *a, const char *s)
{
    size_t n = strlen(s) + 1;

    return memcpy(arena_bytes(a, n), s, n);
}

struct slice arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    char *p = arena_reserve(a, PRINTF_GUESS_BYTES);

    va_start(args, fmt);
    int len = vsnprintf(p, PRINTF_GUESS_BYTES, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    size_t n = (size_t)len;
    if (n >= PRINTF_GUESS_BYTES) {
        arena_commit(a, 0);
        p = arena_reserve(a, n + 1);
        va_start(args, fmt);
        vsnprintf(p, n + 1, fmt, args);
        va_end(args);
    }
    arena_commit(a, n + 1);
    return (struct slice){p, n};
}

char *arena_reserve(struct arena *a, size_t want)
{
    if ((size_t)(a->end - a->at) < want)
        refill(a, want);
    UNPOISON(a->at, want);
    return a->at;
}

void arena_commit(struct arena *a, size_t used)
{
    ASSERT(used <= (size_t)(a->end - a->at));
    a->at += used;
    POISON(a->at, (size_t)(a->end - a->at));
}
