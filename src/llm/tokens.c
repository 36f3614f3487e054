/* SPDX-License-Identifier: MIT */
/* Cuts a text into pieces, one pass, a table for ASCII and ranges for the rest. */
#include "llm/tokens.h"

#include <stdbool.h>

#include "base/assert.h"

#define LONG_BEHIND 5 /* letters that a common word of one token may have */
#define DIGIT_GROUP 3

enum class { SIGN, SMALL, CAPITAL, DIGIT, BLANK, LINE, WIDE };

/* By byte; what is not named is a sign. */
#define CLASSES                                                                                  \
    ['A' ... 'Z'] = CAPITAL, ['a' ... 'z'] = SMALL,                                              \
             ['0' ... '9'] = DIGIT, [' '] = BLANK, ['\t'] = BLANK, ['\n'] = LINE, ['\r'] = LINE, \
             [0x80 ... 0xff] = WIDE
static const unsigned char plain[256] = {CLASSES};
static const unsigned char escaped[256] = {CLASSES, ['\\'] = WIDE}; /* it begins an escape */
#undef CLASSES

/* Scripts by their ranges in Unicode; what stands in none of them is a symbol. */
static const struct {
    uint32_t first, last;
    enum token_kind kind;
} scripts[] = {
    {0x00c0, 0x024f, TOKEN_ACCENTS},    {0x0370, 0x1fff, TOKEN_LETTERS},
    {0x2000, 0x206f, TOKEN_WIDE_SIGNS}, {0x3000, 0x303f, TOKEN_WIDE_SIGNS},
    {0x3040, 0x30ff, TOKEN_KANA},       {0x3400, 0x4dbf, TOKEN_SYMBOLS},
    {0xac00, 0xd7af, TOKEN_HANGUL},     {0xff00, 0xffef, TOKEN_WIDE_SIGNS},
};

static enum token_kind kind_of(uint32_t c)
{
    if (c >= 0x4e00 && c <= 0x9fff)
        return TOKEN_HAN;
    for (size_t i = 0; i < COUNT_OF(scripts) && c >= scripts[i].first; i++) {
        if (c <= scripts[i].last)
            return scripts[i].kind;
    }
    return TOKEN_SYMBOLS;
}

/* -- characters ------------------------------------------------------------------------------------------ */

struct text {
    const unsigned char *p;
    size_t n, at;
    const unsigned char *classes; /* by byte */
    enum class last;              /* of the piece before: an escape in the middle of a run does not end it */
    size_t last_n;                /* characters of its run so far */
};

/* Moves over one character outside ASCII; broken ones are a byte long and count as symbols. */
static uint32_t next_wide(struct text *t)
{
    const unsigned char *p = t->p + t->at;
    size_t left = t->n - t->at, n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 1;
    uint32_t c = p[0] & (0xffU >> (n + 1));

    if (n == 1 || n > left) {
        t->at++;
        return UINT32_MAX;
    }
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fU);
    t->at += n;
    return c;
}

static uint32_t hex4(const unsigned char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        unsigned c = p[i];

        v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20U) - 'a' + 10U) % 16;
    }
    return v;
}

/* Moves over an escape, of which the backslash stands at `at`; what it stands for. */
static uint32_t next_escape(struct text *t)
{
    const unsigned char *p = t->p + t->at;
    size_t left = t->n - t->at;
    uint32_t c;

    if (left < 2 || p[1] != 'u' || left < 6) {
        t->at += left < 2 ? left : 2;
        if (left < 2)
            return '\\';
        return p[1] == 'n' || p[1] == 'r' ? '\n' : p[1] == 't' ? '\t' : p[1];
    }
    c = hex4(p + 2);
    t->at += 6;
    if (c >= 0xd800 && c < 0xdc00 && left >= 12 && p[6] == '\\' && p[7] == 'u') { /* the other half */
        t->at += 6;
        return 0x10000 + ((c - 0xd800) << 10) + (hex4(p + 8) & 0x3ffU);
    }
    return c;
}

/* -- pieces ---------------------------------------------------------------------------------------------- */

/* Length of the run of a class from here on, which it moves over. */
static size_t run(struct text *t, enum class c)
{
    const unsigned char *classes = t->classes, *from = t->p + t->at, *p = from, *end = t->p + t->n;

    while (p < end && classes[*p] == c)
        p++;
    t->at += (size_t)(p - from);
    return (size_t)(p - from);
}

static void add_word(struct text *t, struct tokens *to)
{
    size_t capitals = run(t, CAPITAL), letters = capitals + run(t, SMALL);

    to->n[TOKEN_WORDS]++;
    if (letters > LONG_BEHIND)
        to->n[TOKEN_LONG] += (int64_t)(letters - LONG_BEHIND);
    if (capitals > 1)
        to->n[TOKEN_CAPS] += (int64_t)(capitals - 1);
}

/* How long the run is that n more characters of this class go on with. */
static size_t goes_on(struct text *t, enum class c, size_t n)
{
    t->last_n = t->last == c ? t->last_n + n : n;
    t->last = c;
    return t->last_n;
}

static void add_signs(struct text *t, struct tokens *to, size_t n)
{
    bool begins = goes_on(t, SIGN, n) == n;

    to->n[TOKEN_SIGNS] += begins;
    to->n[TOKEN_MORE_SIGNS] += (int64_t)n - begins;
}

static void add_blanks(struct text *t, struct tokens *to, size_t n)
{
    size_t before = t->last == BLANK ? t->last_n : 0;

    if (goes_on(t, BLANK, n) > 1 && before < 2)
        to->n[TOKEN_BLANKS]++;
}

static void add_lines(struct text *t, struct tokens *to, size_t n)
{
    if (goes_on(t, LINE, n) == n)
        to->n[TOKEN_LINES]++;
}

/* A character that is not plain ASCII text: wide, or escaped. */
static void add_wide(struct text *t, struct tokens *to)
{
    uint32_t c = t->p[t->at] == '\\' ? next_escape(t) : next_wide(t);

    if (c >= 0x80) {
        to->n[kind_of(c)]++;
        t->last = WIDE;
        return;
    }
    switch ((enum class)plain[c]) {
    case LINE:
        add_lines(t, to, 1);
        return;
    case BLANK:
        add_blanks(t, to, 1);
        return;
    case DIGIT:
        to->n[TOKEN_DIGITS]++;
        break;
    case SMALL:
    case CAPITAL:
        to->n[TOKEN_WORDS]++;
        break;
    default:
        add_signs(t, to, 1);
        return;
    }
    t->last = WIDE;
}

static void scan(struct tokens *to, struct slice s, const unsigned char *classes)
{
    struct text t = {(const unsigned char *)s.p, s.n, 0, classes, WIDE, 0};

    while (t.at < t.n) {
        enum class c = (enum class)t.classes[t.p[t.at]];

        if (c == SIGN)
            add_signs(&t, to, run(&t, SIGN));
        else if (c == BLANK)
            add_blanks(&t, to, run(&t, BLANK));
        else if (c == LINE)
            add_lines(&t, to, run(&t, LINE));
        else if (c == WIDE)
            add_wide(&t, to);
        else if (c == DIGIT)
            to->n[TOKEN_DIGITS] += (int64_t)((run(&t, DIGIT) + DIGIT_GROUP - 1) / DIGIT_GROUP);
        else
            add_word(&t, to);
        if (c == DIGIT || c == SMALL || c == CAPITAL)
            t.last = c;
    }
}

void tokens_text(struct tokens *t, struct slice text)
{
    scan(t, text, plain);
}

void tokens_json(struct tokens *t, struct slice raw)
{
    scan(t, raw, escaped);
}

int64_t tokens_sum(const struct tokens *t)
{
    static const int64_t weights[TOKEN_N] = {
#define TOKEN(name, weight, doc) weight,
#include "llm/tokens.def"
#undef TOKEN
    };
    int64_t sum = 0;

    for (int i = 0; i < TOKEN_N; i++)
        sum += t->n[i] * weights[i];
    return (sum + 512) / 1024;
}
