/* SPDX-License-Identifier: MIT */
/* What goes to the client besides the answer's own bytes.
 *
 * Comments are one line with a single LF and no blank line of their own: a blank line behind an id makes
 * openai-python parse an empty event (conventions 2.9, T8). */
#include "gateway/response.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "gateway/app.h"
#include "gateway/cors.h"
#include "gateway/why_exchange.h"
#include "llm/reply.h"
#include "policy/eta.h"

#define ERROR_BYTES_MAX 8192
#define ETA_TOLD_MAX_US (24 * 3600 * CLOCK_SECOND_US) /* more is no promise */

/* On what is not an endpoint's answer: a tidegate that looks for engines sees that this is none. */
static const struct header SERVER = {{"Server", 6}, {"tidegate", 8}};

static struct slice number(struct loop *l, int64_t v)
{
    char *p = loop_scratch(l, 24);
    int n = snprintf(p, 24, "%lld", (long long)v);

    return (struct slice){p, (size_t)n};
}

static struct slice endpoint_name(const struct exchange *ex)
{
    const struct config *cfg = desk_config(ex->desk);

    return ex->facts.endpoint >= 0 ? slice_of(cfg->endpoints[ex->facts.endpoint].name) : SLICE_NONE;
}

static enum surface_errors shape(const struct exchange *ex)
{
    const struct surface *surface = routes_surface(ex->route);

    return surface != NULL ? surface->errors : ERRORS_OPENAI;
}

/* What every response carries: who it answers, and which pages may read it. Anthropic's SDKs look for the id
 * under another name. */
static size_t add_common(const struct exchange *ex, struct header *h, size_t n)
{
    const struct config *cfg = desk_config(ex->desk);

    h[n++] = (struct header){SLICE("X-Request-Id"), ex->request_id};
    if (shape(ex) == ERRORS_ANTHROPIC)
        h[n++] = (struct header){SLICE("Request-Id"), ex->request_id};
    if (ex->allow != NULL)
        h[n++] = (struct header){SLICE("Allow"), slice_of(ex->allow)};
    if (ex->allow != NULL && cors_is_preflight(ex->rq))
        return cors_add_preflight(cfg, ex->rq, slice_of(ex->allow), h, n);
    return cors_add(cfg, ex->rq, h, n);
}

/* The headers that every answer of a flight carries besides (DESIGN 4.6). */
static size_t add_labels(struct exchange *ex, struct header *h, size_t n)
{
    struct loop *l = ex->w->loop;
    struct slice endpoint = endpoint_name(ex);

    n = add_common(ex, h, n);
    if (endpoint.n > 0)
        h[n++] = (struct header){SLICE("X-Tidegate-Endpoint"), endpoint};
    if (ex->facts.calls_n > 0 || ex->facts.wait_us > 0) {
        h[n++] = (struct header){SLICE("X-Tidegate-Attempts"), number(l, ex->facts.calls_n)};
        h[n++] = (struct header){SLICE("X-Tidegate-Wait-Ms"), number(l, ex->facts.wait_us / CLOCK_MS_US)};
    }
    if (ex->wishes.why && !ex->late_labels)
        h[n++] = (struct header){SLICE("X-Tidegate-Why"), why_words(ex)};
    for (size_t i = 0; i < ex->facts.down_n; i++)
        h[n++] = ex->facts.down[i];
    return quota_headers(ex, h, n);
}

void response_begin(struct exchange *ex, struct slice content_type, int64_t length)
{
    struct header h[RESPONSE_HEADERS_MAX];
    size_t n = 0;

    h[n++] = (struct header){SLICE("Content-Type"), content_type};
    if (ex->request.stream) {
        h[n++] = (struct header){SLICE("Cache-Control"), SLICE("no-cache")};
        h[n++] = (struct header){SLICE("X-Accel-Buffering"), SLICE("no")};
    }
    n = add_labels(ex, h, n);
    ex->head_sent = true;
    ex->status = 200;
    ex->last_out_us = ex->w->loop->now_us;
    conn_head(ex->conn, 200, h, n, length);
}

void response_whole(struct exchange *ex, int status, struct slice content_type, struct slice body)
{
    struct header h[RESPONSE_HEADERS_MAX];
    size_t n = 0;

    h[n++] = SERVER;
    if (content_type.n > 0)
        h[n++] = (struct header){SLICE("Content-Type"), content_type};
    n = add_common(ex, h, n);
    conn_respond(ex->conn, status, h, n, body);
}

/* -- errors ---------------------------------------------------------------------------------------------- */

/* What is said of a failure before anything is known of the request has OpenAI's shape and no id in it. */
static struct slice render(struct loop *l, const struct exchange *ex, const struct flight_end *end,
                           enum err (*write)(struct buf *, const struct reply_error *))
{
    struct reply_error e = {.err = end->err,
                            .detail = end->detail,
                            .param = end->param,
                            .code = end->code,
                            .status = end->status,
                            .shape = ex != NULL ? shape(ex) : ERRORS_OPENAI,
                            .request_id = ex != NULL ? ex->request_id : SLICE_NONE};
    struct slice text;
    struct buf out;

    buf_init(&out, ERROR_BYTES_MAX, NULL);
    if (write(&out, &e) != ERR_OK) { /* absurdly long words of an endpoint: the row's own are enough */
        out.n = 0;
        e.detail = e.param = e.code = SLICE_NONE;
        (void)!write(&out, &e);
    }
    text = arena_dup(&l->turn, buf_slice(&out));
    buf_fini(&out);
    return text;
}

static int own_status(const struct flight_end *end)
{
    return end->status != 0 ? end->status : err_row(end->err)->status;
}

int response_error_status(const struct exchange *ex, const struct flight_end *end)
{
    return reply_status(shape(ex), own_status(end));
}

static size_t add_advice(struct loop *l, const struct flight_end *end, struct header *h, size_t n)
{
    const struct err_row *row = err_row(end->err);
    int status = own_status(end);
    int64_t wait_us = end->retry_after_us;

    if (wait_us < 0 && (status == 429 || status == 503) && row->should_retry == RETRY_YES)
        wait_us = CLOCK_SECOND_US;
    if (wait_us >= 0 && (row->should_retry != RETRY_NO || end->err == ERR_REFUSED_BEFORE))
        h[n++] = (struct header){SLICE("Retry-After"),
                                 number(l, (wait_us + CLOCK_SECOND_US - 1) / CLOCK_SECOND_US)};
    if (row->should_retry == RETRY_NO)
        h[n++] = (struct header){SLICE("X-Should-Retry"), SLICE("false")};
    return n;
}

void response_error(struct exchange *ex, const struct flight_end *end)
{
    struct loop *l = ex->w->loop;
    struct header h[RESPONSE_HEADERS_MAX];
    size_t n = 0;

    h[n++] = (struct header){SLICE("Content-Type"), SLICE("application/json")};
    h[n++] = SERVER;
    n = add_labels(ex, h, n);
    n = add_advice(l, end, h, n);
    if (end->err == ERR_REFUSED_BEFORE)
        h[n++] = (struct header){SLICE("X-Tidegate-Cache"), SLICE("refusal")};
    conn_respond(ex->conn, response_error_status(ex, end), h, n, render(l, ex, end, reply_error_body));
}

void response_error_event(struct exchange *ex, const struct flight_end *end)
{
    conn_body(ex->conn, render(ex->w->loop, ex, end, reply_error_event));
}

void response_refusal(struct conn *c, const struct exchange *ex, struct slice request_id, enum err e)
{
    struct flight_end end = {.err = e, .retry_after_us = -1};
    struct loop *l = conn_loop(c);
    struct header h[RESPONSE_HEADERS_MAX];
    size_t n = 0;

    h[n++] = (struct header){SLICE("Content-Type"), SLICE("application/json")};
    if (ex != NULL)
        n = add_common(ex, h, n);
    else
        h[n++] = (struct header){SLICE("X-Request-Id"), request_id};
    n = add_advice(l, &end, h, n);
    if (e ==
        ERR_METHOD_NOT_ALLOWED) /* of a head that cannot be read, CONNECT for one: what some route takes */
        h[n++] = (struct header){SLICE("Allow"), SLICE("GET, HEAD, POST, OPTIONS")};
    conn_respond(c, ex != NULL ? response_error_status(ex, &end) : own_status(&end), h, n,
                 render(l, ex, &end, reply_error_body));
}

/* -- comments -------------------------------------------------------------------------------------------- */

void response_comment(struct exchange *ex, struct slice text)
{
    struct slice line = arena_printf(&ex->w->loop->turn, ": %.*s\n", SLICE_ARG(text));

    ex->last_out_us = ex->w->loop->now_us;
    conn_body(ex->conn, line);
}

void response_waiting(struct exchange *ex)
{
    struct arena *turn = &ex->w->loop->turn;
    int64_t eta_us;
    size_t position = flight_position(ex->subscriber.flight, &eta_us);

    if (position == 0)
        response_comment(ex, SLICE("waiting"));
    else if (eta_us == ETA_UNKNOWN || eta_us > ETA_TOLD_MAX_US)
        response_comment(ex, arena_printf(turn, "queued position=%zu", position));
    else
        response_comment(ex, arena_printf(turn, "queued position=%zu eta=%llds", position,
                                          (long long)((eta_us + CLOCK_SECOND_US - 1) / CLOCK_SECOND_US)));
}

void response_late_labels(struct exchange *ex)
{
    struct slice endpoint = endpoint_name(ex);

    struct slice why = ex->wishes.why ? why_words(ex) : SLICE_NONE;

    response_comment(
        ex, arena_printf(&ex->w->loop->turn, "tidegate endpoint=%.*s attempts=%d wait_ms=%lld%s%.*s",
                         SLICE_ARG(endpoint), ex->facts.calls_n, (long long)(ex->facts.wait_us / CLOCK_MS_US),
                         why.n > 0 ? " why=" : "", SLICE_ARG(why)));
}
