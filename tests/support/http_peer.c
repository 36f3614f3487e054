/* SPDX-License-Identifier: MIT */
/* The scripted owner. */
#include "support/http_peer.h"

#include <stdio.h>

#include "base/assert.h"

#define PENDING_MAX (8 * 1024 * 1024)

static void answer(struct http_peer *p, struct conn *c)
{
    p->in_work = false;
    conn_respond(c, 200, NULL, 0, p->answer_body);
}

static void *on_request(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    struct http_peer *p = owner;

    (void)arena;
    ASSERT(!p->in_work);
    p->requests_n++;
    p->headers_n = rq->headers_n;
    snprintf(p->path, sizeof p->path, "%.*s", SLICE_ARG(rq->path));
    if (p->answer == CLOSE_ON_REQUEST) {
        conn_close(c);
        return NULL;
    }
    p->in_work = true;
    if (p->answer != ANSWER_ON_REQUEST)
        return p;
    answer(p, c);
    return NULL;
}

static void on_body(void *user, struct slice bytes)
{
    struct http_peer *p = user;

    ASSERT(p->in_work);
    p->body_bytes += bytes.n;
    if (p->answer == ANSWER_ON_BODY)
        answer(p, p->conn);
    else if (p->answer == CLOSE_ON_BODY)
        conn_close(p->conn);
}

static void on_complete(void *user)
{
    struct http_peer *p = user;

    ASSERT(p->in_work);
    p->completes_n++;
    if (p->answer == ANSWER_ON_COMPLETE)
        answer(p, p->conn);
    else if (p->answer == CLOSE_ON_COMPLETE)
        conn_close(p->conn);
}

static void on_gone(void *user, enum err why)
{
    struct http_peer *p = user;

    ASSERT(p->in_work);
    p->in_work = false;
    p->gone_n++;
    p->gone_why = why;
}

static void on_drain(void *user)
{
    ((struct http_peer *)user)->drains_n++;
}

static void on_refused(void *owner, struct conn *c, enum err why)
{
    struct http_peer *p = owner;

    p->refused_n++;
    p->refused_why = why;
    if (p->answer == CLOSE_ON_REFUSED)
        conn_close(c);
    else
        conn_respond(c, err_row(why)->status, NULL, 0, slice_of(err_row(why)->code));
}

static void on_conn_closed(void *owner, struct conn *c)
{
    struct http_peer *p = owner;

    ASSERT(c == p->conn);
    p->conn = NULL;
    p->closed_n++;
}

static const struct conn_handler HANDLER = {
    on_request, on_body, on_complete, on_gone, on_drain, on_refused, on_conn_closed,
};

void http_peer_init(struct http_peer *p)
{
    memset(p, 0, sizeof *p);
    p->limits = (struct conn_limits){
        .head_max = 2048,
        .pipeline_max = 4096,
        .head_us = 1000000,
        .body_us = 2000000,
        .idle_us = 5000000,
        .write_us = 4000000,
    };
    p->answer = ANSWER_ON_COMPLETE;
    p->answer_body = SLICE("ok");
    mem_loop_init(&p->loop);
    mem_stream_init(&p->stream, &p->loop, PENDING_MAX);
    p->conn = conn_new(&p->stream.stream, NULL, &p->limits, &HANDLER, p);
}

void http_peer_fini(struct http_peer *p)
{
    if (p->conn != NULL)
        conn_close(p->conn);
    mem_loop_fini(&p->loop);
    mem_stream_fini(&p->stream);
}

void http_peer_say_n(struct http_peer *p, struct slice bytes)
{
    mem_turn(&p->stream, 0, bytes);
}

void http_peer_say(struct http_peer *p, const char *text)
{
    http_peer_say_n(p, slice_of(text));
}

void http_peer_wait(struct http_peer *p, int64_t total_us, int64_t step_us)
{
    for (; total_us > 0; total_us -= step_us)
        mem_turn(&p->stream, step_us < total_us ? step_us : total_us, SLICE_NONE);
}

/* strstr in linear time also where a sanitizer looks at the whole text with every call. */
static char *find(const char *at, const char *end, const char *what)
{
    size_t n = strlen(what);

    while ((size_t)(end - at) >= n && (at = memchr(at, what[0], (size_t)(end - at))) != NULL) {
        if ((size_t)(end - at) >= n && memcmp(at, what, n) == 0)
            return (char *)(uintptr_t)at;
        at++;
    }
    return NULL;
}

const char *http_peer_got(struct http_peer *p)
{
    const size_t date_n = 6 + 29 + 2;
    char *text = (char *)(uintptr_t)mem_stream_text(&p->stream), *end = text + p->stream.out.n;
    char *from = text, *to = text, *date;

    while ((date = find(from, end, "Date: ")) != NULL) {
        memmove(to, from, (size_t)(date - from));
        to += date - from;
        from = date + date_n;
    }
    memmove(to, from, (size_t)(end - from) + 1);
    p->stream.out.n = (size_t)(to - text) + (size_t)(end - from);
    return text;
}

size_t http_peer_got_n(struct http_peer *p, const char *what)
{
    const char *text = http_peer_got(p), *end = text + p->stream.out.n;
    size_t n = 0;

    for (; (text = find(text, end, what)) != NULL; text += strlen(what))
        n++;
    return n;
}
