/* SPDX-License-Identifier: MIT */
/* Checking JSON in one pass.
 *
 * Nothing recurses: which of the open containers are objects stands in the bits of one word, the innermost
 * lowest. Strings, which are most of a prompt, are crossed eight bytes at a time. */
#include "base/json_check.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/utf8.h"

struct check {
    struct slice rest;
    uint64_t objects; /* a bit for each open container */
    int depth;
    const char *why; /* NULL: nothing is wrong so far */
};

static bool fail(struct check *c, const char *why)
{
    c->why = why;
    return false;
}

static char peek(const struct check *c)
{
    return c->rest.n > 0 ? *c->rest.p : '\0';
}

static void step(struct check *c, size_t n)
{
    c->rest.p += n;
    c->rest.n -= n;
}

static void skip_space(struct check *c)
{
    while (c->rest.n > 0 &&
           (*c->rest.p == ' ' || *c->rest.p == '\n' || *c->rest.p == '\r' || *c->rest.p == '\t'))
        step(c, 1);
}

/* -- strings --------------------------------------------------------------------------------------------- */

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))

/* Non-zero when one of eight bytes is below 0x20, a quote, a backslash or not ASCII. A borrow can mark too
 * many bytes but never too few (Bit Twiddling Hacks, "haszero"). */
static uint64_t unplain8(const char *p)
{
    uint64_t x, quote, slash;

    memcpy(&x, p, sizeof x);
    quote = x ^ EACH_BYTE('"');
    slash = x ^ EACH_BYTE('\\');
    return (x | (x - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (slash - EACH_BYTE(1))) & EACH_BYTE(0x80);
}

/* Four hexadecimal digits at p, or -1. */
static int hex4(struct slice s)
{
    int code = 0;

    if (s.n < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char ch = s.p[i], low = (char)(ch | 0x20);

        if (ch >= '0' && ch <= '9')
            code = code * 16 + (ch - '0');
        else if (low >= 'a' && low <= 'f')
            code = code * 16 + (low - 'a' + 10);
        else
            return -1;
    }
    return code;
}

/* Behind "\u": a character, or the first half of a pair whose second half has to follow. */
static bool check_unicode(struct check *c)
{
    int code = hex4(c->rest);

    if (code < 0)
        return fail(c, "a \\u is not followed by four hexadecimal digits");
    step(c, 4);
    if (code < 0xd800 || code > 0xdfff)
        return true;
    if (code > 0xdbff || !slice_starts(c->rest, SLICE("\\u")))
        return fail(c, "a \\u escape is half of a surrogate pair");
    step(c, 2);
    code = hex4(c->rest);
    if (code < 0xdc00 || code > 0xdfff)
        return fail(c, "a \\u escape is half of a surrogate pair");
    step(c, 4);
    return true;
}

static bool check_escape(struct check *c)
{
    char what;

    step(c, 1);
    what = peek(c);
    if (what == '\0' || strchr("\"\\/bfnrtu", what) == NULL)
        return fail(c, "a backslash in a string is not followed by an escape");
    step(c, 1);
    return what != 'u' || check_unicode(c);
}

static bool check_string(struct check *c)
{
    step(c, 1);
    for (;;) {
        size_t n;

        while (c->rest.n >= 8 && !unplain8(c->rest.p))
            step(c, 8);
        if (c->rest.n == 0)
            return fail(c, "a string does not end");
        if (*c->rest.p == '"') {
            step(c, 1);
            return true;
        }
        if (*c->rest.p == '\\') {
            if (!check_escape(c))
                return false;
            continue;
        }
        if ((unsigned char)*c->rest.p < 0x20)
            return fail(c, "a control character stands in a string");
        n = utf8_len(c->rest);
        if (n == 0)
            return fail(c, "a string is not UTF-8");
        step(c, n);
    }
}

/* -- other scalars --------------------------------------------------------------------------------------- */

static size_t skip_digits(struct check *c)
{
    size_t n = 0;

    while (n < c->rest.n && c->rest.p[n] >= '0' && c->rest.p[n] <= '9')
        n++;
    step(c, n);
    return n;
}

static bool check_number(struct check *c)
{
    bool leading_zero;

    if (peek(c) == '-')
        step(c, 1);
    leading_zero = peek(c) == '0';
    switch (skip_digits(c)) {
    case 0:
        return fail(c, "a number has no digits");
    case 1:
        break;
    default:
        if (leading_zero)
            return fail(c, "a number begins with a zero");
    }
    if (peek(c) == '.') {
        step(c, 1);
        if (skip_digits(c) == 0)
            return fail(c, "a number has no digits behind its point");
    }
    if ((peek(c) | 0x20) == 'e') {
        step(c, 1);
        if (peek(c) == '+' || peek(c) == '-')
            step(c, 1);
        if (skip_digits(c) == 0)
            return fail(c, "a number has no digits in its exponent");
    }
    return true;
}

static bool check_word(struct check *c, struct slice word)
{
    if (!slice_starts(c->rest, word))
        return fail(c, "something stands there that is no value");
    step(c, word.n);
    return true;
}

static bool check_scalar(struct check *c)
{
    switch (peek(c)) {
    case '"':
        return check_string(c);
    case 't':
        return check_word(c, SLICE("true"));
    case 'f':
        return check_word(c, SLICE("false"));
    case 'n':
        return check_word(c, SLICE("null"));
    default:
        if (peek(c) == '-' || (peek(c) >= '0' && peek(c) <= '9'))
            return check_number(c);
        return fail(c, c->rest.n == 0 ? "it ends too early" : "something stands there that is no value");
    }
}

/* -- containers ------------------------------------------------------------------------------------------ */

static bool in_object(const struct check *c)
{
    return (c->objects & 1) != 0;
}

static bool open_container(struct check *c, bool is_object)
{
    if (c->depth == JSON_DEPTH_MAX)
        return fail(c, "nested deeper than 64 levels");
    c->depth++;
    c->objects = c->objects << 1 | is_object;
    step(c, 1);
    return true;
}

static void close_container(struct check *c)
{
    c->depth--;
    c->objects >>= 1;
    step(c, 1);
}

/* A member's name and its colon. */
static bool check_name(struct check *c)
{
    skip_space(c);
    if (peek(c) != '"')
        return fail(c, "a member of an object has no name");
    if (!check_string(c))
        return false;
    skip_space(c);
    if (peek(c) != ':')
        return fail(c, "a name is not followed by a colon");
    step(c, 1);
    return true;
}

/* Everything up to the end of a scalar or of an empty container. */
static bool check_descent(struct check *c)
{
    for (;;) {
        char what;

        skip_space(c);
        what = peek(c);
        if (what != '{' && what != '[')
            return check_scalar(c);
        if (!open_container(c, what == '{'))
            return false;
        skip_space(c);
        if (peek(c) == (what == '{' ? '}' : ']')) {
            close_container(c);
            return true;
        }
        if (what == '{' && !check_name(c))
            return false;
    }
}

/* Behind a value: closes what ends here, up to the next value or (depth 0) the end of the text. */
static bool check_ascent(struct check *c)
{
    while (c->depth > 0) {
        skip_space(c);
        if (peek(c) == ',') {
            step(c, 1);
            return !in_object(c) || check_name(c);
        }
        if (c->rest.n == 0 || peek(c) != (in_object(c) ? '}' : ']'))
            return fail(c, c->rest.n == 0 ? "it ends too early" : "a comma or a closing bracket is missing");
        close_container(c);
    }
    return true;
}

enum err json_check(struct slice text, const char **why)
{
    struct check c = {.rest = text};

    do {
        if (!check_descent(&c) || !check_ascent(&c))
            break;
    } while (c.depth > 0);
    skip_space(&c);
    if (c.why == NULL && c.rest.n > 0)
        c.why = "something follows behind its end";
    *why = c.why;
    return c.why == NULL ? ERR_OK : ERR_MALFORMED;
}
