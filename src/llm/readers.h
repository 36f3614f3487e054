/* SPDX-License-Identifier: MIT */
/* The readers of answers that the table of surfaces names, and what they share. Private to llm/. */
#ifndef LLM_READERS_H
#define LLM_READERS_H

#include "llm/answer.h"

/* choices.c: chat and text completions. */
void choices_event(const struct dialect *d, struct json_value root, struct event *out);
enum err choices_judge(const struct dialect *d, struct json_value root, struct answer *out);
enum err choices_judge_text(const struct dialect *d, struct json_value root, struct answer *out);

/* embeddings.c */
enum err embeddings_judge(const struct dialect *d, struct json_value root, struct answer *out);

/* responses.c */
void responses_event(const struct dialect *d, struct json_value root, struct event *out);
enum err responses_judge(const struct dialect *d, struct json_value root, struct answer *out);

/* messages.c */
void messages_event(const struct dialect *d, struct json_value root, struct event *out);
enum err messages_judge(const struct dialect *d, struct json_value root, struct answer *out);

/* readers.c */
/* A count of tokens: what is none, negative or absurd is 0. */
int64_t readers_tokens(struct json_value v);
/* Whether a usage with these counts, of which one may be missing, can be believed. */
bool readers_are_counts(struct json_value prompt, struct json_value answer);
/* The usage of chat, completions and embeddings. */
void readers_usage(struct json_value v, struct usage *out);
/* The usage of responses: input_tokens and output_tokens with their details. */
void readers_usage_io(struct json_value v, struct usage *out);
/* Whether `reason`, for which an answer has ended, says that the server gave up. */
bool readers_gave_up(const struct dialect *d, struct slice reason);
/* A non-empty string, list or object. */
bool readers_says(struct json_value v);
/* Makes `out` an EVENT_ERROR with the words of `root`; the status is what it names in numbers, else 0. */
void readers_failure(const struct dialect *d, struct json_value root, struct event *out);

/* The same for a plain answer that is an error although its status says otherwise: ERR_UPSTREAM_ERROR, or
 * ERR_UPSTREAM_MALFORMED for what has no words either. */
enum err readers_failed(const struct dialect *d, struct json_value root, struct answer *out);

/* A row of a table from words to statuses, which ends with a NULL. */
struct readers_status {
    const char *word;
    int status;
};
int readers_status(const struct readers_status *table, struct slice word); /* 0: it has no such word */

#endif
