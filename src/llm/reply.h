/* SPDX-License-Identifier: MIT */
/* Our own answers in OpenAI's shape: error objects, in-band error events, the list of models. */
#ifndef LLM_REPLY_H
#define LLM_REPLY_H

#include "base/buf.h"
#include "base/err.h"

struct reply_error {
    enum err err;
    struct slice detail; /* may be empty: replaces the row's text; never holds a credential */
    struct slice param;  /* or p NULL: null */
    struct slice code;   /* or p NULL: the row's own code */
};

/* {"error":{"message","type","param","code"}} - the message is the text (or detail) and the advice of the
 * row. */
enum err reply_error_body(struct buf *out, const struct reply_error *r);
/* `data: {...}` and a blank line. */
enum err reply_error_event(struct buf *out, const struct reply_error *r);

/* {"object":"list","data":[...]}: begin, one per model, end. */
enum err reply_models_begin(struct buf *out);
enum err reply_models_add(struct buf *out, struct slice id, int64_t created_s, struct slice owned_by);
enum err reply_models_end(struct buf *out);

#endif
