/* SPDX-License-Identifier: MIT */
/* A client in memory before a connection whose owner does what the test says. */
#ifndef TESTS_SUPPORT_HTTP_PEER_H
#define TESTS_SUPPORT_HTTP_PEER_H

#include "http/conn.h"
#include "support/mem_stream.h"

enum http_peer_answer {
    ANSWER_LATER, /* the test does it */
    ANSWER_ON_COMPLETE,
    ANSWER_ON_REQUEST, /* early, and wants nothing more of it */
    ANSWER_ON_BODY,    /* early, with its first bytes */
    CLOSE_ON_REQUEST,
    CLOSE_ON_BODY,
    CLOSE_ON_COMPLETE,
    CLOSE_ON_REFUSED,
};

struct http_peer {
    struct loop loop;
    struct mem_stream stream;
    struct conn_limits limits;
    struct conn *conn; /* NULL when it is over */
    enum http_peer_answer answer;
    struct slice answer_body;
    size_t requests_n, completes_n, gone_n, drains_n, refused_n, closed_n, body_bytes, headers_n;
    enum err gone_why, refused_why;
    char path[64]; /* of the last request */
    bool in_work;
};

/* Small clocks and sizes: head 1 s, body 2 s, idle 5 s, write 4 s; head_max 2048, pipeline_max 4096. */
void http_peer_init(struct http_peer *p);
void http_peer_fini(struct http_peer *p);
/* One turn in which the client sends this text. */
void http_peer_say(struct http_peer *p, const char *text);
void http_peer_say_n(struct http_peer *p, struct slice bytes);
/* Turns of step_us, until total_us have passed. */
void http_peer_wait(struct http_peer *p, int64_t total_us, int64_t step_us);
/* What the client has got, without Date fields; valid until the next call. */
const char *http_peer_got(struct http_peer *p);
/* How often `what` is in it. */
size_t http_peer_got_n(struct http_peer *p, const char *what);

#endif
