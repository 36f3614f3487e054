/* SPDX-License-Identifier: MIT */
/* The story of a flight: ask for a slot, wait for it, call, pass the answer on, settle.
 *
 * STATES is the table; `go` drives it. What happens from outside (a grant, bytes of a response, a clock, a
 * subscriber that leaves) ends in one of the functions under "what happens", which moves the flight on.
 *
 * Settling: every end of a call goes through flight_settle exactly once; `calling` asserts it. */
#include "gateway/flight_private.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/discard.h"
#include "gateway/polling.h"
#include "gateway/prepare.h"
#include "gateway/record.h"
#include "gateway/telling.h"

#define TAIL_US CLOCK_SECOND_US /* an endpoint's time to end its response behind the end mark */

enum step { STEP_WAIT, STEP_MORE };

/* -- the end --------------------------------------------------------------------------------------------- */

static void free_flight(struct afterwards *a)
{
    struct flight *f = CONTAINER_OF(a, struct flight, afterwards);
    struct worker *w = f->w;
    struct desk *desk = f->desk;

    ASSERT(!f->calling && f->seat.ticket.state == TICKET_FREE);
    discard(w, &f->verdict.body);
    verdict_fini(&f->verdict);
    discard(w, &f->body);
    arena_fini(&f->arena);
    mem_free(f);
    w->flights_n--;
    desk_leave(&desk);
    worker_note_idle(w);
}

static void fail_with(struct flight *f, struct flight_end end)
{
    answer_log_end(&f->log, &end);
    flight_go(f, FL_OVER);
}

static void fail(struct flight *f, enum err e)
{
    fail_with(f, (struct flight_end){.err = e, .retry_after_us = -1});
}

/* The last call's outcome is final. */
static void fail_with_outcome(struct flight *f)
{
    fail_with(f, telling_of(&f->verdict, f->last));
}

/* -- settling a call ------------------------------------------------------------------------------------- */

/* Whether there is another endpoint that has not failed yet, beside the one of this call. */
static bool has_other(const struct flight *f)
{
    const struct ticket *t = &f->seat.ticket;

    return (~(t->tried | t->never | UINT64_C(1) << t->target) & prepare_targets(f->model)) != 0;
}

static void settle_seat(struct flight *f, enum outcome o)
{
    const struct usage *u = &f->verdict.usage;
    struct call_report r = {o, f->verdict.retry_after_us, u->prompt_tokens, u->completion_tokens};

    admission_settle(&f->seat, &r, flight_now_us(f), &f->w->loop->dice);
    worker_ring_at(f->w, f->seat.wake_us);
}

void flight_settle(struct flight *f, enum outcome o)
{
    ASSERT(f->calling);
    f->calling = false;
    flight_note_call(f, o);
    verdict_forget(&f->verdict);
    f->last = o;
    if (f->verdict.usage.known)
        f->facts.usage = f->verdict.usage;
    settle_seat(f, o);
    record_call(f->desk, f->facts.endpoint, o, &f->verdict);
}

/* How long it goes on asking. Who is only busy is waited for; endpoints that fail, for retry.outage. */
static int64_t patient_until_us(const struct flight *f)
{
    int64_t until_us = clock_add(f->failed_us, flight_config(f)->opt.outage_us);

    return f->failed_us != 0 && until_us < f->deadline_us ? until_us : f->deadline_us;
}

/* A call has failed: back to the line while nothing has gone to the client, else the end. */
static void after_failure(struct flight *f)
{
    const struct outcome_row *row = outcome_row(f->last);

    if (row->kind == KIND_FAULT && f->failed_us == 0)
        f->failed_us = flight_now_us(f);
    if (!f->verdict.begun && row->retry != OUTCOME_NEVER &&
        line_may_ask_again(&f->seat.ticket, flight_config(f)) && flight_now_us(f) < f->deadline_us)
        flight_go(f, FL_ADMIT);
    else
        fail_with_outcome(f);
}

/* -- what happens: the response -------------------------------------------------------------------------- */

static void on_begin(void *ud, int64_t length)
{
    struct flight *f = ud;

    f->facts.first_us = flight_now_us(f);
    f->state = FL_RELAY;
    if (f->call == NULL || call_is_sent(f->call)) /* nothing will be asked elsewhere any more */
        discard(f->w, &f->body);
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

    flight_settle(f, OUTCOME_OK);
    answer_log_end(&f->log, &COMPLETE);
    flight_go(f, FL_TAIL);
}

static void on_large(void *ud, struct judging *j);

static const struct verdict_sink SINK = {on_begin, on_event, on_done, on_large};

static enum err on_call_head(void *ud, const struct http_response *rs)
{
    struct flight *f = ud;

    f->facts.down = headers_down(&flight_config(f)->endpoints[f->facts.endpoint], f->verdict.opts.secret, rs,
                                 &f->arena, &f->facts.down_n);
    polling_hear(f->desk->edition, f->seat.ticket.model, f->facts.endpoint, rs, f->w->loop);
    return verdict_head(&f->verdict, rs);
}

/* Who learns from the time to first token hears of it at once: an answer may last for minutes. */
static void note_first(struct flight *f)
{
    if (!f->calling || !f->request.stream || !seat_learns(&f->seat))
        return;
    admission_first(&f->seat, flight_now_us(f), &f->w->loop->dice);
    worker_ring_at(f->w, f->seat.wake_us);
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
        f->clocks.last_payload_us = flight_now_us(f);
        if (first)
            note_first(f);
        if (first && f->state != FL_TAIL)
            timer_set(&f->w->loop->wheel, &f->timer, clocks_due(&f->clocks));
    }
    return e;
}

static void on_call_end(void *ud, enum err why, enum call_step step)
{
    struct flight *f = ud;
    enum outcome o = OUTCOME_N;

    f->call = NULL;
    f->end_why = why;
    f->end_step = step;
    if (f->state == FL_TAIL) { /* settled at the end mark */
        flight_go(f, FL_OVER);
        return;
    }
    if (f->verdict.judging == NULL) /* else its last bytes are not judged yet */
        o = verdict_end(&f->verdict, why, step == CALL_CONNECTING, step == CALL_ANSWERED);
    if (f->verdict.judging != NULL)
        return;
    if (f->state == FL_TAIL) { /* a plain answer was complete: on_done has settled it */
        flight_go(f, FL_OVER);
        return;
    }
    flight_settle(f, o);
    after_failure(f);
}

static const struct call_cb CALL_CB = {on_call_head, on_call_body, on_call_end};

/* -- what happens: clocks and grants --------------------------------------------------------------------- */

/* A clock has run out on the call under way. */
static void give_up_call(struct flight *f, enum outcome o)
{
    call_cancel(&f->call);
    f->verdict.outcome = o;
    flight_settle(f, o);
    after_failure(f);
}

/* Whether the endpoint's silence is ours. */
static bool is_paused(const struct flight *f)
{
    return answer_log_is_held(&f->log) || f->verdict.judging != NULL;
}

static void check_clocks(struct flight *f)
{
    bool held = is_paused(f);
    int64_t last = f->call != NULL ? call_last_byte_us(f->call) : 0;
    enum outcome o;

    if (last > f->clocks.last_byte_us)
        f->clocks.last_byte_us = last;
    o = clocks_check(&f->clocks, flight_now_us(f), held);
    if (o != OUTCOME_OK)
        give_up_call(f, o);
    else
        timer_set(&f->w->loop->wheel, &f->timer,
                  held ? clocks_due_paused(&f->clocks) : clocks_due(&f->clocks));
}

void flight_resume(struct flight *f)
{
    clocks_resume(&f->clocks, flight_now_us(f)); /* the silence was ours */
    if (f->call != NULL && !is_paused(f)) {
        call_resume(f->call);
        if (f->state != FL_TAIL)
            timer_set(&f->w->loop->wheel, &f->timer, clocks_due(&f->clocks));
    }
}

static void on_judged(void *owner, struct judging *j)
{
    struct flight *f = owner;
    uint64_t short_n = mem_short_n();
    bool payload = false;
    bool first = f->clocks.last_payload_us == 0;
    enum err e = verdict_judged(&f->verdict, j, &payload);

    if (payload)
        f->clocks.last_payload_us = flight_now_us(f);
    if (payload && first)
        note_first(f);
    if (f->state == FL_OVER || f->verdict.judging != NULL)
        return;
    if (f->calling && (e != ERR_OK || mem_short_n() != short_n))
        give_up_call(f, e != ERR_OK ? f->verdict.outcome : OUTCOME_EXHAUSTED);
    else if (f->call == NULL)
        on_call_end(f, f->end_why, f->end_step);
    else
        flight_resume(f);
}

static void on_large(void *ud, struct judging *j)
{
    struct flight *f = ud;

    if (f->call != NULL)
        call_pause(f->call);
    judging_start(j, f->w, f, on_judged);
}

static void leave_line(struct flight *f)
{
    flight_note_line(f, -1);
    f->facts.wait_us += flight_now_us(f) - f->line_since_us;
}

/* It waits: until when, unless something comes before. While it has not been failed itself, it looks from
 * time to time whether there is an outage. */
static int64_t line_due_us(const struct flight *f)
{
    int64_t outage_us = flight_config(f)->opt.outage_us, until_us = patient_until_us(f);
    int64_t look_us = clock_add(flight_now_us(f), outage_us);

    return f->failed_us == 0 && outage_us > 0 && look_us < until_us ? look_us : until_us;
}

/* Its patience is over, or there has been nobody to ask for as long as that. */
static void give_up_waiting(struct flight *f, enum outcome why)
{
    const struct outcome_row *row = why != OUTCOME_N ? outcome_row(why) : NULL;

    admission_leave(&f->seat, flight_now_us(f), &f->w->loop->dice);
    worker_ring_at(f->w, f->seat.wake_us);
    leave_line(f);
    if (f->last != OUTCOME_N)
        fail_with_outcome(f);
    else
        fail(f, row != NULL ? row->err : ERR_DEADLINE_EXCEEDED);
}

static void check_wait(struct flight *f)
{
    enum outcome why = OUTCOME_N;

    if (flight_now_us(f) < patient_until_us(f) && !admission_is_out(&f->seat, &why))
        timer_set(&f->w->loop->wheel, &f->timer, line_due_us(f));
    else
        give_up_waiting(f, why);
}

void flight_on_timer(struct timer *t)
{
    struct flight *f = CONTAINER_OF(t, struct flight, timer);

    if (f->state == FL_LINE) {
        check_wait(f);
    } else if (f->state == FL_TAIL) {
        call_cancel(&f->call);
        flight_go(f, FL_OVER);
    } else {
        check_clocks(f);
    }
}

void flight_on_grant(struct seat *seat)
{
    struct flight *f = CONTAINER_OF(seat, struct flight, seat);

    ASSERT(f->state == FL_LINE);
    leave_line(f);
    flight_note_grant(f);
    flight_go(f, FL_CALL);
}

/* -- the states ------------------------------------------------------------------------------------------ */

static enum step enter_admit(struct flight *f)
{
    struct seat_wait wait;
    enum line_verdict v;

    f->seat.wait = &wait;
    v = admission_enter(&f->seat, flight_now_us(f), &f->w->loop->dice);
    flight_note_admit(f, v, &wait);
    worker_ring_at(f->w, f->seat.wake_us);
    switch (v) {
    case LINE_TAKEN:
        f->state = FL_CALL;
        return STEP_MORE;
    case LINE_QUEUED:
        f->state = FL_LINE;
        return STEP_MORE;
    case LINE_PARKED:
        fail_with(f, telling_of_parked(&f->seat.ticket, f->last));
        return STEP_WAIT;
    case LINE_NONE:
        break;
    default: /* the line is too long for it */
        fail_with(f,
                  telling_of_line(v, &f->seat.ticket, &flight_config(f)->opt, flight_now_us(f), &f->arena));
        return STEP_WAIT;
    }
    if (f->facts.calls_n > 0)
        fail_with_outcome(f);
    else
        fail(f, ERR_NO_ENDPOINT);
    return STEP_WAIT;
}

static enum step enter_line(struct flight *f)
{
    f->line_since_us = flight_now_us(f);
    flight_note_line(f, 1);
    timer_set(&f->w->loop->wheel, &f->timer, line_due_us(f));
    return STEP_WAIT;
}

static void start_verdict(struct flight *f, const struct config_endpoint *ep)
{
    const struct config_options *opt = &flight_config(f)->opt;
    struct verdict_opts o = {
        .relay = {{f->request.surface, dialect_get((enum dialect_id)ep->provider)},
                  f->request.include_usage,
                  (size_t)opt->event_max,
                  &f->w->app->budget,
                  f->w->json,
                  &f->w->loop->turn,
                  &f->w->loop->spent.parsed_bytes},
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
    const struct config_options *opt = &flight_config(f)->opt;

    f->clocks = (struct clocks){
        .streaming = f->request.stream,
        .transport_us = opt->transport_us,
        .progress_us = opt->progress_us,
        .deadline_at_us = f->deadline_us,
        .stream_max_at_us = clock_add(flight_now_us(f), opt->stream_max_us),
        .last_byte_us = flight_now_us(f),
    };
    timer_set(&f->w->loop->wheel, &f->timer, clocks_due(&f->clocks));
}

static enum step enter_call(struct flight *f)
{
    const struct config_target *target = prepare_target(f->model, f->seat.ticket.target);
    const struct config_endpoint *ep = &flight_config(f)->endpoints[target->endpoint];
    struct prepare_ask ask = {
        ep,      target,    f->alias, &f->request, f->seat.ticket.upstream, f->authorization, f->request_id,
        f->kept, f->kept_n, f->hops};
    struct call_opts opts = {.head_max = (size_t)flight_config(f)->opt.head_max};
    struct pool *pool = &f->desk->pools[target->endpoint];
    struct metrics *m = f->desk->metrics;

    if (f->facts.calls_n > 0)
        metrics_add(m, METRIC_FALLBACKS, (size_t)f->facts.endpoint, 1);
    opts.hurry = f->facts.calls_n + 1 < flight_config(f)->opt.attempts_max && has_other(f);
    f->facts.endpoint = target->endpoint;
    f->facts.calls_n++;
    f->facts.down_n = 0;
    f->calling = true;
    f->called_us = flight_now_us(f);
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
        timer_set(&f->w->loop->wheel, &f->timer, flight_now_us(f) + TAIL_US);
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

void flight_go(struct flight *f, enum flight_state state)
{
    uint64_t short_n = mem_short_n();

    ASSERT(f->state != FL_OVER);
    f->state = state;
    while (STATES[f->state](f) == STEP_MORE)
        continue;
    if (f->state == FL_CALL && f->calling && mem_short_n() != short_n)
        give_up_call(f, OUTCOME_EXHAUSTED);
}
