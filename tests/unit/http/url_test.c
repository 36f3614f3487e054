/* SPDX-License-Identifier: MIT */
/* Undoing percent-encoding: what stands for a text, and what is left as it is. */
#include "http/url.h"

#include "base/assert.h"
#include "tap.h"

TEST(what_a_piece_of_a_path_stands_for)
{
    static const char *const ROWS[][2] = {
        {"", ""},
        {"gpt-4", "gpt-4"},
        {"org/name:7b", "org/name:7b"},
        {"org%2Fname%3a7b", "org/name:7b"},
        {"a%20b+c", "a b+c"},
        {"%E6%BD%AE", "\xe6\xbd\xae"},
        {"%25", "%"},
        {"%", "%"},
        {"%4", "%4"},
        {"a%4", "a%4"},
        {"%zz", "%zz"},
        {"%2", "%2"},
        {"100%", "100%"},
        {"%00", "%00"}, /* a control character */
        {"a%0ab", "a%0ab"},
        {"%7f", "%7f"},
        {"%ff", "%ff"}, /* no UTF-8 */
        {"%E6%BD", "%E6%BD"},
        {"%C0%AF", "%C0%AF"},      /* overlong */
        {"%ED%A0%80", "%ED%A0%80"} /* a surrogate */
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        size_t n = strlen(ROWS[i][0]);
        char *copy = tap_guard(ROWS[i][0], n);
        struct arena arena;
        struct slice out;

        arena_init(&arena, NULL, 0, 256);
        out = url_decode((struct slice){copy, n}, &arena);
        if (!CHECK(slice_eq(out, slice_of(ROWS[i][1]))))
            printf("# %s\n", ROWS[i][0]);
        arena_fini(&arena);
        tap_guard_free(copy, n);
    }
}
