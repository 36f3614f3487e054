/* SPDX-License-Identifier: MIT */
/* The buffer: its maximum, its budget, and JSON strings that parse back to what went in. */
#include "base/buf.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "tap.h"

#define CHECK_BUF(b, want) CHECK_MEM((b)->p, (b)->n, (want), strlen(want))

TEST(an_unused_buffer_holds_nothing)
{
    struct budget budget;
    struct buf b;
    uint64_t before = mem_alloc_n();

    budget_init(&budget, 1000);
    buf_init(&b, 500, &budget);
    CHECK_INT(buf_add(&b, SLICE_NONE), ERR_OK);
    buf_drop_front(&b, 0);
    CHECK_INT(buf_slice(&b).n, 0);
    CHECK_INT(mem_alloc_n() - before, 0);
    CHECK_INT(budget_used(&budget), 0);
    buf_fini(&b);
}

TEST(growth_doubles_and_charges_the_budget)
{
    struct budget budget;
    struct buf b;
    char piece[100];

    memset(piece, 'p', sizeof(piece));
    budget_init(&budget, 1 << 20);
    buf_init(&b, 1 << 20, &budget);
    uint64_t before = mem_alloc_n();
    for (int i = 0; i < 100; i++) {
        CHECK_INT(buf_add(&b, (struct slice){piece, sizeof(piece)}), ERR_OK);
        CHECK_INT(budget_used(&budget), b.cap);
    }
    CHECK_INT(b.n, 10000);
    CHECK_INT(b.cap, 16384);
    CHECK_INT(mem_alloc_n() - before, 5);
    buf_fini(&b);
    CHECK_INT(budget_used(&budget), 0);
    CHECK_INT(buf_add(&b, SLICE("again")), ERR_OK);
    CHECK_BUF(&b, "again");
    buf_fini(&b);
    CHECK_INT(budget_used(&budget), 0);
}

/* A large body is held in at most a quarter more than it weighs, and never in more than it may. */
TEST(a_large_buffer_has_little_room_to_spare)
{
    static char piece[65536];
    size_t max = ((size_t)5 << 20) + 17;
    struct buf b;

    buf_init(&b, max, NULL);
    while (b.n + sizeof(piece) <= max) {
        CHECK_INT(buf_add(&b, (struct slice){piece, sizeof(piece)}), ERR_OK);
        if (b.n > (1 << 20))
            CHECK(b.cap <= b.n + b.n / 4 && b.cap <= max);
    }
    CHECK_INT(buf_add(&b, (struct slice){piece, max - b.n}), ERR_OK);
    CHECK_INT(b.cap, max);
    buf_fini(&b);
}

TEST(the_maximum_is_exact)
{
    struct buf b;
    char piece[1500];

    memset(piece, 'p', sizeof(piece));
    buf_init(&b, 1500, NULL);
    CHECK_INT(buf_add(&b, (struct slice){piece, 1499}), ERR_OK);
    CHECK_INT(buf_add(&b, SLICE("xy")), ERR_TOO_LARGE);
    CHECK_INT(b.n, 1499);
    CHECK_INT(buf_add(&b, SLICE("x")), ERR_OK);
    CHECK_INT(b.cap, 1500);
    CHECK_INT(buf_add(&b, SLICE("x")), ERR_TOO_LARGE);
    CHECK_INT(buf_reserve(&b, SIZE_MAX), ERR_TOO_LARGE);
    CHECK_INT(buf_reserve(&b, 0), ERR_OK);
    buf_fini(&b);
    buf_init(&b, 10, NULL);
    CHECK_INT(buf_add(&b, SLICE("0123456789")), ERR_OK);
    CHECK_INT(b.cap, 10);
    buf_fini(&b);
}

TEST(the_budget_refuses_before_memory_is_taken)
{
    struct budget budget;
    struct buf b;
    char piece[2000];

    memset(piece, 'p', sizeof(piece));
    budget_init(&budget, 1500);
    buf_init(&b, 100000, &budget);
    CHECK_INT(buf_add(&b, (struct slice){piece, 1000}), ERR_OK);
    uint64_t before = mem_alloc_n();
    CHECK_INT(buf_add(&b, (struct slice){piece, 1000}), ERR_MEMORY_BUDGET);
    CHECK_INT(mem_alloc_n() - before, 0);
    CHECK_INT(b.n, 1000);
    CHECK_INT(budget_used(&budget), 1024);
    buf_fini(&b);
    CHECK_INT(budget_used(&budget), 0);
}

TEST(formatted_text_up_to_the_brim)
{
    struct buf b;

    buf_init(&b, 16, NULL);
    CHECK_INT(buf_printf(&b, "%s=%d", "n", 12345), ERR_OK);
    CHECK_INT(buf_printf(&b, "%s", ""), ERR_OK);
    CHECK_INT(buf_printf(&b, "%d", 123456789), ERR_OK);
    CHECK_BUF(&b, "n=12345123456789");
    CHECK_INT(buf_printf(&b, "%s", ""), ERR_OK);
    CHECK_INT(buf_printf(&b, "%d", 1), ERR_TOO_LARGE);
    CHECK_BUF(&b, "n=12345123456789");
    buf_fini(&b);
    buf_init(&b, 1 << 20, NULL);
    for (int i = 0; i < 1000; i++)
        CHECK_INT(buf_printf(&b, "%05d", i), ERR_OK);
    CHECK_INT(b.n, 5000);
    CHECK_MEM(b.p + 4990, 10, "0099800999", 10);
    buf_fini(&b);
}

TEST(dropping_from_the_front)
{
    struct buf b;

    buf_init(&b, 100, NULL);
    CHECK_INT(buf_add(&b, SLICE("abcdef")), ERR_OK);
    buf_drop_front(&b, 2);
    CHECK_BUF(&b, "cdef");
    buf_drop_front(&b, 4);
    CHECK_INT(b.n, 0);
    CHECK_INT(buf_add(&b, SLICE("x")), ERR_OK);
    CHECK_BUF(&b, "x");
    buf_fini(&b);
}

static void check_json_string(int line, struct slice in, const char *want)
{
    struct buf b;

    buf_init(&b, 10000, NULL);
    tap_int(__FILE__, line, "error", buf_add_json_string(&b, in), ERR_OK);
    tap_mem(__FILE__, line, "JSON string", b.p, b.n, want, strlen(want));
    buf_fini(&b);
}

TEST(json_strings_as_text)
{
    check_json_string(__LINE__, SLICE_NONE, "\"\"");
    check_json_string(__LINE__, SLICE("plain text, longer than eight"), "\"plain text, longer than eight\"");
    check_json_string(__LINE__, SLICE("1234567\"8\\9/"), "\"1234567\\\"8\\\\9/\"");
    check_json_string(__LINE__, SLICE("a\r\n\tb\0c\x1f"), "\"a\\r\\n\\tb\\u0000c\\u001f\"");
    check_json_string(__LINE__, SLICE("\xe4\xbd\xa0\xe5\xa5\xbd, \xf0\x9f\x8c\x8a"),
                      "\"\xe4\xbd\xa0\xe5\xa5\xbd, \xf0\x9f\x8c\x8a\"");
    check_json_string(__LINE__, SLICE("\xc3\xa9t\xc3\xa9 \xc2\xa9 \xc2\x85"),
                      "\"\xc3\xa9t\xc3\xa9 \xc2\xa9 \\u0085\"");
    check_json_string(__LINE__, SLICE("x\xff\xc0\x80y\xe4\xbd"),
                      "\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* What a reader has to get: the input with every invalid byte replaced. */
static void repaired(struct buf *out, struct slice s)
{
    while (s.n > 0) {
        size_t n = utf8_len(s);
        struct slice piece = n ? (struct slice){s.p, n} : SLICE("\xef\xbf\xbd");
        CHECK_INT(buf_add(out, piece), ERR_OK);
        s = slice_from(s, n ? n : 1);
    }
}

/* Random bytes, mostly plain so that fast runs of every length and alignment occur, out of a guard page. */
TEST(json_strings_parse_back_to_what_went_in)
{
    static const char spice[] = "\"\\\n\0\x1f\x7f\xc2\x9b\xe4\xbd\xa0\xf0\x9f\xff\xed\xa0";
    struct rng r;
    int wrong_n = 0;

    rng_seed(&r, 11);
    for (int round = 0; round < 3000; round++) {
        char bytes[64];
        size_t n = rng_below(&r, sizeof(bytes) + 1);
        struct buf b, want;
        struct json_doc *doc = NULL;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(rng_below(&r, 6) ? ' ' + (int)rng_below(&r, 95)
                                               : spice[rng_below(&r, sizeof(spice) - 1)]);
        char *guarded = tap_guard(bytes, n);
        buf_init(&b, 1000, NULL);
        buf_init(&want, 1000, NULL);
        wrong_n += buf_add_json_string(&b, (struct slice){guarded, n}) != ERR_OK;
        repaired(&want, (struct slice){bytes, n});
        wrong_n += json_parse(buf_slice(&b), NULL, &doc, NULL) != ERR_OK;
        wrong_n += !doc || !slice_eq(json_string(json_root(doc)), buf_slice(&want));
        json_free(&doc);
        buf_fini(&b);
        buf_fini(&want);
        tap_guard_free(guarded, n);
    }
    CHECK_INT(wrong_n, 0);
}

TEST(a_json_string_is_added_whole_or_not_at_all)
{
    struct buf b;
    size_t fits_n = 0;

    for (size_t max = 4; max < 40; max++) {
        buf_init(&b, max, NULL);
        CHECK_INT(buf_add(&b, SLICE("x=")), ERR_OK);
        enum err e = buf_add_json_string(&b, SLICE("\x01\x02 and \"more\""));
        CHECK_INT(e, max < 29 ? ERR_TOO_LARGE : ERR_OK);
        CHECK_INT(b.n, e ? 2 : 29);
        fits_n += !e;
        buf_fini(&b);
    }
    CHECK_INT(fits_n, 11);
}
