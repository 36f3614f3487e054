/* SPDX-License-Identifier: MIT */
/* The bytes of answers: events of a stream, and whole plain bodies.
 *
 * What is the same in every event of a stream is written once, when the stream begins; an event is then three
 * copies into memory of the turn. */
#ifndef SIM_CHUNK_H
#define SIM_CHUNK_H

#include "base/arena.h"
#include "sim/ask.h"

/* What an answer consists of. */
struct sim_script {
    const struct sim_ask *ask;
    bool deepseek;            /* the form; OpenAI's otherwise */
    uint32_t thoughts_n;      /* tokens of reasoning_content */
    uint32_t words_n;         /* tokens of content */
    const char *finish;       /* finish_reason; NULL: "stop" */
    size_t size;              /* pad events to so many bytes */
    struct slice open, close; /* of every event: up to the delta's members; behind them */
    struct slice word, word_close, thought, thought_close; /* around a token */
};

/* Prepares the parts; everything else of `s` is set. created_s: wall time. */
void sim_chunk_prepare(struct sim_script *s, struct arena *arena, int64_t created_s);

/* Each writes into `turn` and returns what it wrote, which lives until the end of the turn. */
struct slice sim_chunk_first(const struct sim_script *s, struct arena *turn);
/* Token i of thoughts_n + words_n. In DeepSeek's form the last one also ends the answer. */
struct slice sim_chunk_token(const struct sim_script *s, uint32_t i, struct arena *turn);
/* An event that breaks off in the middle of its JSON. */
struct slice sim_chunk_malformed(const struct sim_script *s, struct arena *turn);
/* What follows the last token: finish_reason, usage, and [DONE] unless `done` is false. */
struct slice sim_chunk_end(const struct sim_script *s, bool done, struct arena *turn);

/* The body of a plain answer. *after_k (may be NULL): how many of its bytes stand before the end of token
 * k. */
struct slice sim_chunk_plain(const struct sim_script *s, int64_t created_s, uint32_t k, size_t *after_k,
                             struct arena *turn);

#endif
