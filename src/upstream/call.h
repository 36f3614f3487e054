/* SPDX-License-Identifier: MIT */
/* One attempt at one endpoint: takes or makes a connection, sends the request, reads the response.
 *
 * It knows nothing of language models: whoever started it judges status and body and runs the clocks; only
 * the bound for making a connection is the call's own. */
#ifndef UPSTREAM_CALL_H
#define UPSTREAM_CALL_H

#include "http/client.h"
#include "upstream/pool.h"

struct call;

enum call_step {
    CALL_CONNECTING,
    CALL_SENT,    /* the request is on its way; no byte of a response yet */
    CALL_ANSWERED /* some byte of a response has come */
};

struct call_cb {
    enum err (*on_head)(void *ud,
                        const struct http_response *rs); /* other than ERR_OK ends the call with it */
    enum err (*on_body)(void *ud, struct slice bytes);
    /* Once, and last: ERR_OK when the response is complete, ERR_TIMEOUT (connecting), ERR_EOF, ERR_RESET,
     * ERR_MALFORMED, ... The call is over and freed; call_cancel must not be called any more. */
    void (*on_end)(void *ud, enum err why, enum call_step step);
};

struct call_opts {
    struct client_request request; /* everything it shows must live until the call is over */
    size_t head_max;
    bool hurry; /* another endpoint could answer: better a failure now than a wait for this one (connect.h) */
};

/* Callbacks never come from inside this call. */
struct call *call_start(struct pool *pool, const struct call_opts *opts, const struct call_cb *cb, void *ud);
/* Ends it at once: the connection is closed, no callback comes any more. Fine inside callbacks other than
 * on_end. */
void call_cancel(struct call **c);
void call_pause(struct call *c); /* stop reading: the reader's back-pressure */
void call_resume(struct call *c);
/* The stream it reads, with what that touches here noted on it, to be added to; NULL: none yet. */
struct stream *call_source(struct call *c);
enum call_step call_step(const struct call *c);
/* Whether the request has left: what it showed is not looked at any more, unless call_start's connection had
 * been closed already and no byte of a response has come. */
bool call_is_sent(const struct call *c);
int64_t
call_last_byte_us(const struct call *c); /* when a byte last came, or the request was sent; 0: not sent yet */

#endif
