/* SPDX-License-Identifier: MIT */
#include "http/url.h"

#include <string.h>

#include "base/utf8.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the escape at the beginning of s stands for, or -1. */
static int escaped(struct slice s)
{
    int high = s.n >= 3 ? hex(s.p[1]) : -1, low = s.n >= 3 ? hex(s.p[2]) : -1;

    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_utf8(struct slice s)
{
    size_t n = 1;

    while (s.n > 0 && (n = utf8_len(s)) > 0)
        s = slice_from(s, n);
    return n > 0;
}

struct slice url_decode(struct slice piece, struct arena *arena)
{
    char *out;
    size_t n = 0;

    if (piece.n == 0 || memchr(piece.p, '%', piece.n) == NULL)
        return piece;
    out = arena_bytes(arena, piece.n);
    for (size_t i = 0; i < piece.n; i++) {
        int byte = (unsigned char)piece.p[i];

        if (byte == '%') {
            byte = escaped(slice_from(piece, i));
            i += 2;
        }
        if (byte < 0x20 || byte == 0x7f)
            return piece;
        out[n++] = (char)byte;
    }
    return is_utf8((struct slice){out, n}) ? (struct slice){out, n} : piece;
}
