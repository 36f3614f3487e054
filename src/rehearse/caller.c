/* SPDX-License-Identifier: MIT */
/* Calling the gateway the way an SDK does, over a virtual stream, and keeping what came back for judgement.
 */
#include "rehearse/caller.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#define BODY_MAX (64 * 1024 * 1024)
#define HEAD_MAX (64 * 1024)

static void finish(struct caller *c, enum err why)
{
    ASSERT(c->ended_us == 0);
    c->why = why;
    c->ended_us = c->loop->now_us;
    timer_stop(&c->loop->wheel, &c->leave);
    stream_close(&c->stream);
    if (c->on_end != NULL)
        c->on_end(c->ud, c);
}

/* -- the answer ------------------------------------------------------------------------------------------ */

static void add_text(struct caller *c, struct json_value part)
{
    (void)!buf_add(&c->text, json_string(json_get(part, "content")));
}

static enum err on_sse(void *ud, const struct sse_event *ev)
{
    struct caller *c = ud;
    struct json_doc *doc;
    struct json_value root;

    if (ev->data.p == NULL)
        return ERR_OK;
    c->events_n++;
    if (c->first_us == 0)
        c->first_us = c->loop->now_us;
    if (slice_eq(ev->data, SLICE("[DONE]"))) {
        c->done = true;
        return ERR_OK;
    }
    if (json_parse(ev->data, NULL, &doc, NULL) != ERR_OK)
        return ERR_MALFORMED;
    root = json_root(doc);
    if (!json_is_absent(json_get(root, "error")))
        c->error_event = true;
    add_text(c, json_get(json_at(json_get(root, "choices"), 0), "delta"));
    json_free(&doc);
    return ERR_OK;
}

static void copy_header(const struct http_response *rs, const char *name, char *out, size_t n)
{
    struct slice v = http_header(rs->headers, rs->headers_n, name);

    snprintf(out, n, "%.*s", SLICE_ARG(v));
}

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct caller *c = ud;

    c->status = rs->status;
    c->head_us = c->loop->now_us;
    copy_header(rs, "x-tidegate-endpoint", c->endpoint, sizeof c->endpoint);
    copy_header(rs, "x-request-id", c->request_id, sizeof c->request_id);
    copy_header(rs, "retry-after", c->retry_after, sizeof c->retry_after);
    return ERR_OK;
}

static bool is_events(const struct caller *c)
{
    return slice_find(c->ask.body, SLICE("\"stream\":true")) >= 0 && c->status == 200;
}

static enum err on_body(void *ud, struct slice bytes)
{
    struct caller *c = ud;
    enum err e = buf_add(&c->body, bytes);

    if (e == ERR_OK && is_events(c))
        e = sse_feed(&c->sse, bytes, on_sse, c);
    if (c->ask.pause_at_bytes > 0 && c->body.n >= c->ask.pause_at_bytes)
        stream_pause(c->stream);
    return e;
}

static const struct client_cb CLIENT_CB = {on_head, on_body, NULL};

static void read_plain(struct caller *c)
{
    struct json_doc *doc;

    if (c->status != 200 || is_events(c) || json_parse(buf_slice(&c->body), NULL, &doc, NULL) != ERR_OK)
        return;
    c->first_us = c->loop->now_us;
    add_text(c, json_get(json_at(json_get(json_root(doc), "choices"), 0), "message"));
    json_free(&doc);
}

/* -- the connection -------------------------------------------------------------------------------------- */

static void on_open(void *ud)
{
    struct caller *c = ud;
    struct header headers[17] = {{SLICE("Content-Type"), SLICE("application/json")}};
    struct client_request rq = {
        .method = c->ask.body.n > 0 ? SLICE("POST") : SLICE("GET"),
        .path = slice_of(c->ask.path),
        .authority = SLICE("gateway.test"),
        .headers = headers,
        .headers_n = 1 + c->ask.headers_n,
        .body = &c->ask.body,
        .body_n = c->ask.body.n > 0,
        .body_bytes = c->ask.body.n,
    };

    ASSERT(c->ask.headers_n < COUNT_OF(headers));
    for (size_t i = 0; i < c->ask.headers_n; i++)
        headers[i + 1] = c->ask.headers[i];
    client_send(c->stream, &rq);
}

static void on_data(void *ud, struct slice bytes)
{
    struct caller *c = ud;
    enum err e = client_feed(c->client, bytes);

    if (e == ERR_OK && !client_complete(c->client))
        return;
    c->complete = e == ERR_OK;
    read_plain(c);
    finish(c, e);
}

static void on_close(void *ud, enum err why)
{
    struct caller *c = ud;
    enum err e = why == ERR_EOF ? client_eof(c->client) : why;

    c->complete = e == ERR_OK;
    if (c->complete)
        read_plain(c);
    finish(c, e);
}

static const struct stream_cb STREAM_CB = {on_open, on_data, NULL, on_close};

static void on_leave(struct timer *t)
{
    caller_leave(CONTAINER_OF(t, struct caller, leave));
}

struct caller *caller_start(struct loop *l, const struct caller_ask *ask, caller_cb on_end, void *ud)
{
    struct caller *c = MEM_NEW(struct caller);

    c->loop = l;
    c->ask = *ask;
    c->on_end = on_end;
    c->ud = ud;
    c->started_us = l->now_us;
    buf_init(&c->body, BODY_MAX, NULL);
    buf_init(&c->text, BODY_MAX, NULL);
    sse_init(&c->sse, BODY_MAX, NULL);
    c->client = client_new(HEAD_MAX, NULL, &CLIENT_CB, c);
    timer_init(&c->leave, on_leave);
    if (ask->leave_after_us > 0)
        timer_set(&l->wheel, &c->leave, clock_add(l->now_us, ask->leave_after_us));
    c->stream = l->ops->connect(l, &ask->to, BODY_MAX);
    stream_set_cb(c->stream, &STREAM_CB, c);
    return c;
}

void caller_go_on(struct caller *c)
{
    c->ask.pause_at_bytes = 0;
    if (c->stream != NULL)
        stream_resume(c->stream);
}

void caller_leave(struct caller *c)
{
    if (c->ended_us != 0)
        return;
    c->left = true;
    finish(c, ERR_CANCELLED);
}

static void free_caller(struct afterwards *a)
{
    struct caller *c = CONTAINER_OF(a, struct caller, afterwards);

    client_free(&c->client);
    sse_fini(&c->sse);
    buf_fini(&c->body);
    buf_fini(&c->text);
    mem_free(c);
}

void caller_free(struct caller **cp)
{
    struct caller *c = *cp;

    *cp = NULL;
    if (c == NULL)
        return;
    timer_stop(&c->loop->wheel, &c->leave);
    stream_close(&c->stream);
    loop_defer(c->loop, &c->afterwards, free_caller); /* it may be freed by its own callback */
}
