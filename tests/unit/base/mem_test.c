/* SPDX-License-Identifier: MIT */
/* The heap's wrappers: zeroing, copies, the count per thread. */
#include "base/mem.h"

#include <pthread.h>

#include "tap.h"

TEST(zeroed_memory_is_zero)
{
    unsigned char *p = mem_zalloc(1000);
    int sum = 0;

    for (int i = 0; i < 1000; i++)
        sum += p[i];
    CHECK_INT(sum, 0);
    mem_free(p);
}

TEST(no_bytes_are_still_an_allocation)
{
    void *a = mem_alloc(0), *b = mem_zalloc(0);

    CHECK(a && b && a != b);
    a = mem_realloc(a, 0);
    CHECK(a != NULL);
    mem_free(a);
    mem_free(b);
    mem_free(NULL);
}

TEST(growing_keeps_the_bytes)
{
    char *p = mem_strdup("tide");

    p = mem_realloc(p, 100000);
    CHECK_STR(p, "tide");
    mem_free(p);
}

TEST(copies_end_in_a_nul)
{
    char *whole = mem_strdup(""), *part = mem_strndup("abcdef", 3), *none = mem_strndup(NULL, 0);

    CHECK_STR(whole, "");
    CHECK_STR(part, "abc");
    CHECK_STR(none, "");
    mem_free(whole);
    mem_free(part);
    mem_free(none);
}

static void *on_thread(void *counted)
{
    uint64_t before = mem_alloc_n();

    mem_free(mem_alloc(10));
    mem_free(mem_alloc(10));
    *(uint64_t *)counted = before == 0 ? mem_alloc_n() : 1000;
    return NULL;
}

TEST(every_thread_counts_its_own_allocations)
{
    uint64_t before = mem_alloc_n(), other = 0;
    pthread_t thread;

    mem_free(mem_alloc(1));
    void *p = mem_zalloc(1);
    p = mem_realloc(p, 2);
    mem_free(p);
    mem_free(mem_strdup("x"));
    CHECK_INT(mem_alloc_n() - before, 4);
    before = mem_alloc_n();
    CHECK_INT(pthread_create(&thread, NULL, on_thread, &other), 0);
    pthread_join(thread, NULL);
    CHECK_INT(other, 2);
    CHECK_INT(mem_alloc_n() - before, 0);
}
