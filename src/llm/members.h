/* SPDX-License-Identifier: MIT */
/* Byte ranges of an object's top-level members in a JSON text that has already been validated.
 *
 * Why: a gateway that re-serialises a body changes what it did not mean to (number forms, member order,
 * doubled members, unknown fields). We cut and splice the client's own bytes instead. */
#ifndef LLM_MEMBERS_H
#define LLM_MEMBERS_H

#include <stdbool.h>

#include "base/slice.h"

struct member {
    struct slice name;  /* raw, between the quotes, escapes not undone */
    struct slice value; /* raw JSON text */
    size_t start;       /* offset of the opening quote of the name */
    size_t end;         /* offset behind the value */
};

/* Where the members of a large text were found once, so that nobody has to walk over its bytes again. */
struct members_index {
    const struct member *members; /* NULL: there is no index */
    size_t n;
};

struct members {
    struct slice text;         /* the whole object */
    size_t at;                 /* next byte to look at */
    struct members_index rest; /* with an index: what has not been shown yet */
};

/* `text` must be a valid JSON object (json_parse accepted it), perhaps with white space around it. */
void members_init(struct members *m, struct slice text);
/* The same, from an index of that text; without one it walks. */
void members_init_indexed(struct members *m, struct slice text, struct members_index index);
/* Fills `out` with at most `max` members and returns how many there are: more than `max` when they did not
 * all fit. */
size_t members_find(struct slice text, struct member *out, size_t max);
/* The next member, or false at the end. Nested values are skipped, not looked into. */
bool members_next(struct members *m, struct member *out);

/* Whether the member's name, escapes undone, is `name`; `name` is ASCII. */
bool member_is(const struct member *m, struct slice name);
/* Whether the member's value is this string, escapes undone; `text` is ASCII. */
bool member_holds(const struct member *m, struct slice text);
/* member_is with ASCII letters folded: some servers (Go's encoding/json) match names without regard to case.
 */
bool member_resembles(const struct member *m, struct slice name);

/* The elements of an array, likewise: `text` must be a valid JSON array. */
void elements_init(struct members *m, struct slice text);
bool elements_next(struct members *m, struct slice *out);

#endif
