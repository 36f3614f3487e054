/* SPDX-License-Identifier: MIT */
/* The story of a flight: ask for a slot, wait for it, call, pass the answer on, settle.
 *
 * STATES is the table; `go` drives it. What happens from outside (a grant, bytes of a response, a clock, a
 * subscriber that leaves) ends in one of the functions under "what happens", which moves the flight on.
 *
 * Settling: every end of a call goes through settle_call exactly once; `calling` asserts it. */
#include "gateway/flight.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/app.h"
#include "gateway/headers.h"
#include "gateway/prepare.h"
#include "gateway/telling.h"
#include "gateway/verdict.h"
#include "policy/clocks.h"
#include "shared/admission.h"
#include "upstream/call.h"

#define TAIL_US CLOCK_SECOND_US /* an endpoint's time to end its response behind the end mark */
#define FIRST_BLOCK_BYTES 1536
#define BLOCK_BYTES 4096

enum flight_state { FL_ADMIT, FL_LINE, FL_CALL, FL_RELAY, FL_TAIL, FL_OVER, FL_N };
enum step { STEP_WAIT, STEP_MORE };

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
    enum outcome last; /* of the last call */
    struct flight_facts facts;
    struct arena arena;
    struct afterwards afterwards;
    char first_block[FIRST_BLOCK_BYTES];
};

static void go(struct flight *f, enum flight_state state);

static int64_t now_us(const struct flight *f)
{
    return f->w->loop->now_us;
}

static const struct config *config(const struct flight *f)
{
    return desk_config(f->desk);
}

/* -- the end --------------------------------------------------------------------------------------------- */

static void free_flight(struct afterwards *a)
{
    struct flight *f = CONTAINER_OF(a, struct flight, afterwards);
    struct worker *w = f->w;
    struct desk *desk = f->desk;

    ASSERT(!f->calling && f->seat.ticket.state == TICKET_FREE);
    verdict_fini(&f->verdict);
    buf_fini(&f->body);
    arena_fini(&f->arena);
    mem_free(f);
    w->flights_n--;
    desk_leave(&desk);
    worker_note_idle(w);
}

static void fail(struct flight *f, enum err e)
{
    struct flight_end end = {.err = e, .retry_after_us = -1};

    answer_log_end(&f->log, &end);
    go(f, FL_OVER);
}

/* The last call's outcome is final. */
static void fail_with_outcome(struct flight *f)
{
    struct flight_end end = telling_of(&f->verdict, f->last);

    answer_log_end(&f->log, &end);
    go(f, FL_OVER);
}

/* -- settling a call ------------------------------------------------------------------------------------- */

static void settle_call(struct flight *f, enum outcome o)
{
    struct metrics *m = f->desk->metrics;
    int endpoint = f->facts.endpoint;

    ASSERT(f->calling);
    f->calling = false;
    f->last = o;
    if (f->verdict.usage.known)
        f->facts.usage = f->verdict.usage;
    admission_leave(&f->seat, now_us(f), &f->w->loop->dice);
    metrics_add(m, METRIC_CALLS_INFLIGHT, (size_t)endpoint, -1);
    metrics_add(m, METRIC_CONNECTS, (size_t)endpoint, (int64_t)pool_take_connects(&f->desk->pools[endpoint]));
    metrics_add(m, METRIC_CALLS, stats_endpoint_outcome(endpoint, o), 1);
    metrics_add(m, METRIC_KEEPALIVE_BYTES, (size_t)endpoint, (int64_t)verdict_keepalive_bytes(&f->verdict));
    metrics_add(m, METRIC_EVENTS, 0, (int64_t)f->verdict.relay.events_n);
    if (f->verdict.begun && outcome_row(o)->kind == KIND_FAULT)
        metrics_add(m, METRIC_TRUNCATED, (size_t)endpoint, 1);
    desk_warn(f->desk, endpoint, o, &f->verdict);
}

/* A call has failed: another endpoint while nothing has gone to the client, else the end. */
static void after_failure(struct flight *f)
{
    const struct outcome_row *row = outcome_row(f->last);
    bool again = !f->verdict.begun && row->retry == OUTCOME_ELSEWHERE &&
                 f->facts.calls_n < config(f)->opt.attempts_max && now_us(f) < f->deadline_us;

    if (again)
        go(f, FL_ADMIT);
    else
        fail_with_outcome(f);
}

/* -- what happens: the response -------------------------------------------------------------------------- */

static void on_begin(void *ud, int64_t length)
{
    struct flight *f = ud;

    f->facts.first_us = now_us(f);
    f->state = FL_RELAY;
    if (f->call == NULL || call_is_sent(f->call)) /* nothing will be asked elsewhere any more */
        buf_fini(&f->body);
    answer_log_begin(&f->log, length);
}

static void on_event(void *ud, struct slice bytes)
{
    struct flight *f = ud;

    answer_log_append(&f->log, bytes);
}

static void on_done(void *ud)
{
    static const struct flight_end COMPLETE = {.err = ERR_OK, .retry_after_us = -1};
    struct flight *f = ud;

    settle_call(f, OUTCOME_OK);
    answer_log_end(&f->log, &COMPLETE);
    go(f, FL_TAIL);
}

static const struct verdict_sink SINK = {on_begin, on_event, on_done};

static enum err on_call_head(void *ud, const struct http_response *rs)
{
    struct flight *f = ud;

    f->facts.down = headers_down(&config(f)->endpoints[f->facts.endpoint], f->verdict.opts.secret, rs,
                                 &f->arena, &f->facts.down_n);
    return verdict_head(&f->verdict, rs);
}

static enum err on_call_body(void *ud, struct slice bytes)
{
    struct flight *f = ud;
    bool payload = false, first = f->clocks.last_payload_us == 0;
    enum err e;

    if (f->state == FL_TAIL)
        return ERR_OK;
    e = verdict_body(&f->verdict, bytes, &payload);
    if (payload) {
        f->clocks.last_payload_us = now_us(f);
        if (first && f->state != FL_TAIL)
            timer_set(&f->w->loop->wheel, &f->timer, clocks_due(&f->clocks));
    }
    return e;
}

static void on_call_end(void *ud, enum err why, enum call_step step)
{
    struct flight *f = ud;
    enum outcome o;

    f->call = NULL;
    if (f->state == FL_TAIL) { /* settled at the end mark */
        go(f, FL_OVER);
        return;
    }
    o = verdict_end(&f->verdict, why, step == CALL_CONNECTING, step == CALL_ANSWERED);
    if (f->state == FL_TAIL) { /* a plain answer was complete: on_done has settled it */
        go(f, FL_OVER);
        return;
    }
    settle_call(f, o);
    after_failure(f);
}

static const struct call_cb CALL_CB = {on_call_head, on_call_body, on_call_end};

/* -- what happens: clocks and grants --------------------------------------------------------------------- */

/* A clock has run out on the call under way. */
static void give_up_call(struct flight *f, enum outcome o)
{
    call_cancel(&f->call);
    f->verdict.outcome = o;
    settle_call(f, o);
    after_failure(f);
}

static void check_clocks(struct flight *f)
{
    bool held = answer_log_is_held(&f->log);
    int64_t last = call_last_byte_us(f->call);
    enum outcome o;

    if (last > f->clocks.last_byte_us)
        f->clocks.last_byte_us = last;
    o = clocks_check(&f->clocks, now_us(f), held);
    if (o != OUTCOME_OK)
        give_up_call(f, o);
    else
        timer_set(&f->w->loop->wheel, &f->timer,
                  held ? clocks_due_paused(&f->clocks) : clocks_due(&f->clocks));
}

static void on_timer(struct timer *t)
{
    struct flight *f = CONTAINER_OF(t, struct flight, timer);

    if (f->state == FL_LINE) {
        admission_leave(&f->seat, now_us(f), &f->w->loop->dice);
        metrics_add(f->desk->metrics, METRIC_LINE_DEPTH, (size_t)f->seat.ticket.model, -1);
        f->facts.wait_us += now_us(f) - f->line_since_us;
        fail(f, ERR_DEADLINE_EXCEEDED);
    } else if (f->state == FL_TAIL) {
        call_cancel(&f->call);
        go(f, FL_OVER);
    } else {
        check_clocks(f);
    }
}

static void on_grant(struct seat *seat)
{
    struct flight *f = CONTAINER_OF(seat, struct flight, seat);

    ASSERT(f->state == FL_LINE);
    metrics_add(f->desk->metrics, METRIC_LINE_DEPTH, (size_t)seat->ticket.model, -1);
    f->facts.wait_us += now_us(f) - f->line_since_us;
    go(f, FL_CALL);
}

/* -- the states ------------------------------------------------------------------------------------------ */

static enum step enter_admit(struct flight *f)
{
    enum line_verdict v = admission_enter(&f->seat, now_us(f), &f->w->loop->dice);

    switch (v) {
    case LINE_TAKEN:
        f->state = FL_CALL;
        return STEP_MORE;
    case LINE_QUEUED:
        f->state = FL_LINE;
        return STEP_MORE;
    case LINE_FULL:
        fail(f, ERR_QUEUE_FULL);
        return STEP_WAIT;
    case LINE_NONE:
        break;
    }
    if (f->facts.calls_n > 0)
        fail_with_outcome(f);
    else
        fail(f, ERR_NO_ENDPOINT);
    return STEP_WAIT;
}

static enum step enter_line(struct flight *f)
{
    f->line_since_us = now_us(f);
    metrics_add(f->desk->metrics, METRIC_LINE_DEPTH, (size_t)f->seat.ticket.model, 1);
    timer_set(&f->w->loop->wheel, &f->timer, f->deadline_us);
    return STEP_WAIT;
}

static void start_verdict(struct flight *f, const struct config_endpoint *ep)
{
    const struct config_options *opt = &config(f)->opt;
    struct verdict_opts o = {
        .relay = {{f->request.surface, dialect_get((enum dialect_id)ep->provider)},
                  f->request.include_usage,
                  (size_t)opt->event_max,
                  &f->w->app->budget,
                  f->w->json,
                  &f->w->loop->turn},
        .stream = f->request.stream,
        .client_key = ep->key_mode == KEY_CLIENT,
        .secret = headers_secret(ep, f->authorization, f->kept, f->kept_n),
        .answer_max = (size_t)opt->answer_max,
        .arena = &f->arena,
        .wall_us = f->w->loop->wall_us,
    };

    verdict_fini(&f->verdict);
    verdict_init(&f->verdict, &o, &SINK, f);
}

static void start_clocks(struct flight *f)
{
    const struct config_options *opt = &config(f)->opt;

    f->clocks = (struct clocks){
        .streaming = f->request.stream,
        .transport_us = opt->transport_us,
        .progress_us = opt->progress_us,
        .deadline_at_us = f->deadline_us,
        .stream_max_at_us = clock_add(now_us(f), opt->stream_max_us),
        .last_byte_us = now_us(f),
    };
    timer_set(&f->w->loop->wheel, &f->timer, clocks_due(&f->clocks));
}

/* Whether another endpoint could still be asked. */
static bool has_untried(const struct flight *f)
{
    return (~f->seat.ticket.tried & prepare_targets(f->model)) != 0;
}

static enum step enter_call(struct flight *f)
{
    const struct config_target *target = prepare_target(f->model, f->seat.ticket.target);
    const struct config_endpoint *ep = &config(f)->endpoints[target->endpoint];
    struct prepare_ask ask = {
        ep,      target,    f->alias, &f->request, f->seat.ticket.upstream, f->authorization, f->request_id,
        f->kept, f->kept_n, f->hops};
    struct call_opts opts = {.head_max = (size_t)config(f)->opt.head_max};
    struct pool *pool = &f->desk->pools[target->endpoint];
    struct metrics *m = f->desk->metrics;

    if (f->facts.calls_n > 0)
        metrics_add(m, METRIC_FALLBACKS, (size_t)f->facts.endpoint, 1);
    f->seat.ticket.tried |= UINT64_C(1) << f->seat.ticket.target;
    opts.hurry = f->facts.calls_n + 1 < config(f)->opt.attempts_max && has_untried(f);
    f->facts.endpoint = target->endpoint;
    f->facts.calls_n++;
    f->facts.down_n = 0;
    f->calling = true;
    metrics_add(m, METRIC_CALLS_INFLIGHT, (size_t)target->endpoint, 1);
    start_verdict(f, ep);
    start_clocks(f);
    prepare_request(&ask, &f->arena, &opts.request);
    f->call = call_start(pool, &opts, &CALL_CB, f);
    if (answer_log_is_held(&f->log))
        call_pause(f->call);
    return STEP_WAIT;
}

static enum step enter_tail(struct flight *f)
{
    if (f->call != NULL)
        timer_set(&f->w->loop->wheel, &f->timer, now_us(f) + TAIL_US);
    return STEP_WAIT;
}

static enum step enter_over(struct flight *f)
{
    ASSERT(answer_log_is_unread(&f->log) && f->call == NULL);
    timer_stop(&f->w->loop->wheel, &f->timer);
    loop_defer(f->w->loop, &f->afterwards, free_flight);
    return STEP_WAIT;
}

/* RELAY is entered by the answer's beginning, in the middle of a call. */
static enum step (*const STATES[FL_N])(struct flight *f) = {
    [FL_ADMIT] = enter_admit, [FL_LINE] = enter_line, [FL_CALL] = enter_call,
    [FL_TAIL] = enter_tail,   [FL_OVER] = enter_over,
};

static void go(struct flight *f, enum flight_state state)
{
    uint64_t short_n = mem_short_n();

    ASSERT(f->state != FL_OVER);
    f->state = state;
    while (STATES[f->state](f) == STEP_MORE)
        continue;
    if (f->state == FL_CALL && f->calling && mem_short_n() != short_n)
        give_up_call(f, OUTCOME_EXHAUSTED);
}

/* -- subscribers ----------------------------------------------------------------------------------------- */

void flight_open(struct worker *w, const struct flight_ask *ask, struct subscriber *s,
                 const struct subscriber_cb *cb)
{
    struct flight *f = mem_alloc(sizeof *f);

    memset(f, 0, offsetof(struct flight, first_block));
    arena_init(&f->arena, f->first_block, sizeof f->first_block, BLOCK_BYTES);
    f->w = w;
    f->desk = desk_enter(ask->desk);
    f->model = &config(f)->models[ask->model];
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
    f->last = OUTCOME_N;
    timer_init(&f->timer, on_timer);
    seat_init(&f->seat, f->desk->edition->admission, &w->loop->mailbox, on_grant);
    f->seat.ticket.model = ask->model;
    f->seat.ticket.priority = ask->priority;
    f->seat.ticket.arrived_us = ask->arrived_us;
    f->seat.ticket.tried = ask->silent;
    f->seat.ticket.upstream = arena_dup(&f->arena, ask->upstream);
    w->flights_n++;
    go(f, FL_ADMIT);
}

void flight_leave(struct subscriber *s)
{
    struct flight *f = s->flight;

    answer_log_leave(&f->log, s);
    if (!answer_log_is_unread(&f->log))
        return;
    if (f->state == FL_LINE) {
        metrics_add(f->desk->metrics, METRIC_LINE_DEPTH, (size_t)f->seat.ticket.model, -1);
        admission_leave(&f->seat, now_us(f), &f->w->loop->dice);
    } else if (f->calling) {
        call_cancel(&f->call);
        settle_call(f, OUTCOME_CANCELLED);
    }
    go(f, FL_OVER);
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
    clocks_resume(&f->clocks, now_us(f)); /* the silence was ours */
    if (f->call != NULL) {
        call_resume(f->call);
        timer_set(&f->w->loop->wheel, &f->timer, clocks_due(&f->clocks));
    }
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

size_t flight_position(const struct flight *f)
{
    return f->state == FL_LINE ? admission_position(&f->seat, now_us(f)) : 0;
}
