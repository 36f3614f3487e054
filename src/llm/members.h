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

struct members {
    struct slice text; /* the whole object */
    size_t at;         /* next byte to look at */
};

/* `text` must be a valid JSON object (json_parse accepted it), perhaps with white space around it. */
void members_init(struct members *m, struct slice text);
/* The next member, or false at the end. Nested values are skipped, not looked into. */
bool members_next(struct members *m, struct member *out);

/* Whether the member's name, escapes undone, is `name`; `name` is ASCII. */
bool member_is(const struct member *m, struct slice name);
/* The same with ASCII letters folded: some servers (Go's encoding/json) match names without regard to
 * case. */
bool member_resembles(const struct member *m, struct slice name);

#endif
