/* SPDX-License-Identifier: MIT */
/* Moving averages of what was estimated and what it really was. */
#include "policy/learned.h"

#define ONE 1024                       /* averages are kept in this part of a token */
#define TOKENS_MAX INT64_C(1000000000) /* of one answer; more is nonsense */
#define RATIO_MAX 4

static int64_t clamp(int64_t v)
{
    return v < 0 ? 0 : v > TOKENS_MAX ? TOKENS_MAX : v;
}

static void move(int64_t *average_q, int64_t value, int64_t weight)
{
    *average_q += (clamp(value) * ONE - *average_q) / weight;
}

void learned_add(struct learned *l, int64_t estimated, int64_t prompt, int64_t answer)
{
    if (l->answers_n < LEARNED_MEMORY)
        l->answers_n++;
    move(&l->answer_q, answer, l->answers_n);
    if (estimated <= 0 || prompt <= 0)
        return;
    move(&l->real_q, prompt, l->answers_n);
    move(&l->estimated_q, estimated, l->answers_n);
}

int64_t learned_prompt(const struct learned *l, int64_t estimated)
{
    int64_t real = l->real_q, of = l->estimated_q, e = clamp(estimated);

    if (real <= 0 || of <= 0)
        return e;
    if (real > of * RATIO_MAX)
        return e * RATIO_MAX;
    if (of > real * RATIO_MAX)
        return (e + RATIO_MAX - 1) / RATIO_MAX;
    return (int64_t)((__int128)e * real / of);
}

int64_t learned_answer(const struct learned *l)
{
    return l->answers_n == 0 ? LEARNED_ANSWER : l->answer_q / ONE;
}
