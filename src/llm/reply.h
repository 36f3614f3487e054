/* SPDX-License-Identifier: MIT */
/* Our own answers: error objects and in-band error events in the shape of their surface, the list of models.
 */
#ifndef LLM_REPLY_H
#define LLM_REPLY_H

#include "base/buf.h"
#include "base/err.h"
#include "llm/surface.h"

struct reply_error {
    enum err err;
    struct slice detail; /* may be empty: replaces the row's text; never holds a credential */
    struct slice param;  /* or p NULL: null */
    struct slice code;   /* or p NULL: the row's own code */
    enum surface_errors shape;
    int status;              /* as reply_status says; 0: the row's */
    struct slice request_id; /* shown in Anthropic's shape, in its body */
};

/* The HTTP status that a failure has in this shape: Anthropic's clients know an overload as 529, not as 503.
 */
int reply_status(enum surface_errors shape, int status);
/* OpenAI:    {"error":{"message","type","param","code"}}
 * Anthropic: {"type":"error","error":{"type","message","code"},"request_id"}
 * The message is the text (or detail) and the advice of the row. */
enum err reply_error_body(struct buf *out, const struct reply_error *r);
/* The same in a stream that has begun: an event with the object that clients of the surface look for. */
enum err reply_error_event(struct buf *out, const struct reply_error *r);

/* {"id","object":"model","created","owned_by"} */
enum err reply_model(struct buf *out, struct slice id, int64_t created_s, struct slice owned_by);
/* {"object":"list","data":[...]}: begin, one per model, end. */
enum err reply_models_begin(struct buf *out);
enum err reply_models_add(struct buf *out, struct slice id, int64_t created_s, struct slice owned_by);
enum err reply_models_end(struct buf *out);

#endif
