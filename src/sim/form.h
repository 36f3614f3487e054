/* SPDX-License-Identifier: MIT */
/* The APIs that the simulator speaks, as tables of functions: how a request is read and how an answer is
 * written.
 *
 * What is the same in every event of a stream is written once, when the stream begins; an event is then three
 * copies into memory of the turn. Whatever a function returns lives in `turn` until the end of the turn. */
#ifndef SIM_FORM_H
#define SIM_FORM_H

#include "sim/inside.h"
#include "sim/script.h"

struct sim_form {
    const char *path; /* without /v1 or /beta */
    sim_ask_read read;
    enum sim_shape shape; /* of errors */
    const char *waiting;  /* a stream's keep-alive; NULL: DeepSeek's comment */
    /* Before the first event; everything else of `s` is set. NULL where nothing streams, as the next four. */
    void (*prepare)(struct sim_script *s, struct arena *arena);
    struct slice (*first)(const struct sim_script *s, struct arena *turn); /* events before the first token */
    struct slice (*token)(const struct sim_script *s, struct sim_step at, struct arena *turn);
    struct slice (*malformed)(const struct sim_script *s, struct arena *turn); /* one that is no JSON */
    /* What follows the last token: reasons, usage, and the end mark unless `done` is false. */
    struct slice (*end)(const struct sim_script *s, bool done, struct arena *turn);
    /* An event that says that the server has failed. */
    struct slice (*failure)(const struct sim_script *s, struct arena *turn);
    /* The body of a plain answer. *after_k (may be NULL): how many of its bytes stand before the end of token
     * k. */
    struct slice (*plain)(const struct sim_script *s, uint32_t k, size_t *after_k, struct arena *turn);
};

extern const struct sim_form SIM_FORM_CHAT, SIM_FORM_TEXT, SIM_FORM_EMBEDDINGS, SIM_FORM_MESSAGES,
    SIM_FORM_RESPONSES;

/* -- for the forms -------------------------------------------------------------------------------------- */

/* A body that is being written. Where token k ends is noted on the way. */
struct sim_page {
    const struct sim_script *script;
    char *start, *at;
    uint32_t left; /* tokens until k */
    char *mark;
};

/* Room for frame_n bytes, all tokens, and the padding. */
void sim_page_begin(struct sim_page *p, const struct sim_script *s, size_t frame_n, uint32_t k,
                    struct arena *turn);
void sim_page_put(struct sim_page *p, struct slice bytes);
/* The words or the thoughts of a choice. */
void sim_page_put_words(struct sim_page *p, uint32_t choice);
void sim_page_put_thoughts(struct sim_page *p, uint32_t choice);
/* Ends with `end`, padded before it (inside the outermost object). */
struct slice sim_page_end(struct sim_page *p, struct slice end, size_t *after_k, struct arena *turn);

/* One event: `before`, a token, `after`, then `end`, padded before that to the script's size. */
struct slice sim_form_event(const struct sim_script *s, struct slice before, struct sim_step at,
                            struct slice after, struct slice end, struct arena *turn);
/* The event of OpenAI's APIs that says that the server has failed. */
struct slice sim_form_failure(const struct sim_script *s, struct arena *turn);
/* A text with quotes and escapes. */
struct slice sim_form_string(struct slice text, struct arena *arena);
/* A prompt's tokens are about four bytes each; an answer's are counted. */
unsigned long long sim_form_prompt_tokens(const struct sim_script *s);
/* The usage object of chat and text completions. */
struct slice sim_form_usage(const struct sim_script *s, struct arena *arena);
unsigned long long sim_form_id(const struct sim_script *s);

#endif
