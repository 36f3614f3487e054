/* SPDX-License-Identifier: MIT */
/* Answers browsers. A preflight carries no key, so it is answered before anybody is identified; what it
 * learns is no secret. No cookie is read here, therefore no response allows credentials, and "*" may stand
 * for every origin.
 *
 * The headers that a page wants to send are all allowed when its origin is: SDKs send a growing family of
 * them (x-stainless-*), and none does anything but what it does for every client with the same key. */
#include "gateway/cors.h"

#define MAX_AGE_S "7200" /* the most that Chromium takes */

/* What scripts may read of a response, besides its body. */
static const char EXPOSED[] =
    "x-request-id, request-id, retry-after, retry-after-ms, x-should-retry, x-tidegate-endpoint, "
    "x-tidegate-attempts, x-tidegate-wait-ms, x-tidegate-upstream-id, "
    "x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, "
    "x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens";

/* What may be said to the request's origin: itself, "*", or nothing. */
static struct slice allowed(const struct config *cfg, const struct http_request *rq)
{
    struct slice origin = http_header(rq->headers, rq->headers_n, "origin");

    for (size_t i = 0; i < cfg->cors_origins_n && origin.n > 0; i++) {
        if (slice_eq(cfg->cors_origins[i], SLICE("*")))
            return SLICE("*");
        if (slice_ieq(cfg->cors_origins[i], origin))
            return origin;
    }
    return SLICE_NONE;
}

/* A cache must not show one origin, or none, what was said to another. */
static size_t add_origin(struct slice origin, struct header *h, size_t n)
{
    if (!slice_eq(origin, SLICE("*")))
        h[n++] = (struct header){SLICE("Vary"), SLICE("Origin")};
    if (origin.n > 0)
        h[n++] = (struct header){SLICE("Access-Control-Allow-Origin"), origin};
    return n;
}

size_t cors_add(const struct config *cfg, const struct http_request *rq, struct header *h, size_t n)
{
    struct slice origin;

    if (cfg->cors_origins_n == 0)
        return n;
    origin = allowed(cfg, rq);
    n = add_origin(origin, h, n);
    if (origin.n > 0)
        h[n++] = (struct header){SLICE("Access-Control-Expose-Headers"), slice_of(EXPOSED)};
    return n;
}

bool cors_is_preflight(const struct http_request *rq)
{
    return rq->method == HTTP_OPTIONS &&
           http_header(rq->headers, rq->headers_n, "access-control-request-method").n > 0;
}

size_t cors_add_preflight(const struct config *cfg, const struct http_request *rq, struct slice methods,
                          struct header *h, size_t n)
{
    struct slice wanted = http_header(rq->headers, rq->headers_n, "access-control-request-headers");
    struct slice origin;

    if (cfg->cors_origins_n == 0)
        return n;
    origin = allowed(cfg, rq);
    n = add_origin(origin, h, n);
    if (origin.n == 0)
        return n;
    h[n++] = (struct header){SLICE("Access-Control-Allow-Methods"), methods};
    if (wanted.n > 0)
        h[n++] = (struct header){SLICE("Access-Control-Allow-Headers"), wanted};
    h[n++] = (struct header){SLICE("Access-Control-Max-Age"), SLICE(MAX_AGE_S)};
    return n;
}
