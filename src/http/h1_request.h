/* SPDX-License-Identifier: MIT */
/* Reads the head of one HTTP/1.1 request and refuses every one that two readers could understand
 * differently. */
#ifndef HTTP_H1_REQUEST_H
#define HTTP_H1_REQUEST_H

#include "http/h1.h"

struct h1_request {
    struct h1 h1;
    struct http_request rq;
    struct h1_text line; /* of the request, until it is whole */
    bool line_done;
    bool expects_continue;
};

void h1_request_init(struct h1_request *r, struct arena *arena, size_t head_max);
/* Reads bytes up to the end of the head at most (*used); r->h1.phase then is H1_BODY or H1_DONE and r->rq
 * is filled in. Any error is a row of errors.def for the client, and the connection cannot be read any
 * further. */
enum err h1_request_head(struct h1_request *r, struct slice bytes, size_t *used)
    __attribute__((warn_unused_result));

#endif
