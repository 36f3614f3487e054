/* SPDX-License-Identifier: MIT */
/* The arena: alignment, the caller's block, resets, reserved pieces, and what AddressSanitizer is told. */
#include "base/arena.h"

#include "base/mem.h"
#include "base/poison.h"
#include "tap.h"

TEST(memory_is_aligned_and_does_not_overlap)
{
    struct arena a;
    char *last = NULL;
    size_t last_n = 0;

    arena_init(&a, NULL, 0, 512);
    for (size_t n = 0; n < 200; n++) {
        char *p = arena_alloc(&a, n);
        CHECK_INT((uintptr_t)p % 16, 0);
        memset(p, (int)n, n);
        if (last_n > 0)
            CHECK(last[0] == (char)last_n && last[last_n - 1] == (char)last_n);
        last = p;
        last_n = n;
        *arena_bytes(&a, 1) = 'x'; /* the next one has to be aligned anew */
    }
    arena_fini(&a);
    CHECK_INT(a.used_bytes, 0);
}

TEST(the_callers_block_comes_before_the_heap)
{
    struct arena a;
    _Alignas(16) char first[256];
    uint64_t before = mem_alloc_n();

    arena_init(&a, first, sizeof(first), 1024);
    char *p = arena_alloc(&a, 100), *q = arena_alloc(&a, 100);
    CHECK(p == first);
    CHECK(q == first + 112);
    CHECK_INT(mem_alloc_n() - before, 0);
    CHECK_INT(a.used_bytes, 0);
    char *r = arena_alloc(&a, 100);
    CHECK(r < first || r >= first + sizeof(first));
    CHECK_INT(mem_alloc_n() - before, 1);
    CHECK(a.used_bytes >= 1024);
    arena_fini(&a);
    memset(first, 0, sizeof(first)); /* the caller's again, also for AddressSanitizer */
}

TEST(a_large_piece_does_not_cost_the_block_in_use)
{
    struct arena a;

    arena_init(&a, NULL, 0, 1024);
    char *p = arena_alloc(&a, 16), *large = arena_alloc(&a, 5000), *q = arena_alloc(&a, 16);
    memset(large, 1, 5000);
    CHECK(q == p + 16);
    arena_fini(&a);
}

TEST(a_large_piece_out_of_an_empty_arena)
{
    struct arena a;

    arena_init(&a, NULL, 0, 64);
    memset(arena_zalloc(&a, 100000), 1, 100000);
    CHECK(a.used_bytes >= 100000);
    arena_fini(&a);
}

TEST(a_reset_keeps_one_block_and_reuses_it)
{
    struct arena a;
    char first[64];

    arena_init(&a, first, sizeof(first), 1024);
    for (int i = 0; i < 50; i++)
        arena_alloc(&a, 200);
    arena_alloc(&a, 9000);
    arena_reset(&a);
    CHECK(a.used_bytes >= 1024 && a.used_bytes < 1200);
    uint64_t before = mem_alloc_n();
    for (int round = 0; round < 10; round++) {
        memset(arena_bytes(&a, 60), 0, 60);
        memset(arena_alloc(&a, 1000), 0, 1000);
        arena_reset(&a);
    }
    CHECK_INT(mem_alloc_n() - before, 0);
    arena_fini(&a);
}

TEST(zeroed_also_where_a_reset_left_old_bytes)
{
    struct arena a;

    arena_init(&a, NULL, 0, 256);
    memset(arena_alloc(&a, 200), 0xee, 200);
    arena_reset(&a);
    char *p = arena_zalloc(&a, 200);
    int sum = 0;
    for (int i = 0; i < 200; i++)
        sum += p[i];
    CHECK_INT(sum, 0);
    arena_fini(&a);
}

TEST(copies_and_formatted_text)
{
    struct arena a;
    char wide[300];

    arena_init(&a, NULL, 0, 256);
    struct slice dup = arena_dup(&a, SLICE("a\0b"));
    CHECK_MEM(dup.p, dup.n + 1, "a\0b\0", 4);
    struct slice none = arena_dup(&a, SLICE_NONE);
    CHECK_STR(none.p, "");
    CHECK_INT(none.n, 0);
    CHECK_STR(arena_strdup(&a, "tide"), "tide");
    struct slice text = arena_printf(&a, "%d-%s", 7, "x");
    CHECK_STR(text.p, "7-x");
    CHECK_INT(text.n, 3);
    memset(wide, 'w', sizeof(wide));
    for (int n = 100; n < 300; n++) { /* around the size that the first pass guesses, and past a block */
        text = arena_printf(&a, "%.*s", n, wide);
        CHECK_INT(text.n, n);
        CHECK_MEM(text.p, text.n, wide, (size_t)n);
        CHECK_INT(text.p[text.n], 0);
    }
    arena_fini(&a);
}

TEST(only_what_is_committed_is_taken)
{
    struct arena a;

    arena_init(&a, NULL, 0, 1024);
    char *p = arena_reserve(&a, 100);
    memset(p, 'r', 100);
    arena_commit(&a, 10);
    char *q = arena_bytes(&a, 5);
    CHECK(q == p + 10);
    char *r = arena_reserve(&a, 4000);
    memset(r, 'r', 4000);
    arena_commit(&a, 4000);
    CHECK(arena_reserve(&a, 1) != NULL);
    arena_commit(&a, 0);
    arena_fini(&a);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(unused_bytes_are_poisoned)
{
    struct arena a;
    char first[128];

    arena_init(&a, first, sizeof(first), 256);
    CHECK(__asan_address_is_poisoned(first + 64));
    char *p = arena_bytes(&a, 24);
    CHECK(!__asan_region_is_poisoned(p, 24));
    CHECK(__asan_address_is_poisoned(p + 24));
    char *r = arena_reserve(&a, 64);
    CHECK(!__asan_region_is_poisoned(r, 64));
    arena_commit(&a, 8);
    CHECK(!__asan_region_is_poisoned(r, 8));
    CHECK(__asan_address_is_poisoned(r + 8));
    char *heap = arena_alloc(&a, 120);
    CHECK(__asan_address_is_poisoned(heap + 120));
    arena_reset(&a);
    CHECK(__asan_address_is_poisoned(p));
    CHECK(__asan_address_is_poisoned(heap));
    arena_fini(&a);
    CHECK(!__asan_region_is_poisoned(first, sizeof(first)));
}
#endif
