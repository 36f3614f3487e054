/* SPDX-License-Identifier: MIT */
/* Walks the top-level members of a JSON object without parsing what stands in them.
 *
 * Why: the text has been validated already, so all that is left to find are the ends of values: strings
 * are leapt over with memchr, nested values by counting brackets. Nothing recurses, and even a text that
 * was not validated is never read past its end: it only ends the walk early. */
#include "llm/members.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t skip_space(struct slice t, size_t i)
{
    while (i < t.n && is_space(t.p[i]))
        i++;
    return i;
}

#define EACH_BYTE(c) (UINT64_C(0x0101010101010101) * (c))
#define ZERO_BYTES(x) (((x)-EACH_BYTE(0x01)) & ~(x)&EACH_BYTE(0x80)) /* the lowest bit set is exact */

static uint64_t load8(const char *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

/* The next quote at or behind i, or t.n. Names and most values end within 16 bytes, which costs less than a
 * call of memchr and, unlike a loop over bytes, no mispredicted branch; prompts are memchr's. */
static size_t find_quote(struct slice t, size_t i)
{
    const char *quote;

    for (int k = 0; k < 2 && i + 8 <= t.n; k++, i += 8) {
        uint64_t x = load8(t.p + i) ^ EACH_BYTE('"'), hit = ZERO_BYTES(x);

        if (hit)
            return i + (size_t)__builtin_ctzll(hit) / 8;
    }
    quote = i < t.n ? memchr(t.p + i, '"', t.n - i) : NULL;
    return quote ? (size_t)(quote - t.p) : t.n;
}

/* Behind the closing quote of the string whose opening quote stands at i; t.n when it never closes. A quote
 * is escaped when an odd number of backslashes precedes it; every such run is counted once, so this stays
 * linear. */
static size_t skip_string(struct slice t, size_t i)
{
    size_t at = i + 1;

    while (at < t.n) {
        size_t end = find_quote(t, at), slashes_n = 0;

        if (end == t.n)
            return t.n;
        while (end - slashes_n > i + 1 && t.p[end - slashes_n - 1] == '\\')
            slashes_n++;
        at = end + 1;
        if (slashes_n % 2 == 0)
            return at;
    }
    return t.n;
}

static size_t skip_nested(struct slice t, size_t i)
{
    size_t depth = 0;

    while (i < t.n) {
        char c = t.p[i];

        if (c == '"') {
            i = skip_string(t, i);
            continue;
        }
        i++;
        if ((c | 0x26) != 0x7f) /* the four brackets are equal once these bits are set */
            continue;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return i;
    }
    return t.n;
}

static size_t skip_value(struct slice t, size_t i)
{
    if (i < t.n && t.p[i] == '"')
        return skip_string(t, i);
    if (i < t.n && (t.p[i] == '{' || t.p[i] == '['))
        return skip_nested(t, i);
    while (i < t.n && t.p[i] != ',' && t.p[i] != '}' && t.p[i] != ']' && !is_space(t.p[i]))
        i++;
    return i;
}

void members_init(struct members *m, struct slice text)
{
    size_t at = skip_space(text, 0);

    m->text = text;
    m->at = at < text.n && text.p[at] == '{' ? at + 1 : text.n;
    m->rest = (struct members_index){NULL, 0};
}

void members_init_indexed(struct members *m, struct slice text, struct members_index index)
{
    members_init(m, text);
    m->rest = index;
}

size_t members_find(struct slice text, struct member *out, size_t max)
{
    struct members walk;
    struct member m;
    size_t n = 0;

    members_init(&walk, text);
    while (n <= max && members_next(&walk, &m)) {
        if (n < max)
            out[n] = m;
        n++;
    }
    return n;
}

static bool next_indexed(struct members *m, struct member *out)
{
    if (m->rest.n == 0)
        return false;
    *out = *m->rest.members++;
    m->rest.n--;
    m->at = out->end;
    return true;
}

bool members_next(struct members *m, struct member *out)
{
    struct slice t = m->text;
    size_t at, behind_name, value;

    if (m->rest.members != NULL)
        return next_indexed(m, out);
    at = skip_space(t, m->at);
    if (at < t.n && t.p[at] == ',')
        at = skip_space(t, at + 1);
    if (at >= t.n || t.p[at] != '"')
        return false;
    behind_name = skip_string(t, at);
    value = skip_space(t, behind_name);
    if (value >= t.n || t.p[value] != ':')
        return false;
    value = skip_space(t, value + 1);
    out->start = at;
    out->name = (struct slice){t.p + at + 1, behind_name - at - 2};
    out->end = m->at = skip_value(t, value);
    out->value = (struct slice){t.p + value, out->end - value};
    return out->end > value;
}

void elements_init(struct members *m, struct slice text)
{
    size_t at = skip_space(text, 0);

    m->text = text;
    m->at = at < text.n && text.p[at] == '[' ? at + 1 : text.n;
}

bool elements_next(struct members *m, struct slice *out)
{
    struct slice t = m->text;
    size_t at = skip_space(t, m->at);

    if (at < t.n && t.p[at] == ',')
        at = skip_space(t, at + 1);
    m->at = skip_value(t, at);
    *out = (struct slice){t.p + at, m->at - at};
    return out->n > 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next character of a raw name, -1 when it is not ASCII (no name that we look for is anything else). */
static int name_char(struct slice raw, size_t *i)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = raw.p[(*i)++];
    int code = 0;

    if (c != '\\' || *i == raw.n)
        return (unsigned char)c < 0x80 ? c : -1;
    c = raw.p[(*i)++];
    if (c != 'u') {
        const char *p = memchr(from, c, sizeof from - 1);
        return p ? to[p - from] : c;
    }
    for (int k = 0; k < 4; k++) {
        int digit = *i < raw.n ? hex_digit(raw.p[(*i)++]) : -1;

        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code < 0x80 ? code : -1;
}

static int fold(int c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static bool same_name(struct slice raw, struct slice name, bool folded)
{
    size_t i = 0, k = 0;

    while (i < raw.n && k < name.n) {
        int c = name_char(raw, &i);

        if (c != name.p[k] && !(folded && fold(c) == fold(name.p[k])))
            return false;
        k++;
    }
    return i == raw.n && k == name.n;
}

bool member_is(const struct member *m, struct slice name)
{
    /* An escape is longer than what it stands for. */
    return m->name.n > name.n ? same_name(m->name, name, false) : slice_eq(m->name, name);
}

bool member_holds(const struct member *m, struct slice text)
{
    struct slice v = m->value;

    return v.n >= text.n + 2 && v.p[0] == '"' && same_name((struct slice){v.p + 1, v.n - 2}, text, false);
}

bool member_resembles(const struct member *m, struct slice name)
{
    return m->name.n >= name.n && same_name(m->name, name, true);
}
