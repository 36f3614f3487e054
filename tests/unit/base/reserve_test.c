/* SPDX-License-Identifier: MIT */
/* The heap that refuses: what the reserve gives, what fails instead, and that it becomes whole again. */
#include "base/reserve.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/chunks.h"
#include "base/json.h"
#include "base/mem.h"
#include "tap.h"

/* From here on the heap refuses the calling thread's allocations from number `from` on. */
static void refuse(uint64_t from, uint64_t n)
{
    *mem_faults() = (struct mem_faults){.on = true, .from = from, .n = n};
}

static void relent(void)
{
    *mem_faults() = (struct mem_faults){.on = false};
}

TEST(without_a_reserve_nothing_is_missing)
{
    CHECK(reserve_fill() && !reserve_is_low());
    CHECK(reserve_take(1) == NULL);
}

TEST(what_the_heap_refuses_comes_from_the_reserve_and_is_counted)
{
    uint64_t short_n = mem_short_n();
    char *p, *q, *zero;

    CHECK(reserve_open());
    q = mem_strdup("tide");
    refuse(0, 3);
    p = mem_strdup("ebb");
    q = mem_realloc(q, 3000);
    zero = mem_zalloc(1000);
    relent();
    CHECK_STR(p, "ebb");
    CHECK_STR(q, "tide");
    CHECK(zero[0] == 0 && zero[999] == 0);
    CHECK_INT((long long)(mem_short_n() - short_n), 3);
    mem_free(p);
    mem_free(q);
    mem_free(zero);
    CHECK(!reserve_is_low());
    CHECK(reserve_fill());
    reserve_close();
}

TEST(half_of_the_small_pieces_gone_is_low_until_the_heap_gives_again)
{
    void *taken[64];
    size_t n = 0;

    CHECK(reserve_open());
    refuse(0, UINT64_MAX);
    while (!reserve_is_low())
        taken[n++] = mem_alloc(100);
    CHECK(n > 8 && n < 32);
    CHECK(!reserve_fill() && reserve_is_low()); /* the heap still refuses */
    relent();
    CHECK(reserve_fill() && !reserve_is_low());
    while (n > 0)
        mem_free(taken[--n]);
    reserve_close();
}

TEST(a_row_that_is_empty_takes_from_the_next_and_too_much_is_never_given)
{
    void *taken[64];
    size_t n = 0;

    CHECK(reserve_open());
    CHECK(reserve_take(RESERVE_LARGE_BYTES + 1) == NULL);
    while ((taken[n] = reserve_take(RESERVE_SMALL_BYTES)) != NULL)
        n++;
    CHECK_INT((long long)n, 32 + 4 + 2 + 1);
    while (n > 0)
        mem_free(taken[--n]);
    CHECK(reserve_fill());
    reserve_close();
}

TEST(a_buffer_grows_small_from_the_reserve_and_large_not_at_all)
{
    static char piece[100000];
    struct budget budget;
    struct buf b;

    CHECK(reserve_open());
    budget_init(&budget, 1 << 20);
    buf_init(&b, sizeof piece, &budget);
    refuse(0, UINT64_MAX);
    CHECK_INT(buf_add(&b, (struct slice){piece, RESERVE_SMALL_BYTES}), ERR_OK);
    CHECK_INT(buf_add(&b, (struct slice){piece, 1}), ERR_EXHAUSTED);
    relent();
    CHECK_INT((long long)b.n, (long long)RESERVE_SMALL_BYTES);
    CHECK_INT((long long)budget_used(&budget), (long long)b.cap);
    CHECK_INT(buf_add(&b, (struct slice){piece, 50000}), ERR_OK);
    buf_fini(&b);
    CHECK_INT((long long)budget_used(&budget), 0);
    reserve_close();
}

/* Each chunk of a long add is refused once: nothing of it is queued then, and the budget is as before. */
TEST(a_queue_of_chunks_takes_all_or_nothing)
{
    static char bytes[300000];
    struct budget budget;
    struct chunks q;
    struct iovec iov[64];

    budget_init(&budget, 1 << 20);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i % 251);
    for (int had = 0; had < 2; had++) {
        for (uint64_t k = 0; k < 4; k++) {
            uint64_t charged;
            size_t n, at = 0;
            bool same = true;

            chunks_init(&q, 1 << 20, &budget);
            if (had > 0)
                CHECK_INT(chunks_add(&q, (struct slice){bytes, 1000}), ERR_OK);
            charged = budget_used(&budget);
            n = q.n;
            refuse(k, 1);
            CHECK_INT(chunks_add(&q, (struct slice){bytes + n, sizeof bytes - n}), ERR_EXHAUSTED);
            relent();
            CHECK(q.n == n && budget_used(&budget) == charged && chunks_peek(&q, iov, 64) == (size_t)had);
            CHECK_INT(chunks_add(&q, (struct slice){bytes + n, sizeof bytes - n}), ERR_OK);
            n = chunks_peek(&q, iov, 64);
            for (size_t i = 0; i < n && same; at += iov[i++].iov_len)
                same = memcmp(bytes + at, iov[i].iov_base, iov[i].iov_len) == 0;
            CHECK(same && at == sizeof bytes);
            chunks_fini(&q);
            CHECK_INT((long long)budget_used(&budget), 0);
        }
    }
}

TEST(an_arena_can_be_asked_for_what_may_fail)
{
    struct arena a;
    char *small, *large;

    arena_init(&a, NULL, 0, 4096);
    small = arena_bytes(&a, 10);
    refuse(0, UINT64_MAX);
    CHECK(arena_try_bytes(&a, 100) != NULL); /* there is room */
    CHECK(arena_try_bytes(&a, 10000) == NULL);
    relent();
    large = arena_try_bytes(&a, 10000);
    CHECK(small != NULL && large != NULL);
    memset(large, 'x', 10000);
    CHECK(arena_bytes(&a, 10) == small + 110); /* the block in use goes on */
    arena_fini(&a);
}

TEST(json_without_memory_is_not_called_malformed)
{
    static char text[200000];
    struct json_doc *doc;
    const char *why = "";
    size_t n = 0;

    text[n++] = '[';
    while (n < sizeof text - 2) {
        text[n++] = '1';
        text[n++] = ',';
    }
    text[n - 1] = ']';
    CHECK(reserve_open());
    for (uint64_t k = 0; k < 2; k++) {
        refuse(k, 1);
        CHECK_INT(json_parse((struct slice){text, n}, NULL, &doc, &why), ERR_EXHAUSTED);
        relent();
        CHECK(doc == NULL);
    }
    CHECK_INT(json_parse((struct slice){text, n}, NULL, &doc, &why), ERR_OK);
    json_free(&doc);
    reserve_close();
}
