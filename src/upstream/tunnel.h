/* SPDX-License-Identifier: MIT */
/* Asking an HTTP proxy for a tunnel: CONNECT (RFC 9110 9.3.6) on a stream that is open. */
#ifndef UPSTREAM_TUNNEL_H
#define UPSTREAM_TUNNEL_H

#include "base/slice.h"
#include "http/client.h"

/* An HTTP proxy. Strings are borrowed. */
struct proxy {
    const char *host;
    uint16_t port;
    struct slice authorization; /* value of Proxy-Authorization, or empty; never to be shown */
};

/* e: ERR_OK, and the stream is now the tunnel; else status says what the proxy answered (0: nothing that can
 * be read), and the stream is of no use. */
typedef void (*tunnel_cb)(void *ud, enum err e, int status);

/* Embedded in its owner, whose memory must outlive the turn of tunnel_end. */
struct tunnel {
    struct stream *stream; /* the owner's */
    struct client *client; /* reads the answer; NULL: not under way */
    tunnel_cb cb;
    void *ud;
    int status;
    struct client *spent; /* to be freed by tunnel_free */
};

/* Sends the request for "host:port" and takes over the stream's callbacks. The callback comes later, never
 * inside the call. */
void tunnel_start(struct tunnel *t, struct stream *s, const struct proxy *p, struct slice target,
                  tunnel_cb cb, void *ud);
/* No callback comes after it. The stream stays the owner's. Idempotent. */
void tunnel_end(struct tunnel *t);
/* Frees what tunnel_end may not: outside every callback. */
void tunnel_free(struct tunnel *t);

#endif
