/* SPDX-License-Identifier: MIT */
/* What a flight is made of: for its story (flight.c) and for those that read its answer
 * (flight_subscribers.c). */
#ifndef GATEWAY_FLIGHT_PRIVATE_H
#define GATEWAY_FLIGHT_PRIVATE_H

#include "gateway/app.h"
#include "gateway/flight.h"
#include "gateway/headers.h"
#include "gateway/verdict.h"
#include "gateway/why.h"
#include "policy/clocks.h"
#include "shared/admission.h"
#include "upstream/call.h"

#define FLIGHT_FIRST_BYTES 1536

enum flight_state { FL_ADMIT, FL_LINE, FL_CALL, FL_RELAY, FL_TAIL, FL_OVER, FL_N };

struct flight {
    struct worker *w;
    struct desk *desk; /* the request's edition, to the end */
    enum flight_state state;
    bool calling; /* a call is not settled yet */
    struct answer_log log;
    struct call *call; /* under way */
    struct clocks clocks;
    struct verdict verdict;
    const struct config_model *model; /* from here on: not looked at for an event */
    const struct config_alias *alias;
    struct request request;
    struct buf body;
    struct slice authorization, request_id;
    int hops;
    struct header kept[HEADERS_KEPT_MAX];
    size_t kept_n;
    struct seat seat;
    struct timer timer;
    int64_t deadline_us, line_since_us;
    int64_t failed_us; /* when the first call failed that was not only refused for being busy; 0: none */
    enum outcome last; /* of the last call */
    enum err end_why;  /* of a call that ended while something of its answer was judged elsewhere */
    enum call_step end_step;
    struct flight_facts facts;
    struct why why;
    int64_t called_us; /* when the call under way began */
    struct arena arena;
    struct afterwards afterwards;
    char first_block[FLIGHT_FIRST_BYTES];
};

static inline int64_t flight_now_us(const struct flight *f)
{
    return f->w->loop->now_us;
}

static inline const struct config *flight_config(const struct flight *f)
{
    return desk_config(f->desk);
}

/* It begins to wait in the line (1), or does no longer (-1). */
static inline void flight_note_line(struct flight *f, int n)
{
    const struct ticket *t = &f->seat.ticket;

    metrics_add(f->desk->metrics, METRIC_LINE_DEPTH, (size_t)t->model, n);
    metrics_add(f->desk->metrics, METRIC_LINE_BYTES, (size_t)t->model, n * t->bytes);
}

void flight_go(struct flight *f, enum flight_state state);
/* The call under way is over: once for each. */
void flight_settle(struct flight *f, enum outcome o);
/* The call goes on after a pause. */
void flight_resume(struct flight *f);
void flight_on_timer(struct timer *t);
void flight_on_grant(struct seat *seat);

/* Notes on what was decided (gateway/why.h). */
void flight_note_admit(struct flight *f, enum line_verdict v, const struct seat_wait *wait);
void flight_note_grant(struct flight *f);
void flight_note_call(struct flight *f, enum outcome o); /* before the seat is given back */

#endif
