/* SPDX-License-Identifier: MIT */
/* One UTF-8 character at a time: is it valid, and how does it stand inside a JSON string. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/slice.h"

#define UTF8_ESCAPED_MAX 6 /* the longest that utf8_escape writes: a \u escape */

/* Length of the valid character at the front of s (1..4), or 0 when there is none: no overlong forms, no
 * surrogates, nothing past U+10FFFF (RFC 3629). */
size_t utf8_len(struct slice s);
/* Writes the first character of s (s.n > 0) as it stands inside a JSON string: controls (also DEL and U+0080
 * to U+009F, which terminals obey), quote and backslash escaped, an invalid byte as U+FFFD. Returns the bytes
 * written (no NUL); *took says how many of s they stand for. */
size_t utf8_escape(struct slice s, char out[UTF8_ESCAPED_MAX], size_t *took);

#endif
