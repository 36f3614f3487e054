/* SPDX-License-Identifier: MIT */
/* Counting brackets, one byte at a time but for the insides of strings. */
#include "base/json_nest.h"

/* Where to go on: behind the string's closing quote, or at the end of the bytes. */
static size_t cross_string(struct json_nest *n, struct slice s, size_t i)
{
    for (; i < s.n; i++) {
        char c = s.p[i];

        if (n->escaped) {
            n->escaped = false;
        } else if (c == '\\') {
            n->escaped = true;
        } else if (c == '"') {
            n->in_string = false;
            return i + 1;
        }
    }
    return i;
}

static void cross_byte(struct json_nest *n, char c)
{
    bool blank = c == ' ' || c == '\n' || c == '\r' || c == '\t';

    if (n->open_n == 0 && !blank) {
        n->torn = n->torn || n->begun || c != '{';
        n->begun = true;
    }
    if (c == '{' || c == '[')
        n->open_n++;
    else if ((c == '}' || c == ']') && n->open_n > 0)
        n->open_n--;
    else if (c == '"')
        n->in_string = true;
}

void json_nest_feed(struct json_nest *n, struct slice bytes)
{
    size_t i = 0;

    while (i < bytes.n && !n->torn) {
        if (n->in_string)
            i = cross_string(n, bytes, i);
        else
            cross_byte(n, bytes.p[i++]);
    }
}

bool json_nest_is_whole(const struct json_nest *n)
{
    return n->begun && n->open_n == 0 && !n->torn;
}
