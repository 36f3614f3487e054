/* SPDX-License-Identifier: MIT */
/* The client's side of one HTTP/1.1 exchange on a stream (llhttp): writes a request, reads the response.
 *
 * It owns no stream: upstream/call feeds it and closes the stream. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "http/message.h"
#include "io/stream.h"

struct client;

struct client_cb {
    /* The final head (1xx are skipped). The slices live as long as the client. Other than ERR_OK ends the
     * parse. */
    enum err (*on_head)(void *ud, const struct http_response *rs);
    enum err (*on_body)(void *ud, struct slice bytes); /* slices of the bytes fed */
    void (*on_end)(void *ud);                          /* the response is complete by its framing */
};

/* head_max bounds the response's head. */
struct client *client_new(size_t head_max, struct budget *budget, const struct client_cb *cb, void *ud);
void client_free(struct client **c);
/* The request is a HEAD: whatever the response's head says, no body follows. */
void client_expect_no_body(struct client *c);

struct client_request {
    struct slice method;          /* "POST" */
    struct slice base_path, path; /* joined */
    struct slice authority;
    bool whole_url;                   /* for a proxy: the target is http://authority and the path */
    struct slice proxy_authorization; /* the proxy's credential, or empty */
    const struct header *headers;
    size_t headers_n;
    const struct slice *body; /* pieces */
    size_t body_n;
    size_t body_bytes; /* the whole body's length: Content-Length is sent for POST or when it is not 0; the
                          pieces may hold less, then the caller sends the rest of the body after them */
};
/* Queues the whole request on the stream. Pieces must be valid until the end of the turn. */
void client_send(struct stream *s, const struct client_request *rq);

/* Feeds bytes. ERR_OK, or ERR_MALFORMED, ERR_TOO_LARGE, or what a callback returned. Callbacks may not free
 * the client. Bytes behind a complete response are an error (ERR_MALFORMED): nobody asked for them. */
enum err client_feed(struct client *c, struct slice bytes) __attribute__((warn_unused_result));
/* The stream ended: ERR_OK if that completes the response (body until close; on_end was called), ERR_EOF
 * when it broke off. */
enum err client_eof(struct client *c) __attribute__((warn_unused_result));
/* Notes on the stream what its next bytes touch here. */
void client_touched_by(const struct client *c, struct stream *s);
bool client_complete(const struct client *c);
bool client_can_reuse(const struct client *c); /* complete, keep-alive, nothing left over */

#endif
