/* SPDX-License-Identifier: MIT */
/* A request as the simulator understands it, whichever API it came through. */
#ifndef SIM_ASK_H
#define SIM_ASK_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

#define SIM_PROMPTS_MAX 2048 /* of one request */
#define SIM_CHOICES_MAX 128  /* for one prompt */
#define SIM_DIMENSIONS_MAX 4096

/* What answers follow from: one conversation, or one element of a list of prompts. */
struct sim_prompt {
    uint64_t hash;  /* of its texts (sim/text.h) */
    uint64_t bytes; /* of them; a token id counts as four */
};

struct sim_ask {
    struct slice model; /* as asked for, escapes undone, in the arena like all texts */
    bool stream, include_usage;
    bool thinking;      /* not switched off: what DeepSeek does by default */
    int64_t max_tokens; /* -1: not given */
    uint32_t choices_n; /* for each prompt */
    struct sim_prompt *prompts;
    uint32_t prompts_n;
    struct sim_prompt before; /* the conversation without its last message, if that is the assistant's */
    bool ends_with_answer;    /* ... and it is */
    bool asks_to_continue; /* the request says that the last message is to be continued: `prefix` of DeepSeek,
                              `continue_final_message` of vLLM */
    struct slice said, thought; /* that message: its content and its reasoning */
    struct slice tool;          /* name of the first function among `tools`; .p NULL: there is none */
    uint32_t dimensions;        /* of an embedding; 0: not given */
    bool base64;                /* embeddings in this form */
};

/* What is wrong with it, for the caller: one sentence and the member's name (or NULL). */
struct sim_complaint {
    const char *text, *param;
};

/* Readers of one API each: false with a complaint when it is no request that a provider would take. */
typedef bool (*sim_ask_read)(struct json_value root, struct arena *arena, struct sim_ask *out,
                             struct sim_complaint *bad);
bool sim_ask_chat(struct json_value root, struct arena *arena, struct sim_ask *out,
                  struct sim_complaint *bad);
bool sim_ask_text(struct json_value root, struct arena *arena, struct sim_ask *out,
                  struct sim_complaint *bad);
bool sim_ask_embeddings(struct json_value root, struct arena *arena, struct sim_ask *out,
                        struct sim_complaint *bad);
bool sim_ask_messages(struct json_value root, struct arena *arena, struct sim_ask *out,
                      struct sim_complaint *bad);
bool sim_ask_responses(struct json_value root, struct arena *arena, struct sim_ask *out,
                       struct sim_complaint *bad);

/* Parses `body`, reads what all APIs have, and then what `read` knows of. */
bool sim_ask_parse(struct slice body, sim_ask_read read, struct json_pool *pool, struct arena *arena,
                   struct sim_ask *out, struct sim_complaint *bad);

/* For the readers: adds a text, or the `text` of each part of a list; other values add nothing. */
void sim_ask_take(struct sim_prompt *p, struct json_value content);
bool sim_ask_complain(struct sim_complaint *bad, const char *param, const char *text);
bool sim_ask_is_given(struct json_value v);
/* A count of at least 1; *out stays as it is when it is not given. */
bool sim_ask_count(struct json_value v, const char *param, int64_t max, int64_t *out,
                   struct sim_complaint *bad);

#endif
