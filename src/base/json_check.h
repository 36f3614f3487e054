/* SPDX-License-Identifier: MIT */
/* Whether a text is JSON, without making a document of it.
 *
 * Why: a document costs a copy of the text and 16 bytes a value, up to ten times what a large request body
 * weighs. This costs no memory at all, whatever the text holds. */
#ifndef BASE_JSON_CHECK_H
#define BASE_JSON_CHECK_H

#include "base/err.h"
#include "base/slice.h"

#define JSON_DEPTH_MAX 64 /* containers inside each other; json_parse has the same bound */

/* Strict RFC 8259, UTF-8 checked, any value at the top. What json_parse takes and nothing else, but for
 * numbers too large for a double, which pass here. ERR_MALFORMED with a static text in *why. */
enum err json_check(struct slice text, const char **why) __attribute__((warn_unused_result));

#endif
