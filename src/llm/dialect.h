/* SPDX-License-Identifier: MIT */
/* What differs between the providers, as one table row each.
 *
 * What does not differ has no column: `reasoning` and `reasoning_content`, for example, are both read as a
 * part of the answer wherever they come from, and pass as they are. */
#ifndef LLM_DIALECT_H
#define LLM_DIALECT_H

#include <stdbool.h>

#include "base/slice.h"
#include "llm/surface.h"

enum dialect_id {
    DIALECT_OPENAI,
    DIALECT_DEEPSEEK,
    DIALECT_LLAMA,
    DIALECT_VLLM,
    DIALECT_SGLANG,
    DIALECT_OLLAMA,
    DIALECT_ANTHROPIC,
    DIALECT_TIDEGATE,
    DIALECT_N
};

/* What a refusal says besides its status (refusal.h). */
enum refusal {
    REFUSAL_PLAIN,   /* nothing: the status has the say */
    REFUSAL_LOADING, /* the engine is there and its model is not yet */
    REFUSAL_BUSY,    /* the server is full, whatever the status */
    REFUSAL_QUOTA,   /* the account's money is used up, whatever the status */
    REFUSAL_CREDENTIAL,
    REFUSAL_N
};

/* Words by which a provider says one of them. */
struct dialect_sign {
    struct slice word; /* `code` or `type` of its error object; or p NULL */
    struct slice text; /* begins a sentence of its message, or stands inside it; where word.p is NULL */
    int status;        /* only with this status; 0: with any, also inside a stream */
    enum refusal means;
};

struct dialect {
    const char *name;             /* "openai" */
    struct slice path[SURFACE_N]; /* behind the base path: "/chat/completions"; empty: not spoken */
    struct slice models_path;
    struct slice chat_base;     /* an end of the base path that only chat calls keep: DeepSeek's "/beta" */
    bool messages_api_key;      /* Anthropic's route wants its own header for the credential, x-api-key */
    bool usage_on_last_content; /* usage rides on the last content chunk instead of on one of its own */
    bool blank_lines_wait;      /* blank lines before a plain answer mean "queued" */
    bool no_developer;          /* the role "developer" is refused, or unknown to the models' templates */
    /* finish_reason values inside a 200 that are failures of the server ("insufficient_system_resource") */
    const struct slice *failed_finish;
    size_t failed_finish_n;
    const struct slice *request_id_headers; /* where the provider puts its request id, in order of trust */
    size_t request_id_headers_n;
    const struct dialect_sign *signs;
    size_t signs_n;
};

const struct dialect *dialect_get(enum dialect_id id);
/* The base path under which this surface stands. */
struct slice dialect_base(const struct dialect *d, enum surface_id surface, struct slice base);
/* Whether the credential goes into x-api-key, with anthropic-version beside it, instead of Authorization. */
bool dialect_takes_api_key(const struct dialect *d, enum surface_id surface);

#endif
