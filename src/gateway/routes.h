/* SPDX-License-Identifier: MIT */
/* Which paths and methods exist, as a table. */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include "base/err.h"
#include "gateway/stats.h"
#include "http/message.h"

struct exchange;

struct route {
    const char *path; /* without /v1 */
    enum http_method method;
    enum route_id id;
    bool versioned;                      /* also served with /v1 before it */
    bool open;                           /* needs no key */
    void (*answer)(struct exchange *ex); /* NULL: a chat completion, answered by a flight */
};

/* The route of a request, or NULL with why: ERR_ROUTE_NOT_FOUND, or ERR_METHOD_NOT_ALLOWED with *allow set.
 */
const struct route *routes_find(const struct http_request *rq, enum err *why, const char **allow);
/* What an exchange without a route is recorded under. */
extern const struct route ROUTE_UNKNOWN;

#endif
