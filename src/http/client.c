/* SPDX-License-Identifier: MIT */
/* Requests out, responses in.
 *
 * A response is judged as strictly as a request: an endpoint behind a confused proxy must not make us hand
 * the end of one answer to the next request on the same connection (RFC 9112 6.3, 11.1). */
#include "http/client.h"

#include "base/assert.h"
#include "base/mem.h"
#include "http/h1.h"
#include "http/head.h"
#include "io/loop.h"

#define FIRST_BYTES 2048
#define ARENA_BLOCK_BYTES 4096
#define INTERIM_MAX 8 /* 1xx heads before the final one */
#define BODY_COPY_MAX 4096
#define HEAD_FIXED_MAX 128 /* what is in a request's head besides the caller's bytes */

struct client {
    struct h1 h1;
    struct arena arena;
    struct budget *budget;
    size_t charged_bytes; /* of the arena's heap blocks */
    const struct client_cb *cb;
    void *ud;
    struct http_response response;
    size_t interim_n;
    size_t head_max;
    bool head_done, complete, broken, bodiless;
    char first[FIRST_BYTES];
};

static void expect_head(struct client *c)
{
    h1_init(&c->h1, HTTP_RESPONSE, &c->arena, c->head_max);
}

struct client *client_new(size_t head_max, struct budget *budget, const struct client_cb *cb, void *ud)
{
    struct client *c = mem_alloc(sizeof *c);

    memset(c, 0, offsetof(struct client, first));
    arena_init(&c->arena, c->first, sizeof c->first, ARENA_BLOCK_BYTES);
    c->budget = budget;
    c->cb = cb;
    c->ud = ud;
    c->head_max = head_max;
    expect_head(c);
    return c;
}

void client_free(struct client **cp)
{
    struct client *c = *cp;

    *cp = NULL;
    if (c == NULL)
        return;
    arena_fini(&c->arena);
    budget_release(c->budget, c->charged_bytes);
    mem_free(c);
}

void client_expect_no_body(struct client *c)
{
    c->bodiless = true;
}

/* -- the request ---------------------------------------------------------------------------------------- */

static char *put_head(char *at, const struct client_request *rq)
{
    at = head_put(at, rq->method);
    *at++ = ' ';
    if (rq->whole_url)
        at = head_put(head_put(at, SLICE("http://")), rq->authority);
    at = head_put(head_put(at, rq->base_path), rq->path);
    at = head_put(at, SLICE(" HTTP/1.1\r\n"));
    at = head_put_fields(at, &(struct header){SLICE("Host"), rq->authority}, 1);
    if (rq->proxy_authorization.n > 0)
        at = head_put_fields(at, &(struct header){SLICE("Proxy-Authorization"), rq->proxy_authorization}, 1);
    at = head_put_fields(at, rq->headers, rq->headers_n);
    if (rq->body_n > 0 || rq->body_bytes > 0) {
        at = head_put(at, SLICE("Content-Length: "));
        at = head_put_number(at, rq->body_bytes);
        at = head_put(at, SLICE("\r\n"));
    }
    return head_put(at, SLICE("\r\n"));
}

void client_send(struct stream *s, const struct client_request *rq)
{
    struct arena *turn = &s->loop->turn;
    bool copied = rq->body_bytes <= BODY_COPY_MAX;
    size_t bound = HEAD_FIXED_MAX + rq->method.n + rq->base_path.n + rq->path.n + 2 * rq->authority.n +
                   rq->proxy_authorization.n + head_fields_bytes(rq->headers, rq->headers_n),
           sum = 0;
    char *p, *at;

    for (size_t i = 0; i < rq->body_n; i++)
        sum += rq->body[i].n;
    ASSERT(rq->body_n == 0 || sum == rq->body_bytes);
    p = arena_reserve(turn, bound + (copied ? sum : 0));
    at = put_head(p, rq);
    for (size_t i = 0; copied && i < rq->body_n; i++)
        at = head_put(at, rq->body[i]);
    arena_commit(turn, (size_t)(at - p));
    stream_send(s, (struct slice){p, (size_t)(at - p)});
    for (size_t i = 0; !copied && i < rq->body_n; i++)
        stream_send(s, rq->body[i]);
}

/* -- the response --------------------------------------------------------------------------------------- */

static enum err charge(struct client *c)
{
    size_t more = c->arena.used_bytes - c->charged_bytes;

    if (more == 0)
        return ERR_OK;
    if (!budget_charge(c->budget, more))
        return ERR_MEMORY_BUDGET;
    c->charged_bytes += more;
    return ERR_OK;
}

static enum err interim(struct client *c, int status)
{
    struct h1_facts f = h1_facts(&c->h1);

    if (status == 101 || f.length_n > 0 || f.coding_n > 0 || ++c->interim_n > INTERIM_MAX)
        return ERR_MALFORMED; /* nobody asked for another protocol, and interim responses have no body */
    arena_reset(&c->arena);
    budget_release(c->budget, c->charged_bytes - c->arena.used_bytes);
    c->charged_bytes = c->arena.used_bytes;
    expect_head(c);
    return ERR_OK;
}

static enum err judge_framing(struct client *c)
{
    struct http_response *rs = &c->response;
    struct h1_facts f = h1_facts(&c->h1);
    bool bodiless = c->bodiless || rs->status == 204 || rs->status == 304;
    enum h1_framing framing = H1_UNTIL_CLOSE;

    if (f.coding_n > 1 || (f.coding_n == 1 && (!f.chunked || f.length_n > 0 || rs->minor == 0)))
        return ERR_MALFORMED;
    if (f.length_n > 1 || (f.length_n == 1 && f.length < 0))
        return ERR_MALFORMED;
    rs->chunked = f.coding_n == 1;
    rs->content_length = f.length;
    if (bodiless)
        framing = H1_NONE;
    else if (rs->chunked)
        framing = H1_CHUNKED;
    else if (f.length_n == 1)
        framing = H1_SIZED;
    rs->keep_alive = rs->keep_alive && framing != H1_UNTIL_CLOSE;
    return h1_begin_body(&c->h1, framing, f.length) == ERR_OK ? ERR_OK : ERR_MALFORMED;
}

/* Whether the connection outlives this response, by version and Connection alone. llhttp's own answer
 * depends on the body, about which it knows less than we do. */
static bool persists(const struct h1 *h, int minor)
{
    if ((h->parser.flags & F_CONNECTION_CLOSE) != 0)
        return false;
    return minor > 0 || (h->parser.flags & F_CONNECTION_KEEP_ALIVE) != 0;
}

static enum err judge_head(struct client *c)
{
    struct http_response *rs = &c->response;
    struct h1 *h = &c->h1;
    int status = h->parser.status_code;
    enum err e;

    if (h->parser.http_major != 1 || h->parser.http_minor > 1 || status < 100 || status > 599)
        return ERR_MALFORMED;
    if (status < 200)
        return interim(c, status);
    rs->status = status;
    rs->minor = h->parser.http_minor;
    rs->headers = h->headers;
    rs->headers_n = h->headers_n;
    rs->keep_alive = persists(h, rs->minor);
    e = judge_framing(c);
    if (e != ERR_OK)
        return e;
    c->head_done = true;
    return c->cb->on_head(c->ud, rs);
}

static enum err finish(struct client *c)
{
    c->complete = true;
    if (c->cb->on_end != NULL)
        c->cb->on_end(c->ud);
    return ERR_OK;
}

static enum err on_body(void *ud, struct slice bytes)
{
    struct client *c = ud;

    return c->cb->on_body(c->ud, bytes);
}

static enum err step(struct client *c, struct slice in, size_t *used)
{
    enum err e;

    if (c->complete)
        return ERR_MALFORMED;
    if (c->head_done) {
        enum h1_phase phase;

        e = h1_body(&c->h1, in, used, on_body, c);
        phase = c->h1.phase;
        if (e == ERR_BAD_REQUEST)
            return ERR_MALFORMED;
        if (e == ERR_HEAD_TOO_LARGE)
            return ERR_TOO_LARGE;
        return e == ERR_OK && phase == H1_DONE ? finish(c) : e;
    }
    if (c->h1.head_n == 0 && in.p[0] != 'H')
        return ERR_MALFORMED; /* llhttp would skip empty lines; they are the rest of something else */
    e = h1_head(&c->h1, in, used);
    if (e != ERR_OK)
        return e == ERR_HEAD_TOO_LARGE ? ERR_TOO_LARGE : ERR_MALFORMED;
    e = charge(c);
    if (e != ERR_OK || c->h1.phase != H1_HEAD_DONE)
        return e;
    e = judge_head(c);
    return e == ERR_OK && c->head_done && c->h1.phase == H1_DONE ? finish(c) : e;
}

enum err client_feed(struct client *c, struct slice bytes)
{
    while (bytes.n > 0 && !c->broken) {
        size_t used = 0;
        enum err e = step(c, bytes, &used);

        if (e != ERR_OK) {
            c->broken = true;
            return e;
        }
        bytes = slice_from(bytes, used);
    }
    return c->broken ? ERR_MALFORMED : ERR_OK;
}

enum err client_eof(struct client *c)
{
    if (c->broken)
        return ERR_MALFORMED;
    if (c->complete)
        return ERR_OK;
    if (!c->head_done || c->h1.framing != H1_UNTIL_CLOSE)
        return ERR_EOF;
    return finish(c);
}

void client_touched_by(const struct client *c, struct stream *s)
{
    stream_touches(s, c, 0, offsetof(struct client, first));
}

bool client_complete(const struct client *c)
{
    return c->complete;
}

bool client_can_reuse(const struct client *c)
{
    return c->complete && !c->broken && c->response.keep_alive;
}
