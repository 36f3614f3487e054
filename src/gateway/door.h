/* SPDX-License-Identifier: MIT */
/* A door: one listener of one loop, and what a connection has to show there before it may speak HTTP.
 *
 *     accepted --> PROXY header --> TLS handshake --> in
 *                  where asked for  where there are certificates
 *
 * A connection on its way in is incoming. It has timeouts.handshake for all of it, and counts as a client's
 * connection from its first moment. At a door without either nothing is ever incoming: the connection is in
 * at once, and nothing is spent on it.
 *
 * Whoever speaks plain HTTP at a TLS door is let in marked as astray, so that the owner can tell him.
 * Threads: the loop's. */
#ifndef GATEWAY_DOOR_H
#define GATEWAY_DOOR_H

#include "config/config.h"
#include "io/loop.h"

struct tls_config;

/* Why an incoming connection was not let in. */
enum door_loss {
    DOOR_CROWDED,      /* too many connections of that address */
    DOOR_PROXY_HEADER, /* none, or a malformed one */
    DOOR_HANDSHAKE,    /* TLS failed */
    DOOR_LATE,         /* timeouts.handshake */
    DOOR_LEFT,         /* the client closed */
    DOOR_CLOSED,       /* we did: drain */
    DOOR_FULL,         /* limits.connections; for owners' figures, no connection is lost for it */
    DOOR_LOSSES_N
};

struct arrived {
    struct stream *stream;
    struct addr peer; /* as the PROXY header says, where there is one */
    void *tag;        /* from admit */
    bool astray;      /* plain HTTP at a TLS door */
};

struct door;

struct door_cb {
    /* A connection came; false: there is no room, it is closed. Each true is followed by enter or lost. */
    bool (*accept)(void *ud);
    /* Its address is known; false: it is closed (lost follows). */
    bool (*admit)(void *ud, const struct addr *peer, void **tag);
    /* The certificates to show now; borrowed. NULL: those that the door was opened with. */
    struct tls_config *(*certs)(void *ud, const char *at);
    int64_t (*patience_us)(void *ud); /* how long one may be incoming, as of now: timeouts.handshake */
    void (*enter)(void *ud, const struct arrived *a); /* takes the stream over; nothing was read of it yet */
    /* `detail` (may be "") says more, for a log: OpenSSL's reason. */
    void (*lost)(void *ud, const struct addr *peer, void *tag, enum door_loss why, const char *detail);
};

struct door_opts {
    const struct config_listener *listener; /* what is needed of it is copied */
    struct tls_config *certs;               /* or NULL; the door keeps a reference */
    const struct addr *at; /* where it really listens: the listener's address with its port known */
    const struct door_cb *cb;
    void *ud;
};

/* Listens. *bound (may be NULL) gets the real address. NULL when the address cannot be had. */
struct door *door_open(struct loop *l, const struct door_opts *o, struct addr *bound);
/* Stops listening, and closes what is incoming. */
void door_close(struct door **d);

#endif
