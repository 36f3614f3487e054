/* SPDX-License-Identifier: MIT */
/* The chunk queue: bytes in order, exact limits, and a budget that returns to zero. */
#include "base/chunks.h"

#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

/* Compares the whole queue with the bytes of a counter that starts at `from`. */
static int count_wrong(const struct chunks *q, size_t from)
{
    struct iovec iov[64];
    size_t pieces_n = chunks_peek(q, iov, 64), at = from;
    int wrong_n = 0;

    for (size_t i = 0; i < pieces_n; i++) {
        const unsigned char *p = iov[i].iov_base;
        wrong_n += iov[i].iov_len == 0;
        for (size_t k = 0; k < iov[i].iov_len; k++)
            wrong_n += p[k] != (unsigned char)(at++ % 251);
    }
    return wrong_n + (at - from != q->n);
}

TEST(an_empty_queue_holds_no_memory)
{
    struct budget budget;
    struct chunks q;
    struct iovec iov[1];
    uint64_t before = mem_alloc_n();

    budget_init(&budget, 1 << 20);
    chunks_init(&q, 1 << 20, &budget);
    CHECK_INT(chunks_add(&q, SLICE_NONE), ERR_OK);
    CHECK_INT(chunks_peek(&q, iov, 1), 0);
    chunks_drop(&q, 0);
    CHECK_INT(mem_alloc_n() - before, 0);
    CHECK_INT(chunks_add(&q, SLICE("abc")), ERR_OK);
    CHECK_INT(budget_used(&budget), 4096);
    chunks_drop(&q, 3);
    CHECK(q.head == NULL && q.tail == NULL);
    CHECK_INT(budget_used(&budget), 0);
    chunks_fini(&q);
}

TEST(small_pieces_share_a_chunk)
{
    struct chunks q;
    struct iovec iov[4];
    uint64_t before = mem_alloc_n();

    chunks_init(&q, 1 << 20, NULL);
    for (int i = 0; i < 20; i++)
        CHECK_INT(chunks_add(&q, SLICE("0123456789")), ERR_OK);
    CHECK_INT(mem_alloc_n() - before, 1);
    CHECK_INT(chunks_peek(&q, iov, 4), 1);
    CHECK_INT(iov[0].iov_len, 200);
    chunks_drop(&q, 195);
    CHECK_INT(chunks_peek(&q, iov, 4), 1);
    CHECK_MEM(iov[0].iov_base, iov[0].iov_len, "56789", 5);
    chunks_fini(&q);
    CHECK_INT(q.n, 0);
}

TEST(chunks_grow_with_need_to_64_kib)
{
    struct budget budget;
    struct chunks q;
    struct iovec iov[16];
    char *bytes = mem_zalloc(200000);

    budget_init(&budget, 1 << 20);
    chunks_init(&q, 1 << 20, &budget);
    CHECK_INT(chunks_add(&q, (struct slice){bytes, 10000}), ERR_OK);
    CHECK_INT(budget_used(&budget), 16384);
    CHECK_INT(chunks_add(&q, (struct slice){bytes, 190000}), ERR_OK);
    CHECK_INT(chunks_peek(&q, iov, 16), 4); /* one of 16 KiB and three of 64 KiB */
    for (size_t i = 0; i < 4; i++)
        CHECK(iov[i].iov_len <= 65536);
    chunks_fini(&q);
    CHECK_INT(budget_used(&budget), 0);
    mem_free(bytes);
}

TEST(the_maximum_is_exact_and_all_or_nothing)
{
    struct chunks q;

    chunks_init(&q, 10, NULL);
    CHECK_INT(chunks_add(&q, SLICE("0123456")), ERR_OK);
    CHECK_INT(chunks_add(&q, SLICE("789A")), ERR_TOO_LARGE);
    CHECK_INT(q.n, 7);
    CHECK_INT(chunks_add(&q, SLICE("789")), ERR_OK);
    CHECK_INT(chunks_add(&q, SLICE("A")), ERR_TOO_LARGE);
    chunks_drop(&q, 1);
    CHECK_INT(chunks_add(&q, SLICE("A")), ERR_OK);
    CHECK_INT(q.n, 10);
    chunks_fini(&q);
}

TEST(the_budget_refuses_a_whole_piece_before_memory_is_taken)
{
    struct budget budget;
    struct chunks q;
    char *bytes = mem_zalloc(300000);

    budget_init(&budget, 100000);
    chunks_init(&q, 1 << 20, &budget);
    CHECK_INT(chunks_add(&q, SLICE("start")), ERR_OK);
    uint64_t before = mem_alloc_n();
    CHECK_INT(chunks_add(&q, (struct slice){bytes, 300000}), ERR_MEMORY_BUDGET);
    CHECK_INT(mem_alloc_n() - before, 0);
    CHECK_INT(q.n, 5);
    CHECK_INT(budget_used(&budget), 4096);
    CHECK_INT(chunks_add(&q, (struct slice){bytes, 60000}), ERR_OK);
    CHECK_INT(q.n, 60005);
    chunks_fini(&q);
    CHECK_INT(budget_used(&budget), 0);
    mem_free(bytes);
}

TEST(peek_shows_no_more_than_asked)
{
    struct chunks q;
    struct iovec iov[2];
    char *bytes = mem_zalloc(300000);

    chunks_init(&q, 1 << 20, NULL);
    CHECK_INT(chunks_add(&q, (struct slice){bytes, 300000}), ERR_OK);
    CHECK_INT(chunks_peek(&q, iov, 2), 2);
    CHECK_INT(chunks_peek(&q, iov, 0), 0);
    CHECK_INT(q.n, 300000);
    chunks_fini(&q);
    mem_free(bytes);
}

TEST(random_traffic_keeps_order_and_accounts)
{
    static unsigned char counter[1 << 17];
    struct budget budget;
    struct chunks q;
    struct rng r;
    size_t in = 0, out = 0;
    int wrong_n = 0;

    rng_seed(&r, 9);
    budget_init(&budget, 1 << 20);
    chunks_init(&q, 1 << 18, &budget);
    for (int step = 0; step < 3000; step++) {
        size_t n = rng_below(&r, rng_below(&r, 10) ? 700 : 70000);
        for (size_t i = 0; i < n; i++)
            counter[i] = (unsigned char)((in + i) % 251);
        if (chunks_add(&q, (struct slice){(const char *)counter, n}) == ERR_OK)
            in += n;
        n = rng_below(&r, q.n / 2 + 1);
        if (rng_below(&r, 20) == 0)
            n = q.n;
        chunks_drop(&q, n);
        out += n;
        wrong_n += q.n != in - out || budget_used(&budget) < q.n;
        wrong_n += (q.n == 0) != (budget_used(&budget) == 0);
        if (step % 10 == 0)
            wrong_n += count_wrong(&q, out);
    }
    CHECK_INT(wrong_n, 0);
    CHECK(in > 1000000);
    chunks_fini(&q);
    CHECK_INT(budget_used(&budget), 0);
}
