/* SPDX-License-Identifier: MIT */
/* Judging responses.
 *
 * Codes of failures are the `error.code` that the server said (or its type), where it said one, and words of
 * our own where it could not: refused, truncated, no_done, malformed, ... A peer chooses its codes, so they
 * are cut and made of harmless letters. */
#include "load/judge.h"

#include <stdio.h>

#include "llm/failure.h"

#define EVENT_MAX_BYTES ((size_t)16 << 20)
#define BODY_MAX_BYTES ((size_t)64 << 20)

const char *ending_name(enum ending e)
{
    static const char *const NAMES[END_N] = {"full",   "degraded", "deferred", "templated",
                                             "failed", "refused",  "cancelled"};

    return NAMES[e];
}

void judge_init(struct judge *j, bool stream, struct json_pool *pool)
{
    *j = (struct judge){.pool = pool, .stream = stream, .retry_after_us = -1, .should_retry = -1};
    sse_init(&j->sse, EVENT_MAX_BYTES, NULL);
    buf_init(&j->body, BODY_MAX_BYTES, NULL);
}

void judge_fini(struct judge *j)
{
    sse_fini(&j->sse);
    buf_fini(&j->body);
}

/* -- codes ----------------------------------------------------------------------------------------------- */

static void set_code(struct judge *j, struct slice code)
{
    size_t n = code.n < JUDGE_CODE_BYTES - 1 ? code.n : JUDGE_CODE_BYTES - 1;

    if (j->code[0] != '\0')
        return; /* the first reason counts */
    for (size_t i = 0; i < n; i++) {
        char c = code.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                    c == '-' || c == '.';

        j->code[i] = fine ? c : '_';
    }
    j->code[n] = '\0';
}

/* What an error object calls itself; the fallback where it has no name. */
static void set_code_of(struct judge *j, struct slice text, const char *fallback)
{
    struct json_doc *doc;

    if (json_parse(text, j->pool, &doc, NULL) == ERR_OK) {
        struct failure f = failure_read(json_root(doc));

        if (json_string(f.code).n > 0)
            set_code(j, json_string(f.code));
        else if (json_string(f.type).n > 0)
            set_code(j, json_string(f.type));
        json_free(&doc);
    }
    set_code(j, slice_of(fallback));
}

static void set_code_of_status(struct judge *j)
{
    char fallback[32];

    snprintf(fallback, sizeof fallback, "http_%d", j->status);
    set_code_of(j, buf_slice(&j->body), fallback);
}

/* -- the head -------------------------------------------------------------------------------------------- */

static enum ending rung_of(struct slice rung)
{
    if (rung.n == 0 || slice_ieq(rung, SLICE("full")))
        return END_FULL;
    if (slice_ieq(rung, SLICE("template")))
        return END_TEMPLATED;
    return slice_ieq(rung, SLICE("ticket")) ? END_DEFERRED : END_DEGRADED;
}

enum err judge_head(struct judge *j, const struct http_response *rs, int64_t wall_us)
{
    struct slice type = http_header(rs->headers, rs->headers_n, "content-type");
    struct slice again = http_header(rs->headers, rs->headers_n, "x-should-retry");

    j->status = rs->status;
    j->rung = rung_of(http_header(rs->headers, rs->headers_n, "x-tidegate-rung"));
    j->events = slice_istarts(type, SLICE("text/event-stream"));
    j->retry_after_us = http_retry_after_us(rs->headers, rs->headers_n, wall_us);
    if (slice_ieq(again, SLICE("true")) || slice_ieq(again, SLICE("false")))
        j->should_retry = slice_ieq(again, SLICE("true"));
    return ERR_OK;
}

/* -- the body -------------------------------------------------------------------------------------------- */

/* Load is made of chat completions. */
static struct answer_opts opts(void)
{
    return (struct answer_opts){surface_get(SURFACE_CHAT), dialect_get(DIALECT_OPENAI)};
}

static bool is_success(const struct judge *j)
{
    return j->status >= 200 && j->status < 300;
}

static enum err on_event(void *ud, const struct sse_event *ev)
{
    struct answer_opts o = opts();
    struct judge *j = ud;
    struct event e;

    if (ev->data.p == NULL || j->done) /* clients do not read behind [DONE] */
        return ERR_OK;
    answer_event(&o, ev->data, j->pool, &e);
    if (e.kind == EVENT_DONE)
        j->done = true;
    if (e.kind == EVENT_ERROR)
        set_code_of(j, ev->data, "error_in_stream");
    if (e.kind == EVENT_BUSY)
        set_code(j, SLICE("busy_finish"));
    if (e.kind == EVENT_MALFORMED) {
        set_code(j, SLICE("malformed"));
        return ERR_MALFORMED;
    }
    j->has_text = j->has_text || e.has_text;
    j->finished = j->finished || e.finished;
    j->tokens_n += e.has_text;
    if (e.has_usage && e.usage.known && e.usage.completion_tokens > 0)
        j->usage_tokens = (uint64_t)e.usage.completion_tokens;
    return ERR_OK;
}

enum err judge_body(struct judge *j, struct slice bytes)
{
    enum err e;

    j->bytes += bytes.n;
    if (j->events && is_success(j))
        e = sse_feed(&j->sse, bytes, on_event, j);
    else
        e = buf_add(&j->body, bytes);
    if (e == ERR_TOO_LARGE)
        set_code(j, SLICE("too_large"));
    return e;
}

/* -- the end --------------------------------------------------------------------------------------------- */

static void set_code_of_end(struct judge *j, enum err why, bool connected)
{
    if (why == ERR_TIMEOUT && !connected)
        set_code(j, SLICE("timeout_connect"));
    else if (j->status == 0 && (why == ERR_EOF || why == ERR_RESET))
        set_code(j, SLICE("reset"));
    else if (why == ERR_EOF || why == ERR_RESET)
        set_code(j, SLICE("truncated"));
    else
        set_code(j, slice_of(err_row(why)->name));
}

static void judge_stream(struct judge *j)
{
    if (!j->done)
        set_code(j, SLICE("no_done"));
    else if (!j->finished)
        set_code(j, SLICE("no_finish"));
    else if (!j->has_text)
        set_code(j, SLICE("empty"));
}

static void judge_plain(struct judge *j)
{
    struct answer_opts o = opts();
    struct answer a;

    answer_body(&o, buf_slice(&j->body), j->pool, &a);
    if (a.usage.known && a.usage.completion_tokens > 0)
        j->usage_tokens = (uint64_t)a.usage.completion_tokens;
    if (a.err == ERR_UPSTREAM_ERROR)
        set_code_of(j, buf_slice(&j->body), "error_in_answer");
    else if (a.err == ERR_UPSTREAM_BUSY)
        set_code(j, SLICE("busy_finish"));
    else if (a.err == ERR_UPSTREAM_EMPTY)
        set_code(j, SLICE("empty"));
    else if (a.err != ERR_OK)
        set_code(j, SLICE("malformed"));
}

/* What a client did wrong itself: no server could have answered it. */
static bool is_clients_fault(int status)
{
    switch (status) {
    case 400:
    case 401:
    case 403:
    case 404:
    case 405:
    case 413:
    case 414:
    case 415:
    case 417:
    case 422:
    case 431:
        return true;
    default:
        return false;
    }
}

enum ending judge_end(struct judge *j, enum err why, bool connected)
{
    bool whole = why == ERR_OK || (j->events && j->done); /* nobody reads behind [DONE] */

    if (!whole) {
        set_code_of_end(j, why, connected);
        return END_FAILED;
    }
    if (!is_success(j)) {
        set_code_of_status(j);
        return is_clients_fault(j->status) ? END_REFUSED : END_FAILED;
    }
    if (j->rung == END_DEFERRED)
        return END_DEFERRED;
    if (j->events)
        judge_stream(j);
    else if (j->stream)
        set_code(j, SLICE("no_stream"));
    else
        judge_plain(j);
    return j->code[0] != '\0' ? END_FAILED : j->rung;
}
