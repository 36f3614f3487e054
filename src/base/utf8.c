/* SPDX-License-Identifier: MIT */
/* Validation and JSON escaping of single UTF-8 characters.
 *
 * See: RFC 3629 section 4 for the ranges of the second byte, RFC 8259 section 7 for the escapes. */
#include "base/utf8.h"

#include "base/assert.h"

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Whether c may be the second byte behind `lead`: this is where overlong forms and surrogates are refused. */
static bool is_second(unsigned char lead, unsigned char c)
{
    switch (lead) {
    case 0xe0:
        return c >= 0xa0 && c <= 0xbf;
    case 0xed:
        return c >= 0x80 && c <= 0x9f;
    case 0xf0:
        return c >= 0x90 && c <= 0xbf;
    case 0xf4:
        return c >= 0x80 && c <= 0x8f;
    default:
        return is_tail(c);
    }
}

size_t utf8_len(struct slice s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    if (s.n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || s.n < n || !is_second(p[0], p[1]))
        return 0;
    for (size_t i = 2; i < n; i++) {
        if (!is_tail(p[i]))
            return 0;
    }
    return n;
}

static size_t escape_unit(unsigned char c, char out[UTF8_ESCAPED_MAX])
{
    static const char digits[] = "0123456789abcdef";
    static const char *const names = "btn\0fr"; /* of 0x08..0x0d; vertical tab has no short form */

    out[0] = '\\';
    if (c == '"' || c == '\\') {
        out[1] = (char)c;
        return 2;
    }
    if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        out[1] = names[c - 0x08];
        return 2;
    }
    out[1] = 'u';
    out[2] = out[3] = '0';
    out[4] = digits[c >> 4];
    out[5] = digits[c & 15];
    return 6;
}

size_t utf8_escape(struct slice s, char out[UTF8_ESCAPED_MAX], size_t *took)
{
    ASSERT(s.n > 0);
    static const char replacement[3] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD */
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n = utf8_len(s);

    *took = n ? n : 1;
    if (n == 0) {
        memcpy(out, replacement, sizeof(replacement));
        return sizeof(replacement);
    }
    if (n == 1 && (p[0] < 0x20 || p[0] == 0x7f || p[0] == '"' || p[0] == '\\'))
        return escape_unit(p[0], out);
    if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
        return escape_unit(p[1], out);
    memcpy(out, s.p, n);
    return n;
}
