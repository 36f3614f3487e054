/* SPDX-License-Identifier: MIT */
/* How many tokens a request will take: its prompt as llm/tokens.h sees it, and what it asks for of an answer.
 * Works on the body of any route, by the names that OpenAI's and Anthropic's APIs use. Pure; one pass over
 * the members that hold text.
 *
 * Counted are the texts, 3 tokens for each message around them, names and values of tools and schemas, and
 * one token for each number of a prompt that is already tokens. Images and other data do not count as text
 * but as ESTIMATE_DATA_TOKENS each. Of a very long prompt the first ESTIMATE_TEXT_MAX bytes of text are
 * looked at; what comes behind counts in proportion, so that no body holds a worker for long. */
#ifndef LLM_ESTIMATE_H
#define LLM_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define ESTIMATE_DATA_TOKENS 765                /* what OpenAI counts for a picture of 1024 x 1024 */
#define ESTIMATE_NUMBER_MAX INT64_C(1000000000) /* tokens that anybody can ask for */
#define ESTIMATE_TEXT_MAX ((size_t)256 * 1024)

struct estimate {
    int64_t prompt;
    int64_t answer_max; /* tokens that each choice may have, as the client asked; -1: it did not say */
    int64_t choices;    /* answers that will come: at least 1 */
};

/* `body` must be a valid JSON object. */
void estimate_request(struct slice body, struct estimate *out);
/* Whether a member of that name says how many tokens an answer may have. */
bool estimate_bounds_answer(struct slice name);
/* A member that will be written over the client's: only bounds of the answer change the estimate. */
void estimate_set(struct estimate *e, struct slice name, struct slice json);

#endif
