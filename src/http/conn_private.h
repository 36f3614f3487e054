/* SPDX-License-Identifier: MIT */
/* What conn.c (life and clocks), conn_input.c (reading) and conn_output.c (answering) share.
 *
 *             head           on_request       body whole, response over
 *     idle ---------> reading ---------> in work ----------------------> idle, or over
 *       |                |                  |
 *       | idle_us        | head_us: 408     | body_us while its body arrives; write_us while output waits
 *
 * A request in work is `owned` from on_request until conn_end, conn_abort or on_gone. Its memory, and the
 * conn's, goes at the end of the turn, because their bytes may be queued output and a parser may still be
 * running on them. */
#ifndef HTTP_CONN_PRIVATE_H
#define HTTP_CONN_PRIVATE_H

#include "base/buf.h"
#include "http/conn.h"
#include "http/h1_request.h"

#define REQUEST_FIRST_BYTES 3072   /* of a request's arena inside its one allocation: most heads fit */
#define CONN_DROP_MAX (256 * 1024) /* most bytes of an unwanted body that are read to keep a connection */

struct conn_request {
    struct h1_request parser;
    struct arena arena;
    struct loop *loop;
    struct afterwards afterwards;
    void *user;
    int64_t started_us; /* first byte */
    int64_t last_read_us;
    int64_t body_us;      /* when its body could begin */
    uint64_t body_n;      /* bytes that have come of the body, with its framing */
    uint64_t dropped_n;   /* bytes of the body that nobody wanted */
    int64_t length, sent; /* of the response's body; length as given to conn_head */
    bool owned, head_sent, ended;
    bool no_body; /* the response has none, whatever its head says: HEAD, 204, 304 */
    bool chunked, until_close;
    char first[REQUEST_FIRST_BYTES];
};

struct conn {
    struct stream *stream;
    struct loop *loop;
    const struct conn_limits *limits;
    const struct conn_handler *handler;
    void *owner, *tag;
    struct conn_request *request; /* being read or in work; NULL: idle */
    struct list node;
    struct timer timer;
    int64_t timer_us; /* what it is set to, while it is */
    struct afterwards afterwards;
    struct buf kept;    /* what the client pipelined behind the request in work */
    size_t kept_at;     /* bytes of it that were read already */
    uint64_t queued_n;  /* bytes given to the stream so far */
    uint64_t moved_n;   /* of them, how many the client had taken when the write clock last looked */
    int64_t blocked_us; /* since when none was taken; CLOCK_NEVER_US: no output waits */
    int64_t idle_us;    /* since when no request is in work */
    uint64_t turn;      /* of the loop, in which the last request began */
    unsigned turn_n;    /* how many began in it */
    bool last;          /* no request after this one */
    bool over;
    bool running;    /* conn_input is at work further up the stack */
    bool from_kept;  /* ... on kept bytes */
    bool drain_due;  /* the owner hears in the next turn that its output went out at once */
    bool held;       /* pipelined requests wait for output to move */
    bool blank_cr;   /* the CR of an empty line before a request was read */
    bool blank_seen; /* such a line was read whole: only one is tolerated */
    struct addr peer;
};

/* -- conn.c -- */
/* Ends the connection; graceful: queued output still goes out. */
void conn_over(struct conn *c, bool graceful);
/* Tells the owner of the request in work, if it has one, that it is over. */
void conn_gone(struct conn *c, enum err why);
/* Makes the clock look at `due_us` or earlier. */
void conn_ensure(struct conn *c, int64_t due_us);
struct conn_request *conn_request_new(struct conn *c);
/* The response is over: goes on with what is left of the request, the next one, or the end. */
void conn_response_over(struct conn *c);
/* Bytes that wait to be read as requests. */
size_t conn_kept(const struct conn *c);

/* -- conn_input.c -- */
void conn_read(struct conn *c, struct slice bytes);
/* Goes on with what was kept, unless it has to wait. */
void conn_read_kept(struct conn *c);
/* Answers with our own refusal and ends the connection. */
void conn_refuse(struct conn *c, enum err why);
/* The body of the request cannot be read any further. */
void conn_body_broken(struct conn *c, enum err why);

#endif
