/* SPDX-License-Identifier: MIT */
/* The table of routes. DeepSeek's users configure a base URL without /v1, so every API path exists in both
 * forms. */
#include "gateway/routes.h"

#include "base/assert.h"
#include "gateway/local.h"

#define ASK(path, id, surface)                          \
    {                                                   \
        path, HTTP_POST, id, surface, true, false, NULL \
    }
#define TELL(path, id, versioned, open, answer)                \
    {                                                          \
        path, HTTP_GET, id, SURFACE_N, versioned, open, answer \
    }

static const struct route ROUTES[] = {
    ASK("/chat/completions", ROUTE_CHAT, SURFACE_CHAT),
    ASK("/completions", ROUTE_COMPLETIONS, SURFACE_COMPLETIONS),
    ASK("/embeddings", ROUTE_EMBEDDINGS, SURFACE_EMBEDDINGS),
    ASK("/responses", ROUTE_RESPONSES, SURFACE_RESPONSES),
    ASK("/messages", ROUTE_MESSAGES, SURFACE_MESSAGES),
    TELL("/models", ROUTE_MODELS, true, false, local_models),
    TELL("/models/", ROUTE_MODELS, true, false, local_model),
    TELL("/healthz", ROUTE_HEALTHZ, false, true, local_healthz),
    TELL("/readyz", ROUTE_READYZ, false, true, local_readyz),
};

const struct route ROUTE_UNKNOWN = {"", HTTP_OTHER, ROUTE_OTHER, SURFACE_N, false, true, NULL};
const struct route ROUTE_ABOUT = {"", HTTP_OPTIONS, ROUTE_OPTIONS, SURFACE_N, false, true, local_about};

/* The path as it stands in the table. */
static struct slice bare(const struct route *r, struct slice path)
{
    return r->versioned && slice_starts(path, SLICE("/v1/")) ? slice_from(path, 3) : path;
}

static bool path_is(const struct route *r, struct slice path)
{
    struct slice own = slice_of(r->path), asked = bare(r, path);

    if (slice_ends(own, SLICE("/")))
        return slice_starts(asked, own) && asked.n > own.n;
    return slice_eq(asked, own);
}

static struct slice without_trailing_slash(struct slice path)
{
    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

struct route_found routes_find(const struct http_request *rq)
{
    struct slice path = without_trailing_slash(rq->path);
    enum http_method method = rq->method == HTTP_HEAD ? HTTP_GET : rq->method;
    const struct route *r = ROUTES, *end = ROUTES + COUNT_OF(ROUTES);
    struct route_found found = {.err = ERR_ROUTE_NOT_FOUND};

    while (r < end && !path_is(r, path))
        r++;
    if (r == end)
        return found;
    found.route = r;
    found.allow = r->method == HTTP_POST ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
    found.err = r->method == method ? ERR_OK : ERR_METHOD_NOT_ALLOWED;
    if (method == HTTP_OPTIONS)
        found = (struct route_found){&ROUTE_ABOUT, found.allow, ERR_OK};
    return found;
}

struct slice routes_rest(const struct route *r, const struct http_request *rq)
{
    return slice_from(bare(r, without_trailing_slash(rq->path)), strlen(r->path));
}

const struct surface *routes_surface(const struct route *r)
{
    return r->surface == SURFACE_N ? NULL : surface_get(r->surface);
}
