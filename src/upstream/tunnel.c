/* SPDX-License-Identifier: MIT */
/* The request for a tunnel and its answer. Every 2xx opens it, whatever else its head says; the body of any
 * other answer is left unread, since a proxy's page is nobody's business but the operator's, whom the status
 * tells enough. */
#include "upstream/tunnel.h"

#include "base/assert.h"
#include "http/head.h"
#include "io/loop.h"

#define HEAD_MAX ((size_t)16 * 1024)
#define HEAD_FIXED_MAX 96 /* of the request, besides target and credential */

static void report(struct tunnel *t, enum err e)
{
    tunnel_end(t);
    t->cb(t->ud, e, t->status);
}

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct tunnel *t = ud;

    t->status = rs->status;
    return rs->status < 300 ? ERR_OK : ERR_PROXY;
}

static enum err on_body(void *ud, struct slice bytes)
{
    (void)ud;
    (void)bytes;
    return ERR_PROXY;
}

static const struct client_cb CLIENT_CB = {on_head, on_body, NULL};

static void on_data(void *ud, struct slice bytes)
{
    struct tunnel *t = ud;
    enum err e = client_feed(t->client, bytes);

    if (e != ERR_OK)
        report(t, e);
    else if (client_complete(t->client))
        report(t, ERR_OK);
}

static void on_close(void *ud, enum err why)
{
    report(ud, why == ERR_EOF ? ERR_RESET : why);
}

static const struct stream_cb STREAM_CB = {NULL, on_data, NULL, on_close};

static void send_request(const struct tunnel *t, const struct proxy *p, struct slice target)
{
    const struct header headers[] = {{SLICE("Host"), target},
                                     {SLICE("User-Agent"), SLICE("tidegate")},
                                     {SLICE("Proxy-Authorization"), p->authorization}};
    size_t n = p->authorization.n > 0 ? 3 : 2;
    size_t bound = HEAD_FIXED_MAX + target.n + head_fields_bytes(headers, n);
    char *head = loop_scratch(t->stream->loop, bound), *at = head;

    at = head_put(head_put(head_put(at, SLICE("CONNECT ")), target), SLICE(" HTTP/1.1\r\n"));
    at = head_put(head_put_fields(at, headers, n), SLICE("\r\n"));
    ASSERT((size_t)(at - head) <= bound);
    stream_send(t->stream, (struct slice){head, (size_t)(at - head)});
}

void tunnel_start(struct tunnel *t, struct stream *s, const struct proxy *p, struct slice target,
                  tunnel_cb cb, void *ud)
{
    tunnel_free(t);
    *t = (struct tunnel){.stream = s, .cb = cb, .ud = ud};
    t->client = client_new(HEAD_MAX, s->loop->budget, &CLIENT_CB, t);
    client_expect_no_body(t->client);
    stream_set_cb(s, &STREAM_CB, t);
    send_request(t, p, target);
}

void tunnel_end(struct tunnel *t)
{
    if (t->client == NULL)
        return;
    t->spent = t->client;
    t->client = NULL;
}

void tunnel_free(struct tunnel *t)
{
    client_free(&t->client);
    client_free(&t->spent);
}
