/* SPDX-License-Identifier: MIT */
/* The heads of HTTP messages as values. */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct header {
    struct slice name, value; /* value trimmed */
};

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_PATCH,
    HTTP_OTHER
};

struct http_request {
    enum http_method method;
    struct slice method_text;
    struct slice target; /* as sent */
    struct slice path;   /* without query; not decoded */
    struct slice query;  /* without '?', may be empty */
    int minor;           /* HTTP/1.minor */
    const struct header *headers;
    size_t headers_n;
    bool keep_alive;
    bool has_body;          /* a body follows (may turn out empty) */
    int64_t content_length; /* -1: chunked */
};

struct http_response {
    int status;
    int minor;
    const struct header *headers;
    size_t headers_n;
    int64_t content_length; /* -1: chunked or until close */
    bool chunked;
    bool keep_alive;
};

/* The first header of that name (ASCII case folded), or SLICE_NONE. */
struct slice http_header(const struct header *headers, size_t n, const char *name);
size_t http_header_count(const struct header *headers, size_t n, const char *name);
/* Whether a comma-separated header value has this token (ASCII case folded, parameters ignored). */
bool http_has_token(struct slice value, const char *token);
/* Retry-After in seconds or as an HTTP date, or retry-after-ms: how long to wait in us; -1: none or absurd
 * (negative, not a number, over a year). wall_us: now. */
int64_t http_retry_after_us(const struct header *headers, size_t n, int64_t wall_us);
const char *http_reason(int status); /* "Not Found"; "Unknown" for codes it does not know */

#endif
