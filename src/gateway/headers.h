/* SPDX-License-Identifier: MIT */
/* Which headers go up to an endpoint: a table, because what is not in it never leaves (DESIGN 4.8). */
#ifndef GATEWAY_HEADERS_H
#define GATEWAY_HEADERS_H

#include "config/config.h"
#include "http/message.h"

#define HEADERS_UP_MAX 16

struct headers_ask {
    const struct config_endpoint *endpoint;
    struct slice authorization;  /* what the client sent; used with key: client only */
    struct slice request_id;     /* ours */
    const struct header *client; /* the client's headers */
    size_t client_n;
    bool stream;
    int hops; /* gateways before this one */
};

struct arena;

/* Fills `out` (HEADERS_UP_MAX rows); values that have to be made live in the arena. Returns how many. */
size_t headers_up(const struct headers_ask *ask, struct arena *arena, struct header *out);
/* The credential that goes up to the endpoint, without its scheme; empty when none does. `authorization`:
 * what the client sent. */
struct slice headers_secret(const struct config_endpoint *ep, struct slice authorization);
/* The client's headers that a flight has to keep because they may go up: copied into the arena. */
size_t headers_keep(const struct header *client, size_t client_n, struct arena *arena, struct header *out);

#endif
