/* SPDX-License-Identifier: MIT */
/* Borrowed bytes: a pointer and a length, not NUL-terminated. A slice never owns what it shows. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *p;
    size_t n;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
#define SLICE_NONE ((struct slice){NULL, 0})
/* For printf: "%.*s", SLICE_ARG(s) */
#define SLICE_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

static inline struct slice slice_of(const char *cstr)
{
    return (struct slice){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool slice_ieq(struct slice a, struct slice b); /* ASCII case folded */
bool slice_starts(struct slice s, struct slice prefix);
bool slice_istarts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
struct slice slice_trim(struct slice s);           /* spaces, tabs, CR, LF off both ends */
struct slice slice_from(struct slice s, size_t i); /* s without its first i bytes (i is clamped) */
/* Splits at the first `sep`: returns what stands before it (all of s if there is none) and moves *rest behind
 * it (rest->p is NULL when there was no separator). `rest` may be the address of the slice passed in. */
struct slice slice_cut(struct slice s, char sep, struct slice *rest);
/* First place of `needle` in s, or -1. */
ptrdiff_t slice_find(struct slice s, struct slice needle);
/* A whole decimal number without sign, at most `max`; false on anything else. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out);
/* Edit distance (Levenshtein), used for "did you mean"; both sides at most 64 bytes, else a large number. */
size_t slice_distance(struct slice a, struct slice b);

#endif
