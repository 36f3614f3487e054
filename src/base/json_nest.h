/* SPDX-License-Identifier: MIT */
/* Whether a JSON object that comes in pieces, and is kept nowhere, has come to its end.
 *
 * Why: an answer too large to be held back cannot be parsed, and one whose framing is the end of the
 * connection looks complete wherever it was cut. Only brackets and strings are looked at. */
#ifndef BASE_JSON_NEST_H
#define BASE_JSON_NEST_H

#include <stdbool.h>

#include "base/slice.h"

struct json_nest { /* all zero: nothing has come yet */
    size_t open_n; /* brackets */
    bool begun, in_string, escaped;
    bool torn; /* something stands outside of the one object */
};

void json_nest_feed(struct json_nest *n, struct slice bytes);
/* An object has begun, every bracket is closed, and nothing but white space is around it. */
bool json_nest_is_whole(const struct json_nest *n);

#endif
