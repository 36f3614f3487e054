/* SPDX-License-Identifier: MIT */
/* The APIs in which clients ask for an answer, and what differs between them, as one table row each: how a
 * request is read, how an answer is told from a failure, which end mark a stream must have, and the shape of
 * our own errors. Nobody else asks which route a request came by.
 *
 * | surface     | route             | end mark                           | usage is told          |
 * | chat        | /chat/completions | [DONE] behind a finish_reason      | when asked for         |
 * | completions | /completions      | [DONE] behind a finish_reason      | when asked for         |
 * | embeddings  | /embeddings       | does not stream                    | always                 |
 * | responses   | /responses        | response.completed or .incomplete  | in the end mark        |
 * | messages    | /messages         | message_stop behind a stop_reason  | in two events, always  | */
#ifndef LLM_SURFACE_H
#define LLM_SURFACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

enum surface_id {
    SURFACE_CHAT,        /* OpenAI's POST /chat/completions */
    SURFACE_COMPLETIONS, /* OpenAI's POST /completions */
    SURFACE_EMBEDDINGS,  /* OpenAI's POST /embeddings */
    SURFACE_RESPONSES,   /* OpenAI's POST /responses */
    SURFACE_MESSAGES,    /* Anthropic's POST /v1/messages */
    SURFACE_N
};

/* The shape of our errors (llm/reply.h). */
enum surface_errors {
    ERRORS_OPENAI,    /* {"error":{...}}, in-band the same as an event */
    ERRORS_RESPONSES, /* the same, in-band as response.failed */
    ERRORS_ANTHROPIC  /* {"type":"error","error":{...}}, in-band as the event "error" */
};

struct dialect;
struct event;
struct answer;

struct surface {
    enum surface_id id;
    enum surface_errors errors;
    const char *path;    /* as clients write it, without /v1 */
    const char *input;   /* the member with the question */
    const char *ends[2]; /* how events that can be end marks begin, as the client gets them */
    bool input_is_optional;
    bool input_may_be_text; /* a string, not only a list */
    bool streams;           /* knows "stream" */
    bool asks_usage;        /* a stream tells its usage only when stream_options asks for it */
    bool names_events;      /* events carry their type in an `event:` line, which clients read */
    bool may_be_empty;      /* an answer that ends well without a word is one all the same */
    /* Reads one event that is a JSON object; `out` is zeroed. */
    void (*read_event)(const struct dialect *d, struct json_value root, struct event *out);
    /* Judges a whole plain answer that is a JSON object, as answer_body says. */
    enum err (*judge)(const struct dialect *d, struct json_value root, struct answer *out);
};

const struct surface *surface_get(enum surface_id id);
/* Whether an event for the client, which was one of the surface's, is an end mark. */
bool surface_is_end(const struct surface *s, struct slice event);

#endif
