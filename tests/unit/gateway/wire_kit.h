/* SPDX-License-Identifier: MIT */
/* For tests that look at the bytes: a client and an endpoint of a virtual world that speak raw HTTP.
 *
 * Ownership: both live in the test and must be closed before story_end. */
#ifndef TESTS_UNIT_GATEWAY_WIRE_KIT_H
#define TESTS_UNIT_GATEWAY_WIRE_KIT_H

#include "support/story.h"

#include "base/assert.h"
#include "tap.h"

#define WIRE_MAX (64 * 1024 * 1024)
#define WIRE_KEY "Authorization: Bearer key-for-tests\r\n"

/* A story's world with logs: the descriptor of the access log (-1: none), the program's own log (or NULL). */
static inline struct world *wire_world(const char *yaml, int access_fd, struct log *log)
{
    struct story s;
    struct world_sim sims[2];
    struct config_report report = {.text = ""};
    char all[4096];
    struct world_opts o = {.yaml = all,
                           .net = {.seed = 1, .latency_us = 200, .wall_us = 1793318400 * STORY_S},
                           .sims = sims,
                           .sims_n = 2,
                           .log = log,
                           .access_fd = access_fd};
    struct world *w;

    story_init(&s, yaml);
    snprintf(all, sizeof all, "%sworkers: 1\nretry: {outage: 0s}\nbreaker: {failures: 0}\n", yaml);
    sims[0] = (struct world_sim){.at = "10.0.0.1:80", .opts = s.one};
    sims[1] = (struct world_sim){.at = "10.0.0.2:80", .opts = s.two};
    w = world_new(&o, &report);
    if (w == NULL)
        printf("# %s\n", report.text);
    ASSERT(w != NULL);
    return w;
}

/* -- a client's connection ------------------------------------------------------------------------------ */

struct wire {
    struct world *w;
    struct stream *stream; /* NULL once it is closed */
    struct buf got;
    bool closed; /* by the gateway */
    enum err why;
    int64_t closed_us;
};

static inline void wire_on_data(void *ud, struct slice bytes)
{
    struct wire *c = ud;

    CHECK(buf_add(&c->got, bytes) == ERR_OK);
}

static inline void wire_on_close(void *ud, enum err why)
{
    struct wire *c = ud;

    c->closed = true;
    c->why = why;
    c->closed_us = c->stream->loop->now_us;
    stream_close(&c->stream);
}

static const struct stream_cb WIRE_CB = {NULL, wire_on_data, NULL, wire_on_close};

static inline void wire_open_at(struct wire *c, struct world *w, const struct addr *at)
{
    *c = (struct wire){.w = w};
    buf_init(&c->got, WIRE_MAX, NULL);
    c->stream = w->client_loop->ops->connect(w->client_loop, at, WIRE_MAX);
    stream_set_cb(c->stream, &WIRE_CB, c);
}

static inline void wire_open(struct wire *c, struct world *w)
{
    wire_open_at(c, w, &w->listen);
}

static inline void wire_close(struct wire *c)
{
    if (c->stream != NULL)
        stream_close(&c->stream);
    buf_fini(&c->got);
}

static inline void wire_send_n(struct wire *c, struct slice bytes)
{
    char *copy = loop_scratch(c->w->client_loop, bytes.n);

    if (c->stream == NULL || bytes.n == 0)
        return;
    memcpy(copy, bytes.p, bytes.n);
    stream_send(c->stream, (struct slice){copy, bytes.n});
}

static inline void wire_send(struct wire *c, const char *text)
{
    wire_send_n(c, slice_of(text));
}

/* A request with the key of the stories and these headers ("Name: value" CRLF each, or ""). */
static inline void wire_post(struct wire *c, const char *path, const char *headers, struct slice body)
{
    char head[2048];
    int n = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: gateway.test\r\n" WIRE_KEY "%sContent-Length: %zu\r\n\r\n",
                     path, headers, body.n);

    ASSERT(n > 0 && (size_t)n < sizeof head);
    wire_send(c, head);
    wire_send_n(c, body);
}

static inline void wire_ask(struct wire *c, const char *headers, struct slice body)
{
    wire_post(c, "/v1/chat/completions", headers, body);
}

static inline bool wire_has(const struct wire *c, const char *text)
{
    return slice_find(buf_slice(&c->got), slice_of(text)) >= 0;
}

/* The same, and says what came instead. */
static inline bool wire_expect(const struct wire *c, const char *text)
{
    bool has = wire_has(c, text);

    if (!has) {
        tap_print_bytes("expected", text, strlen(text));
        tap_print_bytes("got", c->got.p, c->got.n);
    }
    return has;
}

static inline size_t wire_count(const struct wire *c, const char *text)
{
    struct slice rest = buf_slice(&c->got);
    ptrdiff_t at;
    size_t n = 0;

    for (; (at = slice_find(rest, slice_of(text))) >= 0; n++)
        rest = slice_from(rest, (size_t)at + strlen(text));
    return n;
}

/* The status of the first response; 0: none came. */
static inline int wire_status(const struct wire *c)
{
    struct slice line = slice_from(buf_slice(&c->got), 9);
    uint64_t status = 0;

    if (!slice_starts(buf_slice(&c->got), SLICE("HTTP/1.1 ")) || line.n < 3)
        return 0;
    return slice_to_u64((struct slice){line.p, 3}, 999, &status) ? (int)status : 0;
}

/* What follows the first head. */
static inline struct slice wire_body(const struct wire *c)
{
    ptrdiff_t at = slice_find(buf_slice(&c->got), SLICE("\r\n\r\n"));

    return at < 0 ? SLICE_NONE : slice_from(buf_slice(&c->got), (size_t)at + 4);
}

/* Runs until `text` has come or the gateway has closed, at most `us`; whether it has come. */
static inline bool wire_wait(struct wire *c, const char *text, int64_t us)
{
    int64_t until = vnet_now_us(c->w->net) + us;

    while (!wire_has(c, text) && !c->closed && vnet_now_us(c->w->net) < until)
        world_run(c->w, 5 * STORY_MS);
    return wire_has(c, text);
}

/* -- an endpoint ---------------------------------------------------------------------------------------- */

#define ORIGIN_ENDS_MAX 64
#define ORIGIN_AT "10.0.0.3:80"

/* One endpoint, `raw`, of which the test says every byte. */
#define ORIGIN_YAML(provider, key)                                                                \
    "listen: 127.0.0.1:80\n"                                                                      \
    "endpoints: [{name: raw, provider: " provider ", url: 'http://10.0.0.3/v1', key: " key "}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: raw}]]}]\n"

struct origin;

struct origin_end { /* one connection to it */
    struct origin *origin;
    struct stream *stream; /* NULL once it is closed */
    struct buf in;
};

struct origin {
    struct world *w;
    struct listener *listener;
    struct origin_end ends[ORIGIN_ENDS_MAX];
    size_t ends_n;
    struct buf asked; /* the last whole request */
    size_t asked_n;
    struct slice reply; /* to every request; n 0: none */
    struct slice then;  /* to every request but the first, where it is not the same */
    bool hang_up;       /* closes behind its reply */
};

static inline bool origin_is_whole(struct slice all)
{
    ptrdiff_t end = slice_find(all, SLICE("\r\n\r\n")), at = slice_find(all, SLICE("\r\nContent-Length: "));
    struct slice rest, digits;
    uint64_t n = 0;

    if (end < 0 || at < 0)
        return false;
    digits = slice_cut(slice_from(all, (size_t)at + 18), '\r', &rest);
    return slice_to_u64(digits, WIRE_MAX, &n) && all.n >= (size_t)end + 4 + n;
}

static inline void origin_on_data(void *ud, struct slice bytes)
{
    struct origin_end *e = ud;
    struct origin *o = e->origin;
    struct slice reply = o->asked_n > 0 && o->then.n > 0 ? o->then : o->reply;
    char *copy = loop_scratch(e->stream->loop, reply.n);

    CHECK(buf_add(&e->in, bytes) == ERR_OK);
    if (!origin_is_whole(buf_slice(&e->in)))
        return;
    o->asked_n++;
    o->asked.n = 0;
    CHECK(buf_add(&o->asked, buf_slice(&e->in)) == ERR_OK);
    e->in.n = 0;
    if (reply.n > 0) {
        memcpy(copy, reply.p, reply.n);
        stream_send(e->stream, (struct slice){copy, reply.n});
    }
    if (o->hang_up)
        stream_finish(&e->stream);
}

static inline void origin_on_close(void *ud, enum err why)
{
    (void)why;
    stream_close(&((struct origin_end *)ud)->stream);
}

static const struct stream_cb ORIGIN_CB = {NULL, origin_on_data, NULL, origin_on_close};

static inline void origin_on_accept(void *ud, struct stream *s, const struct addr *peer)
{
    struct origin *o = ud;
    struct origin_end *e = &o->ends[o->ends_n];

    (void)peer;
    ASSERT(o->ends_n < ORIGIN_ENDS_MAX);
    o->ends_n++;
    *e = (struct origin_end){.origin = o, .stream = s};
    buf_init(&e->in, WIRE_MAX, NULL);
    stream_set_cb(s, &ORIGIN_CB, e);
}

static inline void origin_open(struct origin *o, struct world *w, const char *reply)
{
    struct loop *l = w->client_loop;
    struct addr at;

    *o = (struct origin){.w = w, .reply = slice_of(reply)};
    buf_init(&o->asked, WIRE_MAX, NULL);
    CHECK_INT(addr_parse(SLICE(ORIGIN_AT), &at), ERR_OK);
    CHECK_INT(l->ops->listen(l, &at, origin_on_accept, o, &o->listener, NULL), ERR_OK);
}

static inline void origin_close(struct origin *o)
{
    for (size_t i = 0; i < o->ends_n; i++) {
        if (o->ends[i].stream != NULL)
            stream_close(&o->ends[i].stream);
        buf_fini(&o->ends[i].in);
    }
    o->w->client_loop->ops->unlisten(&o->listener);
    buf_fini(&o->asked);
}

/* Bytes on the i-th connection that came, whatever was asked. */
static inline void origin_say(struct origin *o, size_t i, const char *text)
{
    char *copy = loop_scratch(o->w->client_loop, strlen(text));

    if (!CHECK(i < o->ends_n && o->ends[i].stream != NULL))
        return;
    memcpy(copy, text, strlen(text));
    stream_send(o->ends[i].stream, (struct slice){copy, strlen(text)});
}

static inline bool origin_was_asked(const struct origin *o, const char *text)
{
    return slice_find(buf_slice(&o->asked), slice_of(text)) >= 0;
}

/* A response with this status line, further header lines (CRLF each, or "") and body, in static memory. */
static inline const char *origin_response(const char *status, const char *headers, const char *body)
{
    static char text[65536];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
                     strlen(body), body);

    ASSERT(n > 0 && (size_t)n < sizeof text);
    return text;
}

#endif
