/* SPDX-License-Identifier: MIT */
/* Opening a flight, reading from it and leaving it. */
#include "gateway/flight_private.h"

#include "base/mem.h"

#define BLOCK_BYTES 4096
#define BYTES_PER_TOKEN 4 /* of a request's body, by and large: times are only compared with each other */

/* Tokens that all choices may have together, as the client or its alias says; -1: nobody does. */
static int64_t answer_max(const struct request *rq, const struct config_alias *alias)
{
    struct estimate e = {.answer_max = rq->answer_max};

    for (size_t i = 0; alias != NULL && i < alias->sets_n; i++)
        estimate_set(&e, alias->sets[i].name, alias->sets[i].json);
    return e.answer_max < 0 ? -1 : e.answer_max * rq->n;
}

void flight_open(struct worker *w, const struct flight_ask *ask, struct subscriber *s,
                 const struct subscriber_cb *cb)
{
    struct flight *f = mem_alloc(sizeof *f);

    memset(f, 0, offsetof(struct flight, first_block));
    arena_init(&f->arena, f->first_block, sizeof f->first_block, BLOCK_BYTES);
    f->w = w;
    f->desk = desk_enter(ask->desk);
    f->model = &flight_config(f)->models[ask->model];
    f->alias = ask->alias;
    answer_log_init(&f->log);
    answer_log_subscribe(&f->log, s, f, cb);
    f->body = *ask->body;
    buf_init(ask->body, f->body.max, f->body.budget);
    request_move(&f->request, ask->request, buf_slice(&f->body), &f->arena);
    f->authorization = arena_dup(&f->arena, ask->authorization);
    f->request_id = arena_dup(&f->arena, ask->request_id);
    f->hops = ask->hops;
    f->kept_n = headers_keep(ask->headers, ask->headers_n, &f->arena, f->kept);
    f->deadline_us = ask->deadline_us;
    f->facts.endpoint = -1;
    why_init(&f->why, &f->arena, ask->arrived_us);
    f->last = OUTCOME_N;
    timer_init(&f->timer, flight_on_timer);
    seat_init(&f->seat, f->desk->edition->admission, &w->loop->mailbox, flight_on_grant);
    f->seat.ticket.model = ask->model;
    f->seat.ticket.priority = ask->priority;
    f->seat.ticket.tenant = admission_tenant(f->desk->edition->admission, ask->key);
    f->seat.ticket.arrived_us = ask->arrived_us;
    f->seat.ticket.deadline_us = ask->deadline_us;
    f->seat.ticket.bytes = (int64_t)f->body.n;
    f->seat.ticket.answer_max = answer_max(&f->request, ask->alias);
    f->seat.ticket.never = ask->silent;
    f->seat.ticket.client_retries = ask->client_retries;
    f->seat.ticket.call.prompt_tokens = (int64_t)(f->body.n / BYTES_PER_TOKEN);
    f->seat.ticket.upstream = arena_dup(&f->arena, ask->upstream);
    w->flights_n++;
    flight_go(f, FL_ADMIT);
}

void flight_leave(struct subscriber *s)
{
    struct flight *f = s->flight;

    answer_log_leave(&f->log, s);
    if (!answer_log_is_unread(&f->log))
        return;
    if (f->state == FL_LINE) {
        flight_note_line(f, -1);
        admission_leave(&f->seat, flight_now_us(f), &f->w->loop->dice);
        worker_ring_at(f->w, f->seat.wake_us);
    } else if (f->calling) {
        call_cancel(&f->call);
        flight_settle(f, OUTCOME_CANCELLED);
    }
    flight_go(f, FL_OVER);
}

void flight_hold(struct subscriber *s)
{
    s->held = true;
    if (s->flight->call != NULL)
        call_pause(s->flight->call);
}

void flight_go_on(struct subscriber *s)
{
    struct flight *f = s->flight;

    s->held = false;
    flight_resume(f);
}

struct stream *flight_source(struct flight *f)
{
    struct stream *s = f->call != NULL ? call_source(f->call) : NULL;

    if (s != NULL)
        stream_touches(s, f, 0, offsetof(struct flight, model));
    return s;
}

const struct flight_facts *flight_facts(const struct flight *f)
{
    return &f->facts;
}

int64_t flight_wait_us(const struct flight *f)
{
    return f->facts.wait_us + (f->state == FL_LINE ? flight_now_us(f) - f->line_since_us : 0);
}

const struct why *flight_why(const struct flight *f)
{
    return &f->why;
}

struct slice flight_body(const struct flight *f)
{
    return buf_slice(&f->body);
}

size_t flight_position(struct flight *f, int64_t *eta_us)
{
    *eta_us = ETA_UNKNOWN;
    return f->state == FL_LINE ? admission_position(&f->seat, flight_now_us(f), eta_us) : 0;
}
