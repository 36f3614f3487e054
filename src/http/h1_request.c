/* SPDX-License-Identifier: MIT */
/* Strict request heads.
 *
 * Why a look at the request line of our own: llhttp accepts several blanks in it, RTSP and ICE, HTTP/0.9
 * and 2.0, and leading empty lines without bound. The line is judged on its raw bytes before llhttp sees
 * it; only a line that the network cut is put together in the arena first.
 *
 * What is refused and why: RFC 9112 3 (request line), 3.2 (Host), 5 (fields), 6.1 and 6.3 (framing), 11.2
 * (smuggling); "HTTP Desync Attacks" (Kettle, 2019) for the ways in which Transfer-Encoding has been
 * hidden. */
#include "http/h1_request.h"

#include "base/assert.h"

/* A token's characters (RFC 9110 5.6.2). */
static bool is_token_char(char c)
{
    unsigned char u = (unsigned char)c;

    if ((u | 32) >= 'a' && (u | 32) <= 'z')
        return true;
    return (u >= '0' && u <= '9') || (u != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_token_char(s.p[i]))
            return false;
    }
    return s.n > 0;
}

void h1_request_init(struct h1_request *r, struct arena *arena, size_t head_max)
{
    memset(&r->rq, 0, sizeof r->rq);
    h1_init(&r->h1, HTTP_REQUEST, arena, head_max);
    r->line = (struct h1_text){NULL, 0, 0};
    r->line_done = r->expects_continue = false;
}

/* -- the request line ----------------------------------------------------------------------------------- */

static enum http_method method_of(struct slice s)
{
    static const struct {
        struct slice text;
        enum http_method method;
    } METHODS[] = {
        {{"POST", 4}, HTTP_POST},   {{"GET", 3}, HTTP_GET},       {{"HEAD", 4}, HTTP_HEAD},
        {{"PUT", 3}, HTTP_PUT},     {{"DELETE", 6}, HTTP_DELETE}, {{"OPTIONS", 7}, HTTP_OPTIONS},
        {{"PATCH", 5}, HTTP_PATCH},
    };

    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++) {
        if (slice_eq(s, METHODS[i].text))
            return METHODS[i].method;
    }
    return HTTP_OTHER;
}

/* The target without scheme and authority; p NULL if it has a form that no request to a gateway has. */
static struct slice origin_form(struct slice target, bool options)
{
    struct slice rest;

    if (target.n > 0 && target.p[0] == '/')
        return target;
    if (options && slice_eq(target, SLICE("*")))
        return target;
    if (slice_istarts(target, SLICE("http://")))
        rest = slice_from(target, 7);
    else if (slice_istarts(target, SLICE("https://")))
        rest = slice_from(target, 8);
    else
        return SLICE_NONE;
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] == '/')
            return i > 0 ? slice_from(rest, i) : SLICE_NONE;
        if (rest.p[i] == '?')
            return SLICE_NONE; /* no path before the query: rare enough to refuse */
    }
    return rest.n > 0 ? SLICE("/") : SLICE_NONE;
}

static enum err judge_target(struct h1_request *r, struct slice target)
{
    struct http_request *rq = &r->rq;

    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];

        if (c <= ' ' || c >= 127 || c == '#')
            return ERR_BAD_REQUEST;
    }
    rq->target = target;
    rq->query = SLICE_NONE;
    rq->path = slice_cut(origin_form(target, rq->method == HTTP_OPTIONS), '?', &rq->query);
    if (rq->query.p == NULL)
        rq->query = SLICE("");
    return rq->path.p != NULL ? ERR_OK : ERR_BAD_REQUEST;
}

/* `line` lives as long as the request and ends with LF. */
static enum err judge_line(struct h1_request *r, struct slice line)
{
    struct slice rest, method, target, version;

    if (line.n < 2 || line.p[line.n - 2] != '\r')
        return ERR_BAD_REQUEST;
    line.n -= 2;
    method = slice_cut(line, ' ', &rest);
    target = slice_cut(rest, ' ', &version);
    if (!is_token(method) || target.n == 0 || !slice_starts(version, SLICE("HTTP/")))
        return ERR_BAD_REQUEST;
    version = slice_from(version, 5);
    if (version.n != 3 || version.p[1] != '.')
        return ERR_BAD_REQUEST;
    if (version.p[0] != '1' || (version.p[2] != '0' && version.p[2] != '1'))
        return ERR_HTTP_VERSION;
    r->rq.minor = version.p[2] - '0';
    r->rq.method = method_of(method);
    r->rq.method_text = method;
    if (slice_eq(method, SLICE("CONNECT")))
        return ERR_METHOD_NOT_ALLOWED;
    return judge_target(r, target);
}

/* Gathers the line, judges it, and gives it to llhttp. */
static enum err read_line(struct h1_request *r, struct slice bytes, size_t *used)
{
    struct h1 *h = &r->h1;
    const char *lf = memchr(bytes.p, '\n', bytes.n);
    size_t n = lf != NULL ? (size_t)(lf - bytes.p) + 1 : bytes.n, old = r->line.n, ignored;
    struct slice line;
    enum err e;

    *used = n;
    if (old == 0 && !is_token_char(bytes.p[0]))
        return ERR_BAD_REQUEST; /* TLS on a plain port, for one: no need to wait for a line */
    if (n > h->head_max - old)
        return ERR_HEAD_TOO_LARGE;
    h1_text_add(&r->line, h->arena, (struct slice){bytes.p, n});
    if (lf == NULL)
        return ERR_OK;
    r->line_done = true;
    line = (struct slice){r->line.p, r->line.n};
    e = judge_line(r, line);
    return e != ERR_OK ? e : h1_head(h, line, &ignored);
}

/* -- the whole head ------------------------------------------------------------------------------------- */

static bool is_host(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool letter = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');

        if (!letter && (c == 0 || strchr("-._~:[]%!$&'()*+;=", c) == NULL))
            return false;
    }
    return true;
}

static enum err judge_framing(struct h1_request *r, const struct h1_facts *f)
{
    struct http_request *rq = &r->rq;
    enum h1_framing framing = H1_NONE;

    if (f->coding_n > 0 && (f->length_n > 0 || f->coding_n > 1 || rq->minor == 0))
        return ERR_BAD_REQUEST;
    if (f->coding_n > 0 && !f->chunked)
        return ERR_TRANSFER_CODING;
    if (f->length_n > 1 || (f->length_n == 1 && f->length < 0))
        return ERR_BAD_REQUEST;
    if (f->coding_n > 0)
        framing = H1_CHUNKED;
    else if (f->length_n > 0)
        framing = H1_SIZED;
    rq->has_body = framing == H1_CHUNKED || (framing == H1_SIZED && f->length > 0);
    rq->content_length = framing == H1_CHUNKED ? -1 : framing == H1_SIZED ? f->length : 0;
    return h1_begin_body(&r->h1, framing, rq->content_length);
}

static enum err judge_head(struct h1_request *r)
{
    struct h1 *h = &r->h1;
    struct http_request *rq = &r->rq;
    struct h1_facts f = h1_facts(h);

    if (f.host_n > 1 || (f.host_n == 0 && rq->minor > 0) || !is_host(f.host))
        return ERR_BAD_REQUEST;
    rq->headers = h->headers;
    rq->headers_n = h->headers_n;
    rq->keep_alive = llhttp_should_keep_alive(&h->parser) != 0;
    if (f.expect.p != NULL && rq->minor > 0) { /* HTTP/1.0 has no expectations: RFC 9110 10.1.1 */
        if (!slice_ieq(f.expect, SLICE("100-continue")))
            return ERR_EXPECTATION;
        r->expects_continue = true;
    }
    return judge_framing(r, &f);
}

enum err h1_request_head(struct h1_request *r, struct slice bytes, size_t *used)
{
    size_t line_n = 0, fields_n = 0;
    enum err e = ERR_OK;

    *used = 0;
    if (!r->line_done && bytes.n > 0)
        e = read_line(r, bytes, &line_n);
    if (e != ERR_OK || !r->line_done)
        goto out;
    e = h1_head(&r->h1, slice_from(bytes, line_n), &fields_n);
    if (e == ERR_OK && r->h1.phase == H1_HEAD_DONE)
        e = judge_head(r);
out:
    *used = line_n + fields_n;
    return e;
}
