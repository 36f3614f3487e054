/* SPDX-License-Identifier: MIT */
/* The connection's side of an exchange: how it begins, how its body comes, and what happens when its client
 * leaves. What it does in between is the story in exchange.c. */
#include "gateway/exchange_private.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "gateway/front.h"
#include "gateway/response.h"

static struct slice id_new(struct worker *w, struct arena *arena)
{
    char *id = arena_bytes(arena, ID_BYTES + 1);

    id_make(&w->loop->dice, id);
    return (struct slice){id, ID_BYTES};
}

static struct slice choose_request_id(struct worker *w, const struct http_request *rq, struct arena *arena)
{
    struct slice own = http_header(rq->headers, rq->headers_n, "x-request-id");

    return id_is_safe(own) ? own : id_new(w, arena);
}

static void *on_request(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    struct worker *w = owner;
    uint64_t short_n = mem_short_n();
    struct exchange *ex = ARENA_NEW(arena, struct exchange);
    struct slice retries = http_header(rq->headers, rq->headers_n, "x-stainless-retry-count");
    bool over = false;

    ex->w = w;
    ex->desk = desk_enter(w->desk);
    ex->conn = c;
    ex->rq = rq;
    ex->arena = arena;
    ex->route = &ROUTE_UNKNOWN;
    ex->match.model = -1;
    ex->facts.endpoint = -1;
    ex->started_us = conn_request_started_us(c);
    ex->request_id = choose_request_id(w, rq, arena);
    ex->over = &over;
    timer_init(&ex->timer, exchange_on_timer);
    list_init(&ex->node);
    list_push_back(&w->exchanges, &ex->node);
    w->exchanges_n++;
    ebb_note(w);
    metrics_add(w->desk->metrics, METRIC_EXCHANGES, 0, 1);
    if (retries.n > 0 && !slice_eq(retries, SLICE("0")))
        metrics_add(w->desk->metrics, METRIC_CLIENT_RETRIES, 0, 1);
    exchange_run(ex);
    exchange_end_if_short(ex, short_n);
    if (over)
        return NULL;
    ex->over = NULL;
    return ex;
}

static void on_body(void *user, struct slice bytes)
{
    struct exchange *ex = user;
    uint64_t short_n = mem_short_n();
    enum err e = buf_add(&ex->body, bytes);

    if (e != ERR_OK)
        exchange_fail(ex, e == ERR_TOO_LARGE ? ERR_BODY_TOO_LARGE : e);
    exchange_end_if_short(ex, short_n);
}

static void on_complete(void *user)
{
    struct exchange *ex = user;

    ex->state = EX_UNDERSTAND;
    exchange_run(ex);
}

/* The connection refuses the request in our name: its body broke the protocol or did not come. */
static bool is_refusal(const struct exchange *ex, enum err why)
{
    return !ex->head_sent && why != ERR_CLIENT_GONE && !err_is_for_room(why) && err_row(why)->status != 0;
}

static void on_gone(void *user, enum err why)
{
    struct exchange *ex = user;

    exchange_leave(ex);
    if (is_refusal(ex, why)) {
        ex->status = response_error_status(ex, &(struct flight_end){.err = why});
        ex->w->refused = ex; /* on_refused follows at once */
    } else if (!err_is_for_room(why)) {
        why = ERR_CLIENT_GONE; /* it left, or took nothing any more */
    }
    exchange_settle(ex, why);
}

static void on_drain(void *user)
{
    struct exchange *ex = user;

    if (ex->subscriber.flight != NULL && ex->subscriber.held)
        flight_go_on(&ex->subscriber);
}

void exchange_refuse(struct worker *w, struct conn *c, enum err why)
{
    metrics_add(w->desk->metrics, METRIC_REQUESTS, stats_route_result(ROUTE_OTHER, RESULT_REFUSED), 1);
    metrics_add(w->desk->metrics, METRIC_RESPONSES, stats_code(err_row(why)->status), 1);
    metrics_add(w->desk->metrics, METRIC_ERRORS, (size_t)why, 1);
    response_refusal(c, NULL, id_new(w, &w->loop->turn), why);
}

static void on_refused(void *owner, struct conn *c, enum err why)
{
    struct worker *w = owner;
    const struct exchange *ex = w->refused; /* settled, and counted with that */

    w->refused = NULL;
    if (ex != NULL)
        response_refusal(c, ex, ex->request_id, why);
    else
        exchange_refuse(w, c, why);
}

static void on_conn_closed(void *owner, struct conn *c)
{
    struct worker *w = owner;

    front_left(w, c);
}

const struct conn_handler EXCHANGE_HANDLER = {on_request, on_body,    on_complete,   on_gone,
                                              on_drain,   on_refused, on_conn_closed};
