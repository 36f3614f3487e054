/* SPDX-License-Identifier: MIT */
/* A client of the gateway in virtual time: one request on one connection, and everything that came back. */
#ifndef REHEARSE_CALLER_H
#define REHEARSE_CALLER_H

#include "base/buf.h"
#include "http/client.h"
#include "http/sse.h"
#include "io/loop.h"

struct caller_ask {
    struct addr to;
    const char *path;             /* "/v1/chat/completions" */
    struct slice body;            /* empty: GET */
    const struct header *headers; /* besides Host and Content-Type */
    size_t headers_n;
    int64_t leave_after_us; /* the client closes that long after it began; 0: never */
    size_t pause_at_bytes;  /* stops reading after that many bytes of the body; 0: never */
};

struct caller;
typedef void (*caller_cb)(void *ud, struct caller *c);

struct caller {
    struct loop *loop;
    struct caller_ask ask;
    caller_cb on_end;
    void *ud;
    struct stream *stream;
    struct client *client;
    struct sse sse;
    struct timer leave;
    struct afterwards afterwards;
    /* what came back */
    int status;       /* 0: no head */
    bool complete;    /* ended by its framing */
    bool left;        /* the client itself went away */
    enum err why;     /* how the connection ended, ERR_OK when complete */
    bool done;        /* [DONE] was seen */
    bool error_event; /* an error object came in-band */
    char endpoint[64], request_id[64], retry_after[16];
    uint64_t events_n;
    struct buf body; /* whole body, as received */
    struct buf text; /* the answer's content: deltas joined, or the plain message */
    int64_t started_us, head_us, first_us, ended_us;
};

/* Starts it; on_end comes later, once, and the caller stays until caller_free. The body must live that long.
 */
struct caller *caller_start(struct loop *l, const struct caller_ask *ask, caller_cb on_end, void *ud);
void caller_go_on(struct caller *c); /* reads again after pause_at_bytes */
void caller_leave(struct caller *c); /* closes now */
void caller_free(struct caller **c);

#endif
