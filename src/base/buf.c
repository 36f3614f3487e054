/* SPDX-License-Identifier: MIT */
/* The growable buffer and JSON strings in it.
 *
 * Invariants: n <= cap <= max; the budget is charged with exactly cap, before the memory is taken. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/reserve.h"
#include "base/utf8.h"

#define FIRST_CAP 1024
#define LARGE_CAP \
    ((size_t)1 << 20) /* from here on memory moves by page tables, and room costs more than growing */

void buf_init(struct buf *b, size_t max_bytes, struct budget *budget)
{
    *b = (struct buf){.max = max_bytes, .budget = budget};
}

void buf_fini(struct buf *b)
{
    mem_free(b->p);
    budget_release(b->budget, b->cap);
    buf_init(b, b->max, b->budget);
}

static enum err grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : FIRST_CAP;
    char *p;

    while (cap < need && cap < b->max) {
        size_t more = cap < LARGE_CAP ? cap : cap / 4;

        cap = more < b->max - cap ? cap + more : b->max;
    }
    if (cap > b->max)
        cap = b->max;
    if (!budget_charge(b->budget, cap - b->cap))
        return ERR_MEMORY_BUDGET;
    p = cap <= RESERVE_SMALL_BYTES ? mem_realloc(b->p, cap) : mem_try_realloc(b->p, cap);
    if (p == NULL) {
        budget_release(b->budget, cap - b->cap);
        return ERR_EXHAUSTED;
    }
    b->p = p;
    b->cap = cap;
    return ERR_OK;
}

enum err buf_reserve(struct buf *b, size_t n)
{
    if (n <= b->cap - b->n)
        return ERR_OK;
    if (n > b->max - b->n)
        return ERR_TOO_LARGE;
    return grow(b, b->n + n);
}

enum err buf_add(struct buf *b, struct slice s)
{
    if (s.n > b->cap - b->n) {
        enum err e = buf_reserve(b, s.n);
        if (e)
            return e;
    }
    if (s.n > 0) {
        memcpy(b->p + b->n, s.p, s.n);
        b->n += s.n;
    }
    return ERR_OK;
}

/* The text of n bytes fills the buffer to its maximum, where vsnprintf's NUL has no room. */
static enum err print_to_the_brim(struct buf *b, size_t n, const char *fmt, va_list args)
{
    char *text = mem_alloc(n + 1);

    vsnprintf(text, n + 1, fmt, args);
    enum err e = buf_add(b, (struct slice){text, n});
    mem_free(text);
    return e;
}

enum err buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    size_t room = b->cap - b->n;
    enum err e = ERR_OK;

    va_start(args, fmt);
    int len = vsnprintf(room ? b->p + b->n : NULL, room, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    size_t n = (size_t)len;
    if (n >= room && n > 0) {
        va_start(args, fmt);
        if (n == b->max - b->n) {
            e = print_to_the_brim(b, n, fmt, args);
            n = 0;
        } else {
            e = buf_reserve(b, n + 1);
            if (!e)
                vsnprintf(b->p + b->n, n + 1, fmt, args);
        }
        va_end(args);
    }
    b->n += e ? 0 : n;
    return e;
}

void buf_drop_front(struct buf *b, size_t n)
{
    ASSERT(n <= b->n);
    b->n -= n;
    if (b->n > 0 && n > 0)
        memmove(b->p, b->p + n, b->n);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Non-zero when one of eight bytes is not plain: below 0x20, a quote, a backslash or not ASCII. The borrow of
 * a subtraction can mark too many bytes but never too few (Bit Twiddling Hacks, "haszero"). */
static uint64_t unplain8(const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    uint64_t x, quote, slash;

    memcpy(&x, p, 8);
    quote = x ^ (ones * '"');
    slash = x ^ (ones * '\\');
    return (x | ((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops;
}

/* How many bytes at the front of s may stand in a JSON string as they are. */
static size_t clean_run(struct slice s)
{
    size_t i = 0;

    while (i < s.n) {
        while (s.n - i >= 8 && !unplain8(s.p + i))
            i += 8;
        while (i < s.n && is_plain((unsigned char)s.p[i]))
            i++;
        if (i == s.n || (unsigned char)s.p[i] < 0xc3) /* 0xc2 leads U+0080 to U+009F: utf8_escape decides */
            break;
        size_t n = utf8_len(slice_from(s, i));
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

enum err buf_add_json_string(struct buf *b, struct slice s)
{
    size_t start = b->n;
    enum err e = buf_reserve(b, s.n < b->max ? s.n + 2 : s.n);

    if (!e)
        e = buf_add(b, SLICE("\""));
    while (!e && s.n > 0) {
        size_t took = clean_run(s);
        char escaped[UTF8_ESCAPED_MAX];
        if (took > 0) {
            e = buf_add(b, (struct slice){s.p, took});
        } else {
            size_t n = utf8_escape(s, escaped, &took);
            e = buf_add(b, (struct slice){escaped, n});
        }
        s = slice_from(s, took);
    }
    if (!e)
        e = buf_add(b, SLICE("\""));
    if (e)
        b->n = start;
    return e;
}
