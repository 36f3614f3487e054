/* SPDX-License-Identifier: MIT */
/* What a client asks of the gateway in its request's headers, within what its key may have. */
#ifndef GATEWAY_WISHES_H
#define GATEWAY_WISHES_H

#include "config/config.h"
#include "http/message.h"

struct wishes {
    enum priority priority;
    int64_t deadline_ms; /* x-tidegate-deadline-ms; 0: none */
    bool why;            /* x-tidegate-why: its decisions are told in the response */
    int hops;            /* gateways that the request has passed through before this one */
    bool sensitive;      /* x-tidegate-sensitive: local-only */
    unsigned retries;    /* how often the client says that it has tried before */
    double timeout_s;    /* the client's own patience, as its SDK states it; 0: not stated */
};

/* More gateways in a row are a loop. */
#define WISHES_HOPS_MAX 4

/* ERR_LOOP past WISHES_HOPS_MAX. key: who calls, or NULL. ERR_BAD_FIELD with one sentence in *why and the
 * header's name in *param. */
enum err wishes_read(const struct http_request *rq, const struct config_key *key, struct wishes *out,
                     const char **why, const char **param);

#endif
