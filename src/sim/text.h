/* SPDX-License-Identifier: MIT */
/* What the simulator says: token by token, a pure function of the prompt.
 *
 * The hash of a request: h = 0; then, for every text in `messages` in order, h = sim_text_hash(text, h). A
 * text is a message's `content` when that is a string, else the `text` of each of its parts that has one; the
 * escapes of JSON are undone first. Roles, names, images, tools and parameters do not count. */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include <stdint.h>

#include "base/slice.h"

#define SIM_TOKEN_MAX 48
#define SIM_TOKEN_JSON_MAX 64 /* a token as it stands inside a JSON string */

/* The hash that an answer follows from: of all message contents in order. */
uint64_t sim_text_hash(struct slice prompt, uint64_t hash);
/* What a model thinks before it answers has this hash, where the answer has `hash`. */
uint64_t sim_text_thought(uint64_t hash);
/* Token i of the answer to a prompt with this hash; writes at most SIM_TOKEN_MAX bytes (UTF-8, may hold
 * quotes, backslashes, newlines, Chinese, emoji) and returns their number. Concatenating tokens 0..n-1 gives
 * the whole text. */
size_t sim_text_token(uint64_t hash, uint64_t i, char *out);
/* The same token escaped for a JSON string: at most SIM_TOKEN_JSON_MAX bytes. */
size_t sim_text_token_json(uint64_t hash, uint64_t i, char *out);
/* The same without the token's first `skip` bytes, which end with a character. */
size_t sim_text_tail_json(uint64_t hash, uint64_t i, size_t skip, char *out);
/* What the answer of sample `n` of a prompt has instead of `hash`; sample 0 has `hash` itself. */
uint64_t sim_text_sample(uint64_t hash, uint32_t n);
/* Number of tokens of an answer that nothing bounds: from half of `mean` to one and a half of it, at least 1.
 */
size_t sim_text_length(uint64_t hash, size_t mean);

#endif
