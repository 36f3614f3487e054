/* SPDX-License-Identifier: MIT */
/* Slices: every function on usual, empty and absent bytes, and from a guard page where it scans. */
#include "base/slice.h"

#include "base/assert.h"
#include "tap.h"

#define CHECK_SLICE(got, want) check_slice(__LINE__, (got), (want))

static void check_slice(int line, struct slice got, const char *want)
{
    tap_mem(__FILE__, line, "slice", got.p, got.n, want, strlen(want));
}

TEST(equality_looks_at_lengths_and_bytes)
{
    CHECK(slice_eq(SLICE("abc"), slice_of("abc")));
    CHECK(!slice_eq(SLICE("abc"), SLICE("abd")));
    CHECK(!slice_eq(SLICE("abc"), SLICE("abcd")));
    CHECK(slice_eq(SLICE_NONE, SLICE("")));
    CHECK_INT(slice_of(NULL).n, 0);
}

TEST(folding_is_ascii_only)
{
    CHECK(slice_ieq(SLICE("Content-Length"), SLICE("cONTENT-lENGTH")));
    CHECK(!slice_ieq(SLICE("@"), SLICE("`")));
    CHECK(!slice_ieq(SLICE("["), SLICE("{")));
    CHECK(!slice_ieq(SLICE("\xc4"), SLICE("\xe4")));
    CHECK(!slice_ieq(SLICE("abc"), SLICE("ab")));
    CHECK(slice_ieq(SLICE_NONE, SLICE("")));
}

TEST(prefixes_and_suffixes)
{
    CHECK(slice_starts(SLICE("data: x"), SLICE("data:")));
    CHECK(!slice_starts(SLICE("dat"), SLICE("data")));
    CHECK(slice_starts(SLICE_NONE, SLICE_NONE));
    CHECK(slice_istarts(SLICE("Bearer x"), SLICE("bEARER ")));
    CHECK(!slice_istarts(SLICE("Bear"), SLICE("Bearer")));
    CHECK(slice_ends(SLICE("tidegate.yaml"), SLICE(".yaml")));
    CHECK(!slice_ends(SLICE("yaml"), SLICE(".yaml")));
    CHECK(slice_ends(SLICE("x"), SLICE("")));
}

TEST(trimming)
{
    CHECK_SLICE(slice_trim(SLICE(" \t\r\n a b \r\n")), "a b");
    CHECK_SLICE(slice_trim(SLICE("ab")), "ab");
    CHECK_INT(slice_trim(SLICE(" \t ")).n, 0);
    CHECK_INT(slice_trim(SLICE_NONE).n, 0);
}

TEST(from_is_clamped)
{
    CHECK_SLICE(slice_from(SLICE("abc"), 1), "bc");
    CHECK_INT(slice_from(SLICE("abc"), 3).n, 0);
    CHECK_INT(slice_from(SLICE("abc"), 99).n, 0);
    CHECK(slice_from(SLICE_NONE, 5).p == NULL);
}

TEST(cutting_a_list_apart)
{
    struct slice rest = SLICE("a,,bc");

    CHECK_SLICE(slice_cut(rest, ',', &rest), "a");
    CHECK_SLICE(slice_cut(rest, ',', &rest), "");
    CHECK_SLICE(slice_cut(rest, ',', &rest), "bc");
    CHECK(rest.p == NULL);
    CHECK_INT(rest.n, 0);
}

TEST(a_separator_at_the_end_leaves_an_empty_rest)
{
    struct slice rest, front = slice_cut(SLICE("a:"), ':', &rest);

    CHECK_SLICE(front, "a");
    CHECK(rest.p != NULL);
    CHECK_INT(rest.n, 0);
    slice_cut(SLICE_NONE, ':', &rest);
    CHECK(rest.p == NULL);
}

TEST(finding)
{
    CHECK_INT(slice_find(SLICE("data: [DONE]"), SLICE("[DONE]")), 6);
    CHECK_INT(slice_find(SLICE("aaab"), SLICE("ab")), 2);
    CHECK_INT(slice_find(SLICE("abc"), SLICE("abcd")), -1);
    CHECK_INT(slice_find(SLICE("abc"), SLICE("")), 0);
    CHECK_INT(slice_find(SLICE_NONE, SLICE("a")), -1);
    CHECK_INT(slice_find(SLICE("a\0b"), SLICE("\0b")), 1);
}

struct number {
    const char *text;
    uint64_t max;
    bool ok;
    uint64_t value;
};

TEST(numbers_are_whole_bounded_and_unsigned)
{
    static const struct number rows[] = {
        {"0", 0, true, 0},
        {"007", 7, true, 7},
        {"8", 7, false, 0},
        {"100", 100, true, 100},
        {"101", 100, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"", 9, false, 0},
        {"-1", 9, false, 0},
        {"+1", 9, false, 0},
        {" 1", 9, false, 0},
        {"1 ", 9, false, 0},
        {"1.0", 99, false, 0},
        {"0x1", 99, false, 0},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t v = 0;
        size_t n = strlen(rows[i].text);
        char *copy = tap_guard(rows[i].text, n);
        if (!CHECK(slice_to_u64((struct slice){copy, n}, rows[i].max, &v) == rows[i].ok))
            printf("# number \"%s\"\n", rows[i].text);
        CHECK(v == rows[i].value);
        tap_guard_free(copy, n);
    }
}

TEST(edit_distance)
{
    char longest[65];

    memset(longest, 'a', sizeof(longest));
    CHECK_INT(slice_distance(SLICE("kitten"), SLICE("sitting")), 3);
    CHECK_INT(slice_distance(SLICE("listen"), SLICE("listen")), 0);
    CHECK_INT(slice_distance(SLICE(""), SLICE("abc")), 3);
    CHECK_INT(slice_distance(SLICE("abc"), SLICE_NONE), 3);
    CHECK_INT(slice_distance((struct slice){longest, 64}, SLICE("a")), 63);
    CHECK(slice_distance((struct slice){longest, 65}, SLICE("a")) > 100);
    CHECK(slice_distance(SLICE("a"), (struct slice){longest, 65}) > 100);
}
