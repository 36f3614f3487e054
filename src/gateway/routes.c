/* SPDX-License-Identifier: MIT */
/* The table of routes. DeepSeek's users configure a base URL without /v1, so every API path exists in both
 * forms. */
#include "gateway/routes.h"

#include "base/assert.h"
#include "gateway/local.h"

static const struct route ROUTES[] = {
    {"/chat/completions", HTTP_POST, ROUTE_CHAT, true, false, NULL},
    {"/models", HTTP_GET, ROUTE_MODELS, true, false, local_models},
    {"/healthz", HTTP_GET, ROUTE_HEALTHZ, false, true, local_healthz},
    {"/readyz", HTTP_GET, ROUTE_READYZ, false, true, local_readyz},
};

const struct route ROUTE_UNKNOWN = {"", HTTP_OTHER, ROUTE_OTHER, false, true, NULL};

static bool path_is(const struct route *r, struct slice path)
{
    if (slice_eq(path, slice_of(r->path)))
        return true;
    return r->versioned && slice_starts(path, SLICE("/v1/")) &&
           slice_eq(slice_from(path, 3), slice_of(r->path));
}

static struct slice without_trailing_slash(struct slice path)
{
    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

static const char *allowed(const struct route *r)
{
    return r->method == HTTP_POST ? "POST" : "GET, HEAD";
}

const struct route *routes_find(const struct http_request *rq, enum err *why, const char **allow)
{
    struct slice path = without_trailing_slash(rq->path);
    enum http_method method = rq->method == HTTP_HEAD ? HTTP_GET : rq->method;

    *why = ERR_ROUTE_NOT_FOUND;
    for (size_t i = 0; i < COUNT_OF(ROUTES); i++) {
        if (!path_is(&ROUTES[i], path))
            continue;
        if (ROUTES[i].method == method)
            return &ROUTES[i];
        *why = ERR_METHOD_NOT_ALLOWED;
        *allow = allowed(&ROUTES[i]);
    }
    return NULL;
}
