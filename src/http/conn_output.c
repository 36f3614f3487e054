/* SPDX-License-Identifier: MIT */
/* Answering: heads and framing of responses.
 *
 * A head is written in one piece of the turn's memory, and a small body behind it, so that a small answer
 * is one contiguous send. Small pieces of a chunked body are copied between their size and CRLF for the
 * same reason; large ones are sent from where they are. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/warm.h"
#include "http/conn_private.h"
#include "http/date.h"
#include "http/head.h"

#define BODY_COPY_MAX 2048
#define CHUNK_COPY_MAX 4096
#define CHUNK_FRAME_MAX 20 /* 16 digits and two CRLF */
#define HEAD_FIXED_MAX 256 /* status line, Date, framing, Connection, the empty line */
#define WRITE_LOOKS 4
#define DRAIN_TOLD_BYTES 4096 /* conn.h: on_drain */

static void send_bytes(struct conn *c, const char *p, size_t n)
{
    c->queued_n += n;
    stream_send(c->stream, (struct slice){p, n});
    conn_ensure(c, clock_add(c->loop->now_us, c->limits->write_us / WRITE_LOOKS));
}

/* -- the head ------------------------------------------------------------------------------------------- */

/* Decides how the response is framed and whether the connection outlives it. */
static void decide(struct conn *c, int status, int64_t length)
{
    struct conn_request *rq = c->request;
    const struct h1 *h = &rq->parser.h1;
    bool bodiless = status == 204 || status == 304;

    ASSERT(status >= 200 && status <= 999 && length >= CONN_NO_BODY);
    rq->no_body = bodiless || rq->parser.rq.method == HTTP_HEAD;
    rq->length = length == CONN_NO_BODY ? 0 : length;
    rq->chunked = length == CONN_CHUNKED && rq->parser.rq.minor > 0 && !bodiless;
    rq->until_close = length == CONN_CHUNKED && rq->parser.rq.minor == 0 && !bodiless;
    if (!rq->parser.rq.keep_alive || rq->until_close)
        c->last = true;
    if (h->phase == H1_BODY) {
        /* A client that waits for 100 Continue may or may not send its body now: nobody could tell. */
        bool unclear = rq->parser.expects_continue;
        bool too_long = h->framing == H1_SIZED && h->left > CONN_DROP_MAX;

        c->last = c->last || unclear || too_long;
    }
}

static char *put_status(char *at, int status)
{
    if (status == 200)
        return head_put(at, SLICE("HTTP/1.1 200 OK\r\n"));
    at = head_put(at, SLICE("HTTP/1.1 "));
    at = head_put_number(at, (uint64_t)status);
    *at++ = ' ';
    at = head_put(at, slice_of(http_reason(status)));
    return head_put(at, SLICE("\r\n"));
}

static char *put_framing(char *at, const struct conn *c, int status, int64_t length)
{
    const struct conn_request *rq = c->request;
    bool says_length = length >= 0 || (length == CONN_NO_BODY && rq->parser.rq.method != HTTP_HEAD);

    if (rq->chunked)
        at = head_put(at, SLICE("Transfer-Encoding: chunked\r\n"));
    if (says_length && status != 204 && status != 304) {
        at = head_put(at, SLICE("Content-Length: "));
        at = head_put_number(at, (uint64_t)rq->length);
        at = head_put(at, SLICE("\r\n"));
    }
    if (c->last)
        return head_put(at, SLICE("Connection: close\r\n"));
    return rq->parser.rq.minor == 0 ? head_put(at, SLICE("Connection: keep-alive\r\n")) : at;
}

/* `body` is copied behind the head. */
static void write_head(struct conn *c, int status, const struct header *headers, size_t headers_n,
                       int64_t length, struct slice body)
{
    struct conn_request *rq = c->request;
    char *p, *at;

    ASSERT(!c->over && rq != NULL && !rq->head_sent);
    decide(c, status, length);
    if (rq->no_body)
        body = SLICE_NONE;
    p = at = arena_reserve(&c->loop->turn, HEAD_FIXED_MAX + head_fields_bytes(headers, headers_n) + body.n);
    at = put_status(at, status);
    at = head_put(at, SLICE("Date: "));
    date_format(c->loop->wall_us, at);
    at += DATE_BYTES;
    at = head_put(at, SLICE("\r\n"));
    at = head_put_fields(at, headers, headers_n);
    at = put_framing(at, c, status, length);
    at = head_put(at, SLICE("\r\n"));
    at = head_put(at, body);
    arena_commit(&c->loop->turn, (size_t)(at - p));
    rq->head_sent = true;
    send_bytes(c, p, (size_t)(at - p));
}

void conn_head(struct conn *c, int status, const struct header *headers, size_t headers_n, int64_t length)
{
    write_head(c, status, headers, headers_n, length, SLICE_NONE);
}

/* -- the body ------------------------------------------------------------------------------------------- */

/* "<hex>" CRLF */
static char *put_chunk_size(char *at, size_t n)
{
    int shift = 0;

    while (n >> shift > 15)
        shift += 4;
    for (; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[n >> shift & 15];
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static void send_chunk(struct conn *c, struct slice bytes)
{
    bool small = bytes.n <= CHUNK_COPY_MAX;
    char *p = arena_reserve(&c->loop->turn, CHUNK_FRAME_MAX + (small ? bytes.n : 0));
    char *at = put_chunk_size(p, bytes.n);

    if (small) {
        at = head_put(head_put(at, bytes), SLICE("\r\n"));
        arena_commit(&c->loop->turn, (size_t)(at - p));
        send_bytes(c, p, (size_t)(at - p));
        return;
    }
    arena_commit(&c->loop->turn, (size_t)(at - p));
    send_bytes(c, p, (size_t)(at - p));
    send_bytes(c, bytes.p, bytes.n);
    send_bytes(c, "\r\n", 2);
}

void conn_body(struct conn *c, struct slice bytes)
{
    struct conn_request *rq = c->request;

    ASSERT(!c->over && rq != NULL && rq->head_sent && !rq->ended);
    if (bytes.n == 0)
        return; /* an empty chunk would be the end mark */
    rq->sent += (int64_t)bytes.n;
    ASSERT(rq->length == CONN_CHUNKED || rq->sent <= rq->length);
    if (rq->no_body)
        return;
    if (rq->chunked)
        send_chunk(c, bytes);
    else
        send_bytes(c, bytes.p, bytes.n);
    if (!c->drain_due && stream_pending(c->stream) >= DRAIN_TOLD_BYTES) {
        c->drain_due = true;
        conn_ensure(c, c->loop->now_us);
    }
}

void conn_fed_by(struct conn *c, struct stream *s)
{
    stream_touches(s, c, 0, offsetof(struct conn, peer));
    stream_touches(s, c->request, offsetof(struct conn_request, length), WARM_LINE);
    stream_leads_to(s, c->stream);
}

void conn_raw(struct conn *c, struct slice bytes)
{
    ASSERT(!c->over && c->request != NULL && !c->request->ended);
    c->request->head_sent = true;
    if (bytes.n > 0)
        send_bytes(c, bytes.p, bytes.n);
}

void conn_end(struct conn *c)
{
    struct conn_request *rq = c->request;

    ASSERT(!c->over && rq != NULL && rq->head_sent && !rq->ended);
    ASSERT(rq->length == CONN_CHUNKED || rq->no_body || rq->sent == rq->length);
    rq->ended = true;
    rq->owned = false;
    if (rq->chunked && !rq->no_body)
        send_bytes(c, "0\r\n\r\n", 5);
    conn_response_over(c);
}

void conn_abort(struct conn *c)
{
    struct conn_request *rq = c->request;

    ASSERT(!c->over && rq != NULL && !rq->ended);
    rq->owned = false;
    conn_over(c, rq->head_sent); /* what was queued may say why */
}

void conn_reset(struct conn *c)
{
    struct conn_request *rq = c->request;

    ASSERT(!c->over && rq != NULL && !rq->ended);
    rq->owned = false;
    stream_reset(&c->stream);
    conn_over(c, false);
}

void conn_respond(struct conn *c, int status, const struct header *headers, size_t headers_n,
                  struct slice body)
{
    bool copied = body.n <= BODY_COPY_MAX;

    write_head(c, status, headers, headers_n, (int64_t)body.n, copied ? body : SLICE_NONE);
    if (copied)
        c->request->sent = (int64_t)body.n;
    else
        conn_body(c, body);
    conn_end(c);
}
