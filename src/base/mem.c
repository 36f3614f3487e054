/* SPDX-License-Identifier: MIT */
/* malloc, counted per thread, with the reserve behind it. */
#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reserve.h"

static _Thread_local uint64_t alloc_n, short_n;
static _Thread_local struct mem_faults faults; /* one look at a flag per allocation is all it costs */

static _Noreturn void out_of_memory(size_t n)
{
    fprintf(stderr, "out of memory: %zu bytes could not be allocated\n", n);
    abort();
}

static bool is_refused(void)
{
    return faults.on && faults.seen_n++ >= faults.from && faults.seen_n - faults.from <= faults.n;
}

void *mem_raw(size_t n)
{
    return is_refused() ? NULL : malloc(n);
}

/* Behind the heap's refusal. */
static void *from_reserve(size_t n)
{
    void *p = reserve_take(n);

    short_n++;
    if (p == NULL)
        out_of_memory(n);
    return p;
}

void *mem_alloc(size_t n)
{
    void *p = is_refused() ? NULL : malloc(n ? n : 1);

    alloc_n++;
    return p != NULL ? p : from_reserve(n);
}

void *mem_zalloc(size_t n)
{
    void *p = is_refused() ? NULL : calloc(1, n ? n : 1);

    alloc_n++;
    return p != NULL ? p : memset(from_reserve(n), 0, n);
}

static void *grow(void *p, size_t n)
{
    alloc_n++;
    return is_refused() ? NULL : realloc(p, n ? n : 1);
}

void *mem_realloc(void *p, size_t n)
{
    void *grown = grow(p, n);

    if (grown == NULL) {
        size_t had = p != NULL ? malloc_usable_size(p) : 0;

        grown = from_reserve(n);
        if (had > 0)
            memcpy(grown, p, had < n ? had : n);
        free(p);
    }
    return grown;
}

void *mem_try_alloc(size_t n)
{
    return mem_try_realloc(NULL, n);
}

void *mem_try_realloc(void *p, size_t n)
{
    void *grown = grow(p, n);

    short_n += grown == NULL;
    return grown;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *p, size_t n)
{
    char *copy = mem_alloc(n + 1);

    if (n > 0)
        memcpy(copy, p, n);
    copy[n] = 0;
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

uint64_t mem_short_n(void)
{
    return short_n;
}

uint64_t mem_alloc_n(void)
{
    return alloc_n;
}

struct mem_faults *mem_faults(void)
{
    return &faults;
}
