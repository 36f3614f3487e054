/* SPDX-License-Identifier: MIT */
/* Finds what looks like a credential in other people's sentences.
 *
 * Why: providers echo the key they refuse ("Incorrect API key provided: sk-..."), and that key is the
 * gateway's own, not the client's. Looking for shapes rather than for our keys also catches keys that were
 * changed a minute ago. */
#include "llm/redact.h"

#include "base/assert.h"

/* How keys of the well-known providers begin; the space of "Bearer " stands for any white space. */
static const char *const prefixes[] = {"sk-", "key-", "gsk_", "xai-", "pplx-", "AIza", "Bearer "};

/* Every other byte is itself: what most of a text is made of. */
static const bool may_begin[256] = {
    ['s'] = true, ['S'] = true, ['k'] = true, ['K'] = true, ['g'] = true, ['G'] = true, ['x'] = true,
    ['X'] = true, ['p'] = true, ['P'] = true, ['a'] = true, ['A'] = true, ['b'] = true, ['B'] = true};

enum {
    TOKEN_MIN = 6, /* shorter ones are words, or stand for a key */
    TOKEN_SURE_MIN =
        20 /* inside a word ("task-specific") a token must be this long, or hold a digit or a star */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 6750's b64token, and the star of keys that are masked in part. */
static bool is_token(char c)
{
    return is_alnum(c) || (c && strchr("-_*.~+/=", c));
}

static size_t prefix_n(struct slice in, size_t at, const char *prefix)
{
    size_t n = 0;

    while (prefix[n]) {
        if (at + n == in.n)
            return 0;
        char c = in.p[at + n], want = prefix[n];
        bool same = want == ' ' ? c == ' ' || c == '\t' || c == '\n' || c == '\r' : fold(c) == fold(want);

        if (!same)
            return 0;
        n++;
    }
    return n;
}

/* The number of bytes of a credential that begins at `at`, else 0. */
static size_t secret_n(struct slice in, size_t at)
{
    bool in_word = at > 0 && is_alnum(in.p[at - 1]);

    for (size_t k = 0; k < COUNT_OF(prefixes); k++) {
        if (fold(prefixes[k][0]) != fold(in.p[at]))
            continue;
        size_t n = prefix_n(in, at, prefixes[k]), begin = at + n, end = begin;
        bool telling = false;

        if (n == 0)
            continue;
        while (end < in.n && is_token(in.p[end])) {
            telling = telling || is_digit(in.p[end]) || in.p[end] == '*';
            end++;
        }
        while (end > begin && in.p[end - 1] == '.')
            end--; /* the full stop of the sentence */
        if (end - begin >= TOKEN_MIN && (!in_word || telling || end - begin >= TOKEN_SURE_MIN))
            return end - at;
    }
    return 0;
}

/* The number of bytes at `at` that are one control character (C0, DEL, or C1 in UTF-8), else 0. */
static size_t control_n(struct slice in, size_t at)
{
    unsigned char c = (unsigned char)in.p[at];

    if (c < 0x20 || c == 0x7f)
        return 1;
    return c == 0xc2 && at + 1 < in.n && ((unsigned char)in.p[at + 1] & 0xe0) == 0x80 ? 2 : 0;
}

/* How many bytes at `at` begin no credential and are no control characters. */
static size_t plain_n(struct slice in, size_t at)
{
    size_t i = at;

    while (i < in.n) {
        unsigned char c = (unsigned char)in.p[i];

        if (may_begin[c] || c < 0x20 || c == 0x7f || c == 0xc2)
            break;
        i++;
    }
    return i - at;
}

/* Appends what fits; false when something had to be left out. */
static bool put(char *out, size_t cap, size_t *n, struct slice s)
{
    size_t room = cap - 1 - *n, take = s.n < room ? s.n : room;

    memcpy(out + *n, s.p, take);
    *n += take;
    return take == s.n;
}

size_t redact_text(struct slice in, char *out, size_t cap)
{
    size_t n = 0, at = 0;
    bool fits = true;

    ASSERT(cap > 0);
    while (at < in.n && fits) {
        size_t plain = plain_n(in, at), secret, control;

        fits = put(out, cap, &n, (struct slice){in.p + at, plain});
        at += plain;
        if (!fits || at == in.n)
            break;
        secret = secret_n(in, at);
        control = control_n(in, at);
        if (secret > 0)
            fits = put(out, cap, &n, (struct slice){in.p + at, 3}) && put(out, cap, &n, SLICE("***"));
        else
            fits = put(out, cap, &n, control > 0 ? SLICE(" ") : (struct slice){in.p + at, 1});
        at += secret > 0 ? secret : control > 0 ? control : 1;
    }
    if (!fits && at > 0) { /* a character of several bytes is cut off whole */
        size_t last = n;

        while (last > 0 && ((unsigned char)out[last - 1] & 0xc0) == 0x80)
            last--;
        if (last > 0 && (unsigned char)out[last - 1] >= 0xc0)
            n = last - 1;
    }
    out[n] = '\0';
    return n;
}
