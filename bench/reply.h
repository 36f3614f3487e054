/* SPDX-License-Identifier: MIT */
/*
 * Reads one HTTP/1.1 answer, cut anywhere, and hands out the bytes of its body.
 *
 * Why: some proxies keep the origin's framing and some make their own, so the client must understand sized
 * and chunked bodies before it can say that it got every byte.
 * Ownership: the caller's; nothing is kept of the bytes that are fed in but the head.
 */
#ifndef BENCH_REPLY_H
#define BENCH_REPLY_H

#include "kit.h"

#define REPLY_HEAD_MAX 8192 /* LLM gateways tell much of themselves */

enum reply_state {
    REPLY_HEAD,
    REPLY_SIZED,
    REPLY_CHUNK_SIZE, /* in a size line, up to and with its line feed */
    REPLY_CHUNK_DATA,
    REPLY_CHUNK_END, /* in the CR LF after a chunk's data */
    REPLY_TRAILER,   /* in the lines after the last chunk */
    REPLY_DONE,
    REPLY_BAD /* not HTTP, or neither sized nor chunked */
};

struct reply {
    enum reply_state state;
    int status;
    uint64_t left_n; /* bytes still to come of a sized body or of this chunk */
    size_t line_n;   /* bytes other than CR in this line of a size or trailer */
    size_t head_n;
    char head[REPLY_HEAD_MAX];
};

/* Gets the body's bytes in order, whatever the framing was. */
typedef void reply_body_cb(void *arg, const char *p, size_t n);

static inline void reply_init(struct reply *r)
{
    r->state = REPLY_HEAD;
    r->status = 0;
    r->left_n = 0;
    r->line_n = 0;
    r->head_n = 0;
}

static inline void reply_judge_head(struct reply *r)
{
    size_t n;
    const char *value;

    if (r->head_n < 12 || memcmp(r->head, "HTTP/1.1 ", 9) != 0) {
        r->state = REPLY_BAD;
        return;
    }
    r->status = (r->head[9] - '0') * 100 + (r->head[10] - '0') * 10 + (r->head[11] - '0');
    value = kit_header(r->head, r->head_n, "transfer-encoding", &n);
    if (value != NULL && n == 7 && strncasecmp(value, "chunked", 7) == 0) {
        r->state = REPLY_CHUNK_SIZE;
        return;
    }
    value = kit_header(r->head, r->head_n, "content-length", &n);
    if (value == NULL || n == 0 || n > 9) {
        r->state = REPLY_BAD;
        return;
    }
    for (size_t i = 0; i < n; i++)
        r->left_n = r->left_n * 10 + (uint64_t)(value[i] - '0');
    r->state = r->left_n > 0 ? REPLY_SIZED : REPLY_DONE;
}

/* Takes bytes of the head; returns how many. */
static inline size_t reply_take_head(struct reply *r, const char *p, size_t n)
{
    size_t before_n = r->head_n;
    size_t take_n = n < REPLY_HEAD_MAX - before_n ? n : REPLY_HEAD_MAX - before_n;
    size_t from = before_n > 3 ? before_n - 3 : 0;
    const char *end;

    memcpy(r->head + before_n, p, take_n);
    r->head_n += take_n;
    end = memmem(r->head + from, r->head_n - from, "\r\n\r\n", 4);
    if (end == NULL) {
        if (r->head_n == REPLY_HEAD_MAX)
            r->state = REPLY_BAD;
        return take_n;
    }
    r->head_n = (size_t)(end + 4 - r->head);
    reply_judge_head(r);
    return r->head_n - before_n;
}

/* Takes one byte of a line between chunks. */
static inline void reply_take_line(struct reply *r, char c)
{
    bool is_empty = r->line_n == 0;

    if (c == '\r')
        return;
    if (c != '\n') {
        int digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;

        r->line_n++;
        if (r->state != REPLY_CHUNK_SIZE)
            return;
        if (digit < 0 || r->line_n > 8)
            r->state = REPLY_BAD;
        else
            r->left_n = r->left_n * 16 + (uint64_t)digit;
        return;
    }
    r->line_n = 0;
    if (r->state == REPLY_CHUNK_END)
        r->state = is_empty ? REPLY_CHUNK_SIZE : REPLY_BAD;
    else if (r->state == REPLY_TRAILER)
        r->state = is_empty ? REPLY_DONE : REPLY_TRAILER;
    else if (is_empty)
        r->state = REPLY_BAD;
    else
        r->state = r->left_n > 0 ? REPLY_CHUNK_DATA : REPLY_TRAILER;
}

/* Feeds received bytes; stops at the end of the answer. Returns how many bytes were used. */
static inline size_t reply_feed(struct reply *r, const char *p, size_t n, reply_body_cb *on_body, void *arg)
{
    size_t at = 0;

    while (at < n && r->state != REPLY_DONE && r->state != REPLY_BAD) {
        if (r->state == REPLY_HEAD) {
            at += reply_take_head(r, p + at, n - at);
        } else if (r->state == REPLY_SIZED || r->state == REPLY_CHUNK_DATA) {
            size_t take_n = n - at < r->left_n ? n - at : (size_t)r->left_n;

            on_body(arg, p + at, take_n);
            at += take_n;
            r->left_n -= take_n;
            if (r->left_n == 0)
                r->state = r->state == REPLY_SIZED ? REPLY_DONE : REPLY_CHUNK_END;
        } else {
            reply_take_line(r, p[at++]);
        }
    }
    return at;
}

#endif
