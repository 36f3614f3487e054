/* SPDX-License-Identifier: MIT */
/* Cross-origin requests (WHATWG Fetch, "CORS protocol"): pages of the origins that the file lists may call
 * the gateway from a browser. Off unless it lists some. */
#ifndef GATEWAY_CORS_H
#define GATEWAY_CORS_H

#include "base/arena.h"
#include "config/config.h"
#include "http/message.h"

#define CORS_HEADERS_MAX 6

/* What every response carries besides its own headers: nothing where no origins are listed. Adds behind h[n];
 * returns the new n. */
size_t cors_add(const struct config *cfg, const struct http_request *rq, struct header *h, size_t n);
/* Whether it is a browser's question before the request itself. */
bool cors_is_preflight(const struct http_request *rq);
/* The answer to that question, if its origin may ask. methods: of the route, "GET, HEAD, OPTIONS". */
size_t cors_add_preflight(const struct config *cfg, const struct http_request *rq, struct slice methods,
                          struct header *h, size_t n);

#endif
