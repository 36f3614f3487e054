/* SPDX-License-Identifier: MIT */
/* What a refusal says besides its status.
 *
 * Why: one status means different things at different providers. llama-server answers 503 while it loads its
 * model, OpenAI 429 to an account without money, and both want another reaction than "full". */
#ifndef LLM_REFUSAL_H
#define LLM_REFUSAL_H

#include "llm/dialect.h"
#include "llm/failure.h"

/* Looks for the dialect's signs in an error object; status 0: none is known (inside a stream). */
enum refusal refusal_of(const struct dialect *d, int status, const struct failure *f);
/* The same for the body of an answer; text that is no JSON is taken for the message. */
enum refusal refusal_read(const struct dialect *d, int status, struct slice body, struct json_pool *pool);

#endif
