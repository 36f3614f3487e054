/* SPDX-License-Identifier: MIT */
/* About how many tokens a text has, without a tokenizer: it is cut into words, numbers, signs, blanks and
 * characters of other scripts in one pass, and each of these kinds costs what it costs on average in the
 * vocabularies of today's models. Pure. How far off that is: docs/limits.md.
 *
 * Why not a tokenizer: every model has another one, of megabytes, and a limit needs no exact number: what is
 * reserved by estimate is settled to the real usage when the answer is there. */
#ifndef LLM_TOKENS_H
#define LLM_TOKENS_H

#include <stdint.h>

#include "base/slice.h"

enum token_kind {
#define TOKEN(name, weight, doc) TOKEN_##name,
#include "llm/tokens.def"
#undef TOKEN
    TOKEN_N
};

struct tokens {
    int64_t n[TOKEN_N]; /* pieces of each kind */
};

/* Adds the pieces of a text in UTF-8. Bytes that are not UTF-8 count as signs. */
void tokens_text(struct tokens *t, struct slice text);
/* The same for what stands between the quotes of a JSON string: an escape counts as what it stands for. */
void tokens_json(struct tokens *t, struct slice raw);
/* The estimate, rounded. */
int64_t tokens_sum(const struct tokens *t);

#endif
