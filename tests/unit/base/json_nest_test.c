/* SPDX-License-Identifier: MIT */
/* The end of an object is known however its bytes come, and no beginning of one is taken for a whole. */
#include "base/json_nest.h"

#include "base/assert.h"
#include "tap.h"

static bool is_whole(struct slice text, size_t cut)
{
    struct json_nest n = {0};
    char *a = tap_guard(text.p, cut), *b = tap_guard(text.p + cut, text.n - cut);

    json_nest_feed(&n, (struct slice){a, cut});
    json_nest_feed(&n, (struct slice){b, text.n - cut});
    tap_guard_free(a, cut);
    tap_guard_free(b, text.n - cut);
    return json_nest_is_whole(&n);
}

static void check(const char *text, bool want)
{
    struct slice s = slice_of(text);

    for (size_t cut = 0; cut <= s.n; cut++) {
        if (!CHECK_INT(is_whole(s, cut), want))
            printf("# %s cut at %zu\n", text, cut);
    }
}

TEST(an_object_is_whole_with_its_last_bracket_only)
{
    static const char *const TEXTS[] = {
        "{}",
        "{\"a\":[{\"b\":{}},[[]],1],\"c\":{\"d\":null}}",
        "{\"}\":\"]}\\\"}\",\"\\\\\":\"{[\\\\\\\"\"}",
    };

    for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
        struct slice s = slice_of(TEXTS[i]);

        check(TEXTS[i], true);
        for (size_t n = 0; n < s.n; n++) {
            if (!CHECK(!is_whole((struct slice){s.p, n}, n / 2)))
                printf("# %.*s\n", (int)n, s.p);
        }
    }
}

TEST(white_space_around_it_is_nothing_and_everything_else_is_too_much)
{
    check(" \t{} \r\n", true);
    check("", false);
    check("  ", false);
    check("{}{}", false);
    check("{}}", false);
    check("{}\"", false);
    check("{} x", false);
    check("x{}", false);
    check("[]", false);
    check("\"{}\"", false);
    check("}{", false);
}
