/* SPDX-License-Identifier: MIT */
/* The story of a request: what is it, who sends it, what does it want, and its answer's way back.
 *
 * STATES is the table, `run` the driver. A state's function returns STEP_MORE to go on at once, STEP_WAIT
 * when something from outside has to happen first, or when the exchange is over: after exchange_fail,
 * exchange_respond and flight_open its memory may be gone, so nothing is touched after them.
 *
 * Identify comes before the body is read: nobody without a key makes the gateway hold 48 MiB. */
#include "gateway/exchange_private.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/reserve.h"
#include "gateway/access_log.h"
#include "gateway/app.h"
#include "gateway/discard.h"
#include "gateway/identify.h"
#include "gateway/reading.h"
#include "gateway/record.h"
#include "gateway/response.h"
#include "gateway/storm.h"
#include "gateway/understand.h"
#include "gateway/why_exchange.h"
#include "policy/clocks.h"

enum step { STEP_WAIT, STEP_MORE };

static const struct config *config(const struct exchange *ex)
{
    return desk_config(ex->desk);
}

static int64_t now_us(const struct exchange *ex)
{
    return ex->w->loop->now_us;
}

/* -- the end -------------------------------------------------------------------------------------------- */

/* Behind the flush, so that no client waits for its access line; what is deferred runs in order, therefore
 * before the connection frees the request's memory. */
static void on_logging(struct afterwards *a)
{
    struct exchange *ex = CONTAINER_OF(a, struct exchange, logging);

    access_log_exchange(ex->w->access, ex);
    desk_leave(&ex->desk);
}

void exchange_settle(struct exchange *ex, enum err e)
{
    ASSERT(ex->state != EX_SETTLED && ex->subscriber.flight == NULL);
    ex->state = EX_SETTLED;
    ex->err = e;
    quota_settle(ex);
    timer_stop(&ex->w->loop->wheel, &ex->timer);
    discard(ex->w, &ex->body);
    reading_forget(&ex->reading);
    record_exchange(ex);
    why_keep(ex);
    loop_defer(ex->w->loop, &ex->logging, on_logging);
    list_remove(&ex->node);
    ex->w->exchanges_n--;
    ebb_note(ex->w);
    worker_note_idle(ex->w);
    if (ex->over != NULL)
        *ex->over = true;
}

void exchange_respond(struct exchange *ex, int status, struct slice content_type, struct slice body)
{
    ex->status = status;
    ex->bytes_out = body.n;
    exchange_settle(ex, ERR_OK);
    response_whole(ex, status, content_type, body);
}

void exchange_fail_with(struct exchange *ex, const struct flight_end *end)
{
    bool in_band = ex->head_sent;

    if (!in_band)
        ex->status = response_error_status(ex, end);
    exchange_settle(ex, end->err);
    if (!in_band) {
        response_error(ex, end);
        return;
    }
    if (ex->request.stream) {
        if (ex->late_labels && ex->wishes.why)
            response_late_labels(ex);
        response_error_event(ex, end);
        conn_abort(ex->conn);
    } else {
        conn_reset(ex->conn);
    }
}

void exchange_fail(struct exchange *ex, enum err e)
{
    struct flight_end end = {.err = e, .retry_after_us = -1};

    exchange_fail_with(ex, &end);
}

void exchange_leave(struct exchange *ex)
{
    if (ex->subscriber.flight == NULL)
        return;
    ex->facts = *flight_facts(ex->subscriber.flight);
    ex->why = flight_why(ex->subscriber.flight);
    flight_leave(&ex->subscriber);
}

void exchange_give_up(struct exchange *ex, enum err e)
{
    exchange_leave(ex);
    exchange_fail(ex, e);
}

void exchange_end_if_short(struct exchange *ex, uint64_t short_n)
{
    if (mem_short_n() != short_n && ex->state != EX_SETTLED)
        exchange_give_up(ex, ERR_EXHAUSTED);
}

static void fail_field(struct exchange *ex, enum err e, const char *why, const char *param)
{
    struct flight_end end = {
        .err = e, .detail = slice_of(why), .param = slice_of(param), .retry_after_us = -1};

    exchange_fail_with(ex, &end);
}

/* -- the flight's answer -------------------------------------------------------------------------------- */

static struct exchange *of_subscriber(struct subscriber *s)
{
    return CONTAINER_OF(s, struct exchange, subscriber);
}

static void on_begin(struct subscriber *s, int64_t length)
{
    struct exchange *ex = of_subscriber(s);
    struct stream *from = ex->request.stream ? flight_source(s->flight) : NULL;

    if (from != NULL) {
        stream_touches(from, ex, offsetof(struct exchange, w), sizeof *ex - offsetof(struct exchange, w));
        conn_fed_by(ex->conn, from);
        stream_is_under_way(from);
    }
    ex->facts = *flight_facts(s->flight);
    ex->state = EX_RELAY;
    if (ex->head_sent)
        return;
    response_begin(ex, ex->request.stream ? SLICE("text/event-stream") : SLICE("application/json"),
                   length >= 0 ? length : CONN_CHUNKED);
    if (ex->request.stream)
        timer_set(&ex->w->loop->wheel, &ex->timer, now_us(ex) + config(ex)->opt.comment_us);
}

static void on_event(struct subscriber *s, struct slice bytes)
{
    struct exchange *ex = of_subscriber(s);

    if (ex->late_labels && surface_is_end(ex->request.surface, bytes)) {
        ex->facts = *flight_facts(s->flight);
        response_late_labels(ex);
    }
    ex->bytes_out += bytes.n;
    ex->events_n++;
    ex->last_out_us = now_us(ex);
    conn_body(ex->conn, bytes);
    if (!s->held && conn_pending(ex->conn) > (size_t)config(ex)->opt.pending_max)
        flight_hold(s);
}

static void on_end(struct subscriber *s, const struct flight_end *end)
{
    struct exchange *ex = of_subscriber(s);

    ex->facts = *flight_facts(s->flight);
    ex->why = flight_why(s->flight);
    storm_note(ex, flight_body(s->flight), end);
    s->flight = NULL;
    if (end->err != ERR_OK) {
        exchange_fail_with(ex, end);
        return;
    }
    exchange_settle(ex, ERR_OK);
    conn_end(ex->conn);
}

static const struct subscriber_cb SUBSCRIBER_CB = {on_begin, on_event, on_end};

/* A streaming client that waits: after `hold` it gets its head and comments, so that nothing between us cuts
 * a quiet connection; a stream that has begun gets one whenever it was quiet for that long. */
static void keep_alive(struct exchange *ex)
{
    int64_t every_us = config(ex)->opt.comment_us;

    if (!ex->head_sent) {
        ex->late_labels = true;
        response_begin(ex, SLICE("text/event-stream"), CONN_CHUNKED);
        ex->last_out_us = 0;
    }
    if (now_us(ex) - ex->last_out_us >= every_us)
        response_waiting(ex);
    timer_set(&ex->w->loop->wheel, &ex->timer, ex->last_out_us + every_us);
}

void exchange_on_timer(struct timer *t)
{
    struct exchange *ex = CONTAINER_OF(t, struct exchange, timer);
    uint64_t short_n = mem_short_n();

    if (ex->state == EX_READ)
        exchange_fail(ex, ERR_CLIENT_TIMEOUT);
    else if (ex->state == EX_UNDERSTAND)
        exchange_fail(ex, ERR_DEADLINE_EXCEEDED);
    else
        keep_alive(ex);
    exchange_end_if_short(ex, short_n);
}

/* -- the states ----------------------------------------------------------------------------------------- */

static enum step enter_route(struct exchange *ex)
{
    struct route_found found = routes_find(ex->rq);

    if (found.route != NULL)
        ex->route = found.route;
    if (found.err != ERR_OK || found.route == &ROUTE_ABOUT)
        ex->allow = found.allow;
    if (found.err != ERR_OK) {
        exchange_fail(ex, found.err);
        return STEP_WAIT;
    }
    ex->state = EX_IDENTIFY;
    return STEP_MORE;
}

static enum step enter_identify(struct exchange *ex)
{
    enum err e = ex->route->open ? ERR_OK : identify_client(config(ex), ex->rq, &ex->key);

    if (e == ERR_OK && !ex->route->open && ex->w->draining)
        e = ERR_DRAINING;
    if (e == ERR_OK && !ex->route->open && reserve_is_low())
        e = ERR_EXHAUSTED;
    if (e == ERR_KEY_MISSING && http_header(ex->rq->headers, ex->rq->headers_n, "authorization").n > 0) {
        fail_field(ex, e, "The Authorization header does not begin with \"Bearer \".", NULL);
        return STEP_WAIT;
    }
    if (e != ERR_OK) {
        exchange_fail(ex, e);
        return STEP_WAIT;
    }
    if (ex->route->answer != NULL) {
        ex->route->answer(ex);
        return STEP_WAIT;
    }
    if (!quota_look(ex))
        return STEP_WAIT;
    ex->state = EX_READ;
    return STEP_MORE;
}

/* Before the body comes: may it? */
static enum step enter_read(struct exchange *ex)
{
    struct slice coding = http_header(ex->rq->headers, ex->rq->headers_n, "content-encoding");
    uint64_t max = (uint64_t)config(ex)->opt.body_max;

    if (ex->rq->content_length > 0 && (uint64_t)ex->rq->content_length < max) /* it will not hold more */
        max = (uint64_t)ex->rq->content_length;
    buf_init(&ex->body, (size_t)max, &ex->w->app->budget);
    if (coding.n > 0 && !slice_ieq(coding, SLICE("identity")))
        exchange_fail(ex, ERR_MEDIA_TYPE);
    else if (ex->rq->content_length > 0 && (uint64_t)ex->rq->content_length > max)
        exchange_fail(ex, ERR_BODY_TOO_LARGE);
    else /* what comes later than the deadline, which has begun with the head, is of no use */
        timer_set(&ex->w->loop->wheel, &ex->timer, clock_add(ex->started_us, config(ex)->opt.deadline_us));
    return STEP_WAIT;
}

/* The body has been read, or cannot be: e. */
static enum step understand_or_fail(struct exchange *ex, enum err e, struct request_fault fault)
{
    if (e == ERR_OK)
        e = understand(ex, &fault);
    if (e != ERR_OK) {
        fail_field(ex, e, fault.why, fault.param);
        return STEP_WAIT;
    }
    ex->state = EX_JOIN;
    return STEP_MORE;
}

static enum step enter_understand(struct exchange *ex)
{
    const struct surface *surface = routes_surface(ex->route);
    struct request_fault fault;
    struct turn_spent *spent = &ex->w->loop->spent;
    enum err e;

    if (ex->body.n >= REQUEST_LARGE_BYTES || spent->parsed_bytes + ex->body.n > TURN_PARSED_BYTES) {
        reading_start(ex, surface); /* the timer still runs to the deadline */
        return STEP_WAIT;
    }
    spent->parsed_bytes += ex->body.n;
    timer_stop(&ex->w->loop->wheel, &ex->timer);
    e = request_parse(surface, buf_slice(&ex->body), ex->w->json, ex->arena, &ex->request, &fault);
    return understand_or_fail(ex, e, fault);
}

void exchange_was_read(struct exchange *ex, enum err e, const struct request_fault *fault)
{
    timer_stop(&ex->w->loop->wheel, &ex->timer);
    if (understand_or_fail(ex, e, *fault) == STEP_MORE)
        exchange_run(ex);
}

static enum step enter_join(struct exchange *ex)
{
    const struct config_model *model = &config(ex)->models[ex->match.model];
    struct flight_ask ask = {
        .desk = ex->desk,
        .model = ex->match.model,
        .alias = ex->match.alias,
        .upstream = ex->match.upstream,
        .key = ex->key != NULL ? (int)(ex->key - config(ex)->keys) : -1,
        .priority = ex->wishes.priority,
        .silent = ex->silent,
        .client_retries = ex->wishes.retries,
        .request = &ex->request,
        .body = &ex->body,
        .authorization = http_header(ex->rq->headers, ex->rq->headers_n, "authorization"),
        .request_id = ex->request_id,
        .hops = ex->wishes.hops,
        .headers = ex->rq->headers,
        .headers_n = ex->rq->headers_n,
        .arrived_us = ex->started_us,
    };

    if (!storm_pass(ex) || !quota_enter(ex))
        return STEP_WAIT;
    ex->deadline_us = ask.deadline_us =
        clocks_deadline(ex->started_us, model->deadline_us, ex->wishes.deadline_ms, ex->wishes.timeout_s);
    if (ex->request.stream)
        timer_set(&ex->w->loop->wheel, &ex->timer, clock_add(now_us(ex), config(ex)->opt.hold_us));
    ex->state = EX_AWAIT;
    flight_open(ex->w, &ask, &ex->subscriber, &SUBSCRIBER_CB);
    return STEP_WAIT;
}

static enum step (*const STATES[EX_N])(struct exchange *ex) = {
    [EX_ROUTE] = enter_route,           [EX_IDENTIFY] = enter_identify, [EX_READ] = enter_read,
    [EX_UNDERSTAND] = enter_understand, [EX_JOIN] = enter_join,
};

void exchange_run(struct exchange *ex)
{
    uint64_t short_n = mem_short_n();

    while (STATES[ex->state](ex) == STEP_MORE && mem_short_n() == short_n)
        continue;
    exchange_end_if_short(ex, short_n);
}
