/* SPDX-License-Identifier: MIT */
/* What reading an HTTP/1.1 request and a response have in common: header fields and the body's framing
 * (llhttp).
 *
 * llhttp reads heads and chunked bodies, strictly; bodies of a known length and those until close are
 * counted here. What llhttp accepts is judged once more by the caller (h1_request.c, client.c): h1 only
 * keeps what it said. */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "base/arena.h"
#include "base/err.h"
#include "http/llhttp_wrap.h"
#include "http/message.h"

#define H1_HEADERS_MAX 100

enum h1_phase { H1_HEAD, H1_HEAD_DONE, H1_BODY, H1_DONE };
enum h1_framing { H1_NONE, H1_SIZED, H1_CHUNKED, H1_UNTIL_CLOSE };

typedef enum err (*h1_body_cb)(void *ud, struct slice bytes);

/* Bytes that come in pieces, in one place of an arena. */
struct h1_text {
    char *p;
    size_t n, room_n; /* bytes there, and bytes that have room there */
};

struct h1 {
    llhttp_t parser;
    struct arena *arena; /* of names and values */
    struct header *headers;
    size_t headers_n, headers_cap;
    struct h1_text name, value; /* of the field being read */
    size_t head_n, head_max;    /* bytes of the head, extensions and trailers so far, and their bound */
    size_t gap_n;               /* bytes of a chunked body since its last byte of content */
    const char *mark;           /* end of that content, or where the bytes being fed begin */
    int64_t left;               /* of a sized body */
    h1_body_cb on_body;         /* while h1_body runs */
    void *ud;
    enum err err; /* of a callback */
    enum h1_phase phase;
    enum h1_framing framing;
};

/* What the framing headers of a head say, each counted. */
struct h1_facts {
    size_t length_n, coding_n, host_n;
    int64_t length; /* -1: not a plain number */
    bool chunked;   /* the coding is "chunked" alone */
    struct slice host, expect;
};

/* Puts a piece behind the others; moves them, seldom, when they have no room for it. */
void h1_text_add(struct h1_text *t, struct arena *arena, struct slice piece);

void h1_init(struct h1 *h, llhttp_type_t type, struct arena *arena, size_t head_max);
/* Reads bytes of the head, at most to its end, where the phase becomes H1_HEAD_DONE; *used says how many.
 * ERR_BAD_REQUEST, ERR_HEAD_TOO_LARGE, ERR_HTTP_VERSION, ERR_METHOD_NOT_ALLOWED. */
enum err h1_head(struct h1 *h, struct slice bytes, size_t *used) __attribute__((warn_unused_result));
/* After H1_HEAD_DONE: what the headers say about framing, for the caller to judge. */
struct h1_facts h1_facts(const struct h1 *h);
/* ... and what the caller made of it: the phase becomes H1_BODY, or H1_DONE when no body follows.
 * ERR_BAD_REQUEST when llhttp understood something else: two readings of one head are what smuggling lives
 * from. */
enum err h1_begin_body(struct h1 *h, enum h1_framing framing, int64_t length)
    __attribute__((warn_unused_result));
/* Reads bytes of the body, at most to its end, where the phase becomes H1_DONE. An error of the callback
 * ends it. */
enum err h1_body(struct h1 *h, struct slice bytes, size_t *used, h1_body_cb on_body, void *ud)
    __attribute__((warn_unused_result));

#endif
