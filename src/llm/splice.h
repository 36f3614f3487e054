/* SPDX-License-Identifier: MIT */
/* An edited copy of a JSON object, made of pieces of its text: members are kept, dropped, given a new
 * value or added.
 *
 *     splice_init(&s, text, arena, bound);
 *     while (splice_next(&s, &m))
 *         exactly one of splice_keep, splice_drop, splice_value; behind splice_keep any number of splice_part
 *     any number of splice_add
 *     splice_end(&s)
 *
 * Why: what is not edited must reach the other side byte for byte, and a large body should not be copied
 * to change one name in it. Ownership: pieces point into the text, the new values and the arena. */
#ifndef LLM_SPLICE_H
#define LLM_SPLICE_H

#include "base/arena.h"
#include "llm/members.h"

struct splice {
    struct members walk;
    struct arena *arena;
    struct slice
        *pieces;   /* set, with max, after splice_init by who wants pieces; else the result is contiguous */
    size_t max, n; /* places in `pieces`, and how many are used; one piece when they did not suffice */
    char *flat;    /* contiguous result, once begun */
    bool failed;   /* there was no memory for it: the result is of no use */
    size_t bound;  /* most bytes that the result can have */
    size_t total;  /* bytes of the result so far */
    size_t from;   /* text before this offset has been dealt with */
    size_t behind; /* offset behind the member before the current one, or behind the opening brace */
    size_t current_end; /* offset behind the current member */
    size_t kept_n;      /* members in the result */
};

/* `text` is a valid object; `bound` an upper bound on the result's length, allocated when it must be
 * contiguous. */
void splice_init(struct splice *s, struct slice text, struct arena *arena, size_t bound);
bool splice_next(struct splice *s, struct member *out);
void splice_keep(struct splice *s, const struct member *m);
void splice_drop(struct splice *s, const struct member *m);
void splice_value(struct splice *s, const struct member *m, struct slice value);
/* Replaces a part of the member that was kept; parts come in the order of the text. */
void splice_part(struct splice *s, struct slice part, struct slice value);
void splice_add(struct splice *s, struct slice name,
                struct slice value); /* name: ASCII without need of escapes */
/* The rest of the text. The contiguous result, or SLICE_NONE when it is in pieces or there was no memory for
 * it; then there are no pieces either. */
struct slice splice_end(struct splice *s);

#endif
