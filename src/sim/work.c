/* SPDX-License-Identifier: MIT */
/* States, slots, and waiting for them (work_private.h has the picture).
 *
 * Whoever leaves in whatever state gives its slot to the first in line in the same turn.
 *
 * A caller that reads slowly is not buffered for without bound: past WORK_PENDING_MAX no token is made until
 * what waits has gone; tokens whose time came meanwhile then follow at once, as from an engine that went on.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "sim/work_private.h"

#define GAPS_DRAWN_MAX 256 /* of a plain answer; longer ones scale up */
#define US_PER_SECOND 1000000

/* -- counting and slots --------------------------------------------------------------------------------- */

static bool has_free_slot(const struct sim *s)
{
    return s->opts.slots <= 0 || s->slots_used < s->opts.slots;
}

static bool counts_as_working(enum work_state state)
{
    return state == WORKING || state == STALLED || state == PLAYING;
}

static bool counts_as_queued(enum work_state state)
{
    return state == HELD || state == WAITING || state == HANGING || state == BREAKING;
}

void work_set_state(struct sim_work *w, enum work_state state)
{
    struct sim_stats *st = &w->sim->stats;

    st->working_n += counts_as_working(state) - counts_as_working(w->state);
    st->queued_n += counts_as_queued(state) - counts_as_queued(w->state);
    w->state = state;
}

/* A plain answer comes when its last token would have come. */
static int64_t gaps_us(struct sim_work *w)
{
    uint32_t gaps_n = w->script.tokens_n, drawn_n;
    int64_t sum_us = 0;

    gaps_n = gaps_n > 0 ? gaps_n - 1 : 0;
    drawn_n = gaps_n < GAPS_DRAWN_MAX ? gaps_n : GAPS_DRAWN_MAX;
    for (uint32_t i = 0; i < drawn_n; i++)
        sum_us = clock_add(sum_us, sim_time_draw(&w->plan.gap, &w->dice));
    return drawn_n > 0 ? (int64_t)((double)sum_us / drawn_n * gaps_n) : 0;
}

/* What reading the prompt takes; the rest of the time to the first token is drawn. */
static int64_t prefill_us(const struct sim_work *w)
{
    int64_t per_1000_us = w->sim->opts.prefill_us;

    return per_1000_us > 0
               ? (int64_t)((double)sim_form_prompt_tokens(&w->script) / 1000 * (double)per_1000_us)
               : 0;
}

static void start_working(struct sim_work *w)
{
    struct loop *l = w->sim->loop;
    int64_t us = clock_add(sim_time_draw(&w->plan.ttft, &w->dice), prefill_us(w));

    work_set_state(w, WORKING);
    w->sim->slots_used++;
    w->has_slot = true;
    list_push_back(&w->sim->busy, &w->node);
    w->due_us = clock_add(l->now_us, us);
    if (!w->ask.stream)
        w->due_us = clock_add(w->due_us, gaps_us(w));
    timer_set(&l->wheel, &w->timer, w->due_us);
}

/* Ends the work in every respect but its response. */
static void leave(struct sim_work *w)
{
    struct sim *s = w->sim;
    struct list *first;

    timer_stop(&s->loop->wheel, &w->timer);
    list_remove(&w->node);
    buf_fini(&w->body);
    work_set_state(w, OVER);
    if (!w->has_slot)
        return;
    w->has_slot = false;
    s->slots_used--;
    if (!s->closing && has_free_slot(s) && (first = list_pop_front(&s->line)) != NULL)
        start_working(CONTAINER_OF(first, struct sim_work, node));
}

/* -- ends ----------------------------------------------------------------------------------------------- */

void work_refuse(struct sim_work *w, const struct sim_error *error)
{
    leave(w);
    w->sim->stats.refused_n++;
    sim_refuse(w->sim, w->conn, error);
}

void work_finish(struct sim_work *w)
{
    leave(w);
    w->sim->stats.answered_n++;
    conn_end(w->conn);
}

void work_cut(struct sim_work *w)
{
    leave(w);
    w->sim->stats.cut_n++;
    conn_abort(w->conn);
}

void work_reset(struct sim_work *w)
{
    work_set_state(w, BREAKING);
    timer_set(&w->sim->loop->wheel, &w->timer, 0);
}

static void break_off(struct sim_work *w)
{
    leave(w);
    w->sim->stats.cut_n++;
    conn_reset(w->conn);
}

void work_stall(struct sim_work *w)
{
    timer_stop(&w->sim->loop->wheel, &w->timer);
    work_set_state(w, STALLED);
}

/* The first time in a turn it is not known yet what the caller takes: the timer looks again in the next one,
 * and then on_drain comes. */
bool work_is_blocked(struct sim_work *w)
{
    if (conn_pending(w->conn) <= WORK_PENDING_MAX)
        return w->blocked = false;
    if (!w->blocked)
        timer_set(&w->sim->loop->wheel, &w->timer, w->sim->loop->now_us);
    w->blocked = true;
    return true;
}

/* -- waiting -------------------------------------------------------------------------------------------- */

void work_send_head(struct sim_work *w, int64_t length)
{
    struct header h[3] = {
        {SLICE("Content-Type"), w->ask.stream ? SLICE("text/event-stream") : SLICE("application/json")},
        sim_request_id(w->sim),
        {SLICE("Cache-Control"), SLICE("no-cache")},
    };

    conn_head(w->conn, 200, h, w->ask.stream ? 3 : 2, length);
}

static void arm_keepalive(struct sim_work *w)
{
    struct sim *s = w->sim;
    int64_t us = s->opts.keepalive_us > 0 ? clock_add(s->loop->now_us, s->opts.keepalive_us) : CLOCK_NEVER_US;

    w->keepalive_us = us;
    if (w->state == HELD && w->due_us < us)
        us = w->due_us;
    timer_set(&s->loop->wheel, &w->timer, us);
}

static void wait_for_slot(struct sim_work *w)
{
    if (has_free_slot(w->sim)) {
        start_working(w);
        return;
    }
    work_set_state(w, WAITING);
    list_push_back(&w->sim->line, &w->node);
    if (!conn_head_sent(w->conn)) {
        work_send_head(w, CONN_CHUNKED);
        arm_keepalive(w);
    } else {
        timer_set(&w->sim->loop->wheel, &w->timer, w->keepalive_us);
    }
}

static void keep_alive(struct sim_work *w)
{
    if (conn_pending(w->conn) <= WORK_PENDING_MAX)
        conn_body(w->conn, w->ask.stream ? slice_of(w->form->waiting ? w->form->waiting : ": keep-alive\n\n")
                                         : SLICE("\n"));
    arm_keepalive(w);
}

static void work_due(struct timer *t)
{
    struct sim_work *w = CONTAINER_OF(t, struct sim_work, timer);
    int64_t now_us = w->sim->loop->now_us;

    if (w->state == WORKING)
        work_go_on(w);
    else if (w->state == PLAYING)
        work_play_on(w);
    else if (w->state == BREAKING)
        break_off(w);
    else if (w->state == HELD && w->due_us <= now_us)
        wait_for_slot(w);
    else if (w->keepalive_us <= now_us)
        keep_alive(w);
    else
        arm_keepalive(w);
}

/* -- starting ------------------------------------------------------------------------------------------- */

/* Only chat has DeepSeek's form. */
static bool is_deepseek(const struct sim_work *w)
{
    return w->form == &SIM_FORM_CHAT && w->sim->opts.deepseek &&
           (!w->has_v1 || slice_starts(w->ask.model, SLICE("deepseek")));
}

static void write_script(struct sim_work *w)
{
    const struct sim_ask *a = &w->ask;
    bool deepseek = is_deepseek(w);
    struct sim_casting k = {
        .ask = a,
        .plan = &w->plan,
        .mean = w->form->prepare != NULL ? w->sim->opts.tokens_mean : 0,
        .deepseek = deepseek,
        .thinks = deepseek && a->thinking,
        .continues = a->ends_with_answer && (a->asks_to_continue || w->plan.continues),
    };

    w->script.created_s = w->sim->loop->wall_us / US_PER_SECOND;
    sim_script_write(&w->script, &k, w->arena);
    w->sim->stats.prompt_tokens_n += sim_form_prompt_tokens(&w->script);
}

static void start(struct sim_work *w)
{
    struct sim *s = w->sim;

    if (work_fail_early(w))
        return;
    write_script(w);
    if (w->plan.queue_us > 0) {
        work_set_state(w, HELD);
        w->due_us = clock_add(s->loop->now_us, w->plan.queue_us);
        work_send_head(w, CONN_CHUNKED);
        arm_keepalive(w);
        return;
    }
    wait_for_slot(w);
    if (w->state == WORKING && w->due_us <= s->loop->now_us)
        work_go_on(w); /* nothing to wait for: an origin in load tests answers in the same turn */
}

struct sim_work *sim_work_new(struct sim_door *d, struct conn *c, const struct sim_form *form,
                              const struct http_request *rq, struct arena *arena)
{
    struct sim_work *w = ARENA_NEW(arena, struct sim_work);

    w->sim = d->sim;
    w->door = d;
    w->conn = c;
    w->form = form;
    w->arena = arena;
    w->content_length = rq->content_length;
    w->has_v1 = slice_starts(rq->path, SLICE("/v1/"));
    w->is_beta = slice_starts(rq->path, SLICE("/beta/"));
    buf_init(&w->body, SIM_BODY_MAX, d->sim->opts.budget);
    list_init(&w->node);
    timer_init(&w->timer, work_due);
    return w;
}

/* -- what the connection tells -------------------------------------------------------------------------- */

void sim_work_body(struct sim_work *w, struct slice bytes)
{
    struct sim_error error;
    enum err e;

    if (w->body.n == 0 && (int64_t)bytes.n == w->content_length) {
        w->whole = bytes; /* sim_work_complete follows in this turn */
        return;
    }
    e = buf_add(&w->body, bytes);
    if (e == ERR_OK)
        return;
    w->sim->stats.requests_n++;
    conn_close_after(w->conn);
    if (e == ERR_TOO_LARGE)
        error = sim_error_make(413, "body_too_large", NULL, "The request body is larger than 64 MiB.");
    else
        error = sim_error_make(503, "overloaded", NULL, "The simulator's memory budget is used up.");
    work_refuse(w, &error);
}

static bool make_plan(struct sim_work *w, struct sim_complaint *bad)
{
    struct sim *s = w->sim;
    struct sim_case c = {&s->opts, w->ask.model, &w->door->rule, w->door->name, sim_age_us(s)};

    rng_seed(&w->dice, rng_u64(&s->dice)); /* its own, so that others' tokens do not move its dice */
    if (w->ask.asks_to_continue && is_deepseek(w) && !w->is_beta)
        return sim_ask_complain(bad, "messages", "prefix needs the base URL that ends with /beta.");
    bad->param = "model";
    return sim_plan_make(&c, &w->dice, w->arena, &w->plan, &bad->text);
}

void sim_work_complete(struct sim_work *w)
{
    struct sim *s = w->sim;
    struct slice body = w->whole.n > 0 ? w->whole : buf_slice(&w->body);
    struct sim_complaint bad = {NULL, NULL};
    struct sim_error error;
    bool fine;

    s->stats.requests_n++;
    fine = sim_ask_parse(body, w->form->read, s->json, w->arena, &w->ask, &bad) && make_plan(w, &bad);
    buf_fini(&w->body);
    w->whole = SLICE_NONE;
    if (fine) {
        start(w);
        return;
    }
    error = sim_error_make(400, "invalid_request", bad.param, bad.text);
    error.shape = w->form->shape;
    work_refuse(w, &error);
}

void sim_work_gone(struct sim_work *w)
{
    struct sim_stats *st = &w->sim->stats;

    if (w->state != READING) {
        st->cancelled_n++;
        st->last_cancel_us = w->sim->loop->now_us;
    }
    leave(w);
}

void sim_work_drained(struct sim_work *w)
{
    if (w->blocked && w->state == WORKING)
        work_go_on(w);
    else if (w->blocked && w->state == PLAYING)
        work_play_on(w);
}
