/* SPDX-License-Identifier: MIT */
/* Which headers pass, in both directions: a table, because what is not in it never leaves (DESIGN 4.8). */
#ifndef GATEWAY_HEADERS_H
#define GATEWAY_HEADERS_H

#include "config/config.h"
#include "http/message.h"
#include "llm/dialect.h"

#define HEADERS_UP_MAX 20
#define HEADERS_KEPT_MAX 9
#define HEADERS_DOWN_MAX 5

struct headers_ask {
    const struct config_endpoint *endpoint;
    struct slice authorization;  /* what the client sent; used with key: client only */
    struct slice request_id;     /* ours */
    const struct header *client; /* the client's headers */
    size_t client_n;
    bool stream;
    int hops; /* gateways before this one */
    enum surface_id surface;
    bool sensitive;
};

struct arena;

/* Fills `out` (HEADERS_UP_MAX rows); values that have to be made live in the arena. Returns how many. */
size_t headers_up(const struct headers_ask *ask, struct arena *arena, struct header *out);
/* The credential that goes up to the endpoint, without its scheme; empty when none does. `authorization` and
 * `client`: what the client sent. */
struct slice headers_secret(const struct config_endpoint *ep, struct slice authorization,
                            const struct header *client, size_t client_n);
/* The client's headers that a flight has to keep because they may go up: copied into the arena, into
 * HEADERS_KEPT_MAX rows. */
size_t headers_keep(const struct header *client, size_t client_n, struct arena *arena, struct header *out);

/* The headers of an endpoint's response that go on to the client: copied into the arena, HEADERS_DOWN_MAX
 * rows. One that repeats `secret`, or anything that looks like a credential, stays here. NULL with *n 0 for
 * none, which allocates nothing. */
const struct header *headers_down(const struct config_endpoint *ep, struct slice secret,
                                  const struct http_response *rs, struct arena *arena, size_t *n);

#endif
