/* SPDX-License-Identifier: MIT */
/* What a model's answers have taught about estimates: by how much prompts are estimated too low or too high,
 * and how long its answers are. Pure.
 *
 * Both are moving averages over about the last LEARNED_MEMORY answers; before the first one prompts are taken
 * as estimated and answers as LEARNED_ANSWER tokens long. The correction is the ratio of two averages, of
 * real and of estimated tokens, so that long prompts, which are what fills a limit, weigh most; it stays
 * between 1/4 and 4, so that no endpoint that reports nonsense can open or close a limit. */
#ifndef POLICY_LEARNED_H
#define POLICY_LEARNED_H

#include <stdint.h>

#define LEARNED_MEMORY 32
#define LEARNED_ANSWER 512

struct learned {
    int64_t answers_n;                     /* counted up to LEARNED_MEMORY */
    int64_t real_q, estimated_q, answer_q; /* averages, in 1/1024 token */
};

/* An answer's usage beside what its prompt was estimated at (without correction). */
void learned_add(struct learned *l, int64_t estimated, int64_t prompt, int64_t answer);
/* A prompt's tokens, corrected. */
int64_t learned_prompt(const struct learned *l, int64_t estimated);
/* The tokens of a usual answer. */
int64_t learned_answer(const struct learned *l);

#endif
