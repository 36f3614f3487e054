/* SPDX-License-Identifier: MIT */
/* What an answer consists of, token by token, before it has any form. */
#ifndef SIM_SCRIPT_H
#define SIM_SCRIPT_H

#include "sim/ask.h"
#include "sim/plan.h"

#define SIM_TOOL_TOKENS 6 /* of a tool call: its beginning, then pieces of its arguments */

/* Tokens of one text: the first may lack the bytes that the caller had already. */
struct sim_span {
    uint64_t hash;
    uint32_t first, n, skip;
};

struct sim_choice {
    struct sim_span thoughts, words;
    bool is_tool;                     /* the words are a tool call */
    const char *finish;               /* finish_reason, in OpenAI's words */
    struct slice open, word, thought; /* prepared by the form: before every event, a word, a thought */
};

/* Token `token` of a choice, thoughts first. */
struct sim_step {
    uint32_t choice, token;
};

struct sim_script {
    const struct sim_ask *ask;
    bool deepseek; /* the form; OpenAI's otherwise */
    struct sim_choice *choices;
    uint32_t choices_n, tokens_n, thoughts_n; /* tokens and thoughts of all choices */
    struct sim_step next;
    bool says_nothing; /* the plan wants an empty answer */
    size_t size;       /* pad events to so many bytes */
    int64_t created_s;
    struct slice head, close, word_close, thought_close; /* prepared by the form, the same for all choices */
};

/* How a request is to be answered. */
struct sim_casting {
    const struct sim_ask *ask;
    const struct sim_plan *plan;
    int64_t mean;   /* tokens of an answer that nothing bounds; 0: it has none at all */
    bool deepseek;  /* OpenAI's form otherwise */
    bool thinks;    /* thoughts come first */
    bool continues; /* the request's last message is the beginning of the answer */
};

/* Choices live in the arena, in the order of the prompts, each with its samples. */
void sim_script_write(struct sim_script *s, const struct sim_casting *k, struct arena *arena);
/* The step that is next, and moves on: choices take turns. There must be one left. */
struct sim_step sim_script_take(struct sim_script *s);

static inline uint32_t sim_choice_tokens(const struct sim_choice *c)
{
    return c->thoughts.n + c->words.n;
}
static inline bool sim_step_thinks(const struct sim_script *s, struct sim_step at)
{
    return at.token < s->choices[at.choice].thoughts.n;
}
static inline bool sim_step_ends_choice(const struct sim_script *s, struct sim_step at)
{
    return at.token + 1 == sim_choice_tokens(&s->choices[at.choice]);
}
/* Whether no choice has a token behind this one. */
bool sim_step_is_last(const struct sim_script *s, struct sim_step at);
/* A token as it stands inside a JSON string: at most SIM_TOKEN_JSON_MAX bytes. */
size_t sim_step_json(const struct sim_script *s, struct sim_step at, char *out);

#endif
