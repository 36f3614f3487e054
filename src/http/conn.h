/* SPDX-License-Identifier: MIT */
/* One accepted client connection: requests in, responses out, in order (HTTP/1.1 and 1.0, llhttp).
 *
 * One request is in work at a time; what a client pipelines behind it waits in the connection, bounded, and
 * reading pauses. Every ambiguous framing is refused (RFC 9112 6.3, 11.2): both Content-Length and
 * Transfer-Encoding, a coding other than a single final "chunked", several or differing lengths, obs-fold,
 * space before a colon, bare LF, NUL, missing or several Host headers; the connection then answers with an
 * error row and closes; nothing of the refused request reaches the owner.
 *
 * Ownership: a conn owns its stream and belongs to itself until it ends; the owner of a request (the user
 * pointer that on_request returns) may respond until conn_end or conn_abort was called or on_gone came,
 * whichever is first, and must not touch the conn for this request afterwards. A request's slices live in
 * its arena until then. */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include "base/arena.h"
#include "base/budget.h"
#include "base/list.h"
#include "http/message.h"
#include "io/loop.h"

struct conn;

struct conn_limits {
    size_t head_max, pipeline_max;
    int64_t head_us, body_us, idle_us, write_us;
    int64_t body_rate,
        body_grace_us; /* bytes a second that a body must have come at once the grace is over; 0: any */
};

/* What the gateway, the admin side or the simulator promises. All callbacks on the loop's thread. */
struct conn_handler {
    /* All but on_request may be NULL when on_request always answers and returns NULL.
     *
     * A head has arrived whole. Returns the user pointer for the other callbacks; NULL: it has already
     * responded (conn_respond) and wants nothing more of this request: its body is then read and dropped
     * within limits, or the connection closed. `rq` and everything in it live until the request is over.
     * `arena` is the request's own. */
    void *(*on_request)(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena);
    void (*on_body)(void *user, struct slice bytes); /* valid until the end of the turn */
    void (*on_complete)(void *user);                 /* the body is whole, also when there is none */
    /* The client left (ERR_CLIENT_GONE, or what ended the stream), did not go on sending (ERR_CLIENT_TIMEOUT)
     * or taking (ERR_TIMEOUT), or broke the protocol, before the response ended. */
    void (*on_gone)(void *user, enum err why);
    /* Pending output is gone. Also comes, in the next turn, when a body of 4 KiB or more was queued in one
     * turn and the client took it at once: who stopped because conn_pending was large is always woken. */
    void (*on_drain)(void *user);
    /* Our own refusal of a malformed or late request: answers (conn_respond) or does nothing, which is
     * answered with the error's status alone. The connection then ends. */
    void (*on_refused)(void *owner, struct conn *c, enum err why);
    void (*on_conn_closed)(void *owner, struct conn *c);
};

/* Takes the stream over. Limits are borrowed and must outlive the conn. */
struct conn *conn_new(struct stream *s, const struct addr *peer, const struct conn_limits *limits,
                      const struct conn_handler *handler, void *owner);

/* -- responding ----------------------------------------------------------------------------------------- */
enum { CONN_CHUNKED = -1, CONN_NO_BODY = -2 };
/* Starts the response. length: bytes of the body, CONN_CHUNKED (HTTP/1.0 clients get it until close),
 * CONN_NO_BODY. Adds Date, Content-Length or Transfer-Encoding, and Connection when it must: `headers` must
 * not have them. Control bytes in values become blanks. */
void conn_head(struct conn *c, int status, const struct header *headers, size_t headers_n, int64_t length);
/* A piece of the body; the bytes must be valid until the end of the turn. */
void conn_body(struct conn *c, struct slice bytes);
/* Bytes as they are, outside of all framing and also instead of a head: for a provider that fails on purpose.
 * They must be valid until the end of the turn. */
void conn_raw(struct conn *c, struct slice bytes);
/* The response is complete; the connection goes on with the next request or closes. The request's memory
 * may be gone when this returns. */
void conn_end(struct conn *c);
/* The response cannot be completed: sends what is queued and closes without an end mark, so that no client
 * takes it for whole (HTTP/1.0 clients of a stream have no such mark: what was sent must say it). */
void conn_abort(struct conn *c);
/* The same for a body that cannot say it: what is queued is dropped and the client sees a reset. */
void conn_reset(struct conn *c);
/* head + body + end in one. */
void conn_respond(struct conn *c, int status, const struct header *headers, size_t headers_n,
                  struct slice body);
/* The response being sent will be the connection's last. */
void conn_close_after(struct conn *c);

/* Notes on a stream that its next bytes lead to output here. */
void conn_fed_by(struct conn *c, struct stream *s);
size_t conn_pending(const struct conn *c); /* bytes of output that wait for the client */
bool conn_head_sent(const struct conn *c);
bool conn_body_done(const struct conn *c); /* the request's body has been read whole */
const struct addr *conn_peer(const struct conn *c);
struct loop *conn_loop(const struct conn *c);
int64_t conn_request_started_us(const struct conn *c); /* the first byte of the request in work */
void *conn_owner(const struct conn *c);

/* Draining: idle connections close now, others after their response. */
void conn_drain(struct conn *c);
/* At once, whatever is going on (on_gone with ERR_CANCELLED comes first). */
void conn_close(struct conn *c);
/* Something of the owner's that goes with the connection; NULL at first. */
void conn_set_tag(struct conn *c, void *tag);
void *conn_tag(const struct conn *c);
/* For the owner's list of connections; unlinked before on_conn_closed. */
struct list *conn_node(struct conn *c);
struct conn *conn_of_node(struct list *node);

#endif
