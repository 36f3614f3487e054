/* SPDX-License-Identifier: MIT */
/* Judging one response while it comes in: the way a strict client would, who wants a whole answer.
 *
 * It knows no time. Bytes come in pieces of any size; at the end it says how the attempt ended. */
#ifndef LOAD_JUDGE_H
#define LOAD_JUDGE_H

#include "http/message.h"
#include "http/sse.h"
#include "llm/answer.h"

#define JUDGE_CODE_BYTES 48

enum ending {
    END_FULL,
    END_DEGRADED,  /* whole, and x-tidegate-rung names a rung of the ladder */
    END_DEFERRED,  /* a ticket for later */
    END_TEMPLATED, /* a canned text */
    END_FAILED,
    END_REFUSED,   /* the request itself was not valid or not allowed: no part of the answered rate */
    END_CANCELLED, /* the client left: no part of it either */
    END_N
};

const char *ending_name(enum ending e); /* "full" */

struct judge {
    struct json_pool *pool;
    bool stream; /* a stream was asked for */
    /* what came */
    int status; /* 0: no head */
    bool events;
    bool done, finished, has_text;
    enum ending rung;       /* of a whole answer: END_FULL, or what the rung makes of it */
    int64_t retry_after_us; /* -1: none */
    int should_retry;       /* -1: not said, else 0 or 1 */
    uint64_t tokens_n;      /* events with a part of the answer */
    uint64_t usage_tokens;  /* completion tokens that the provider says it made */
    uint64_t bytes;         /* of the body */
    struct sse sse;
    struct buf body;             /* of a plain answer or an error */
    char code[JUDGE_CODE_BYTES]; /* why it failed; "" so far */
};

/* The pool serves every judge of a loop: one document at a time. */
void judge_init(struct judge *j, bool stream, struct json_pool *pool);
void judge_fini(struct judge *j);
/* wall_us: now, for Retry-After as a date. Other than ERR_OK: the rest needs not to be read. */
enum err judge_head(struct judge *j, const struct http_response *rs, int64_t wall_us);
enum err judge_body(struct judge *j, struct slice bytes);
/* The attempt is over: ERR_OK when the response was complete by its framing, else why it ended. The code is
 * set unless it is a success. `connected`: the request had been sent. */
enum ending judge_end(struct judge *j, enum err why, bool connected);

#endif
