/* SPDX-License-Identifier: MIT */
/* UTF-8: every lead and second byte against a straightforward decoder, and how characters stand in JSON. */
#include "base/utf8.h"

#include "base/assert.h"
#include "tap.h"

/* The character at p by plain arithmetic: its length, or 0 when RFC 3629 does not allow it. */
static size_t decoded_len(const unsigned char *p, size_t n)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : p[0] >> 3 == 30 ? 4 : 0;

    if (len == 0 || len > n)
        return 0;
    uint32_t c = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        c = c << 6 | (p[i] & 63);
    }
    return c < least[len] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? 0 : len;
}

#define TAILS 10

TEST(lengths_agree_with_plain_decoding)
{
    static const unsigned char tails[TAILS] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    unsigned char p[4];
    int wrong_n = 0;

    for (int i = 0; i < 256 * 256; i++) {
        p[0] = (unsigned char)(i >> 8);
        p[1] = (unsigned char)i;
        for (size_t j = 0; j < TAILS * TAILS; j++) {
            p[2] = tails[j / TAILS];
            p[3] = tails[j % TAILS];
            for (size_t n = 1; n <= 4; n++)
                wrong_n += utf8_len((struct slice){(const char *)p, n}) != decoded_len(p, n);
        }
    }
    CHECK_INT(wrong_n, 0);
    CHECK_INT(utf8_len(SLICE_NONE), 0);
}

TEST(a_cut_character_is_not_read_past_its_end)
{
    char *p = tap_guard("\xf0\x9f\x98", 3);

    CHECK_INT(utf8_len((struct slice){p, 3}), 0);
    CHECK_INT(utf8_len((struct slice){p + 2, 1}), 0);
    tap_guard_free(p, 3);
}

struct escape {
    struct slice in;
    size_t took;
    const char *out;
};

TEST(escapes)
{
    static const struct escape rows[] = {
        {{"a", 1}, 1, "a"},
        {{"\"", 1}, 1, "\\\""},
        {{"\\", 1}, 1, "\\\\"},
        {{"/", 1}, 1, "/"},
        {{"\n", 1}, 1, "\\n"},
        {{"\r", 1}, 1, "\\r"},
        {{"\t", 1}, 1, "\\t"},
        {{"\b", 1}, 1, "\\b"},
        {{"\f", 1}, 1, "\\f"},
        {{"\v", 1}, 1, "\\u000b"},
        {{"\0", 1}, 1, "\\u0000"},
        {{"\x1b", 1}, 1, "\\u001b"},
        {{"\x7f", 1}, 1, "\\u007f"},
        {{"\xc2\x9b", 2}, 2, "\\u009b"},
        {{"\xc2\xa0", 2}, 2, "\xc2\xa0"},
        {{"\xe4\xbd\xa0x", 4}, 3, "\xe4\xbd\xa0"},
        {{"\xf0\x9f\x98\x80", 4}, 4, "\xf0\x9f\x98\x80"},
        {{"\xff", 1}, 1, "\xef\xbf\xbd"},
        {{"\xed\xa0\x80", 3}, 1, "\xef\xbf\xbd"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[UTF8_ESCAPED_MAX];
        size_t took = 0, n = utf8_escape(rows[i].in, out, &took);
        CHECK_MEM(out, n, rows[i].out, strlen(rows[i].out));
        CHECK_INT(took, rows[i].took);
    }
}
