/* SPDX-License-Identifier: MIT */
/* Which paths and methods exist, as a table. */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include "base/err.h"
#include "gateway/stats.h"
#include "http/message.h"
#include "llm/surface.h"

struct exchange;

struct route {
    const char *path; /* without /v1; with a slash at its end: whatever follows it */
    enum http_method method;
    enum route_id id;
    enum surface_id surface;             /* SURFACE_N: none */
    bool versioned;                      /* also served with /v1 before it */
    bool open;                           /* needs no key */
    void (*answer)(struct exchange *ex); /* answers at once; NULL: the surface's request goes to a flight */
};

struct route_found {
    const struct route *route; /* by the path; NULL: there is none */
    const char *allow;         /* methods that the path takes, or NULL */
    enum err err;              /* ERR_OK, ERR_ROUTE_NOT_FOUND, ERR_METHOD_NOT_ALLOWED */
};

/* OPTIONS on a path of ours finds ROUTE_ABOUT. */
struct route_found routes_find(const struct http_request *rq);
/* What follows the path of a route whose path ends with a slash: "gpt" of /v1/models/gpt. */
struct slice routes_rest(const struct route *r, const struct http_request *rq);
/* The surface of a route, or NULL. */
const struct surface *routes_surface(const struct route *r);

/* What an exchange without a route is recorded under. */
extern const struct route ROUTE_UNKNOWN;
/* Which methods a path takes, and whether a page of another origin may use them. */
extern const struct route ROUTE_ABOUT;

#endif
