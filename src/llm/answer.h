/* SPDX-License-Identifier: MIT */
/* Reads answers of calls: one streamed event or one whole body at a time. */
#ifndef LLM_ANSWER_H
#define LLM_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "llm/dialect.h"
#include "llm/surface.h"

struct usage {
    int64_t prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens;
    bool known;
};

enum event_kind {
    EVENT_PAYLOAD,  /* carries a part of the answer: content, reasoning, tool call, role, finish, ... */
    EVENT_USAGE,    /* usage alone: empty choices */
    EVENT_DONE,     /* the end mark: [DONE], message_stop, response.completed, response.incomplete */
    EVENT_WAITING,  /* a keep-alive in the form of an event: Anthropic's ping */
    EVENT_ERROR,    /* an error object inside the stream, or response.failed */
    EVENT_BUSY,     /* a reason for the end that says the server gave up (dialect's failed_finish) */
    EVENT_MALFORMED /* not JSON, or not an object of the surface */
};

struct event {
    enum event_kind kind;
    bool has_text;       /* a delta with non-empty content, reasoning, refusal or a tool call */
    bool finished;       /* some choice, or the message, says for which reason it has ended */
    bool plain_stop;     /* finished, and every reason is an ordinary end ("stop", "end_turn") */
    bool has_usage;      /* a usage object that is not null stands in it */
    bool usage_member;   /* a top-level "usage" member stands in it, null or not */
    size_t usage_behind; /* how far its name stands behind that of the first member; 0: not known */
    struct usage usage;
    int error_status;     /* EVENT_ERROR: the status 400..599 that it names (failure_status), else 0 */
    enum refusal refusal; /* EVENT_ERROR: what it says besides */
    char error_text[160]; /* EVENT_ERROR: its message, cut, made printable; "" if it has none */
};

/* Whose answer it is, and in which API. */
struct answer_opts {
    const struct surface *surface;
    const struct dialect *dialect;
};

/* Looks at the data of one SSE event (its `data:` lines joined). Costs one parse, no heap for small
 * events. */
void answer_event(const struct answer_opts *o, struct slice data, struct json_pool *pool, struct event *out);

/* Adds what a later event says: a count that it does not have stays as it was (Anthropic tells the prompt's
 * tokens in the first event and the answer's in the last). */
void usage_update(struct usage *u, const struct usage *later);

/* Rewrites the data of an event without its top-level "usage" member (any number of them): the client did
 * not ask for it. `behind`: the event's usage_behind, or 0: then it is searched for. Returns the new data: a
 * slice of `data` itself when nothing had to go, else bytes in the arena; SLICE_NONE when there is no memory
 * for them. */
struct slice answer_strip_usage(struct slice data, size_t behind, struct arena *arena);

/* The verdict on a whole plain answer. */
struct answer {
    enum err err; /* ERR_OK; ERR_UPSTREAM_MALFORMED, _EMPTY, _BUSY (failed_finish), _ERROR (error in a 200) */
    int error_status;     /* ERR_UPSTREAM_ERROR: as in an event */
    enum refusal refusal; /* likewise */
    struct usage usage;
    size_t skip; /* white space and blank lines before the JSON: not passed on */
};

/* `body` is the complete body of a 2xx answer. */
void answer_body(const struct answer_opts *o, struct slice body, struct json_pool *pool, struct answer *out);

/* The provider's own words for a non-2xx answer: its error.message (OpenAI form, flat form, bare JSON
 * string), cut to 300 bytes and made printable, in the arena; SLICE_NONE when there is none. `param` and
 * `code` likewise. */
struct slice answer_error_text(struct slice body, struct json_pool *pool, struct arena *arena,
                               struct slice *param, struct slice *code);

#endif
