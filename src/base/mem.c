/* SPDX-License-Identifier: MIT */
/* malloc that cannot fail and is counted per thread. */
#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local uint64_t alloc_n;

static _Noreturn void out_of_memory(size_t n)
{
    fprintf(stderr, "out of memory: %zu bytes could not be allocated\n", n);
    abort();
}

static void *checked(void *p, size_t n)
{
    if (!p)
        out_of_memory(n);
    alloc_n++;
    return p;
}

void *mem_alloc(size_t n)
{
    return checked(malloc(n ? n : 1), n);
}

void *mem_zalloc(size_t n)
{
    return checked(calloc(1, n ? n : 1), n);
}

void *mem_realloc(void *p, size_t n)
{
    return checked(realloc(p, n ? n : 1), n);
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

uint64_t mem_alloc_n(void)
{
    return alloc_n;
}

void mem_give_back(void)
{
    (void)!malloc_trim(0);
}
