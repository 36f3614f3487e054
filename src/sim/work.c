/* SPDX-License-Identifier: MIT */
/* The states of an answer:
 *
 *     READING -> (refused) | HANGING | HELD -> WAITING -> WORKING -> over
 *                                       |        |           `----> STALLED
 *                                       `--------+ head sent, keep-alives flow
 *
 * One timer serves them all: the next keep-alive, the end of ~queue, or the next token. Whoever leaves in
 * whatever state gives its slot to the first in line in the same turn.
 *
 * A caller that reads slowly is not buffered for without bound: past PENDING_MAX no token is made until what
 * waits has gone; tokens whose time came meanwhile then follow at once, as from an engine that went on. */
#include "sim/work.h"

#include "base/assert.h"
#include "base/clock.h"
#include "sim/text.h"

#define PENDING_MAX (256 * 1024)
#define GAPS_DRAWN_MAX 256 /* of a plain answer; longer ones scale up */
#define US_PER_SECOND 1000000

enum work_state { READING, HELD, WAITING, WORKING, STALLED, HANGING, OVER };

struct sim_work {
    struct sim *sim;
    struct conn *conn;
    struct arena *arena;
    struct buf body;
    struct slice whole; /* the body when it came in one piece */
    int64_t content_length;
    struct list node; /* in sim->line while WAITING */
    struct timer timer;
    struct sim_ask ask;
    struct sim_plan plan;
    struct sim_script script;
    struct rng dice;
    enum work_state state;
    int64_t due_us;       /* HELD: the end of it; WORKING: the next token, or the plain answer */
    int64_t keepalive_us; /* HELD, WAITING: the next one */
    int64_t created_s;
    uint32_t next; /* token */
    bool has_v1;   /* the path had the prefix */
    bool begun;    /* the first event is out */
    bool blocked;  /* WORKING: waits for the caller to read */
    bool has_slot;
};

static void work_due(struct timer *t);

/* -- counting and slots --------------------------------------------------------------------------------- */

static bool has_free_slot(const struct sim *s)
{
    return s->opts.slots <= 0 || s->slots_used < s->opts.slots;
}

static void set_state(struct sim_work *w, enum work_state state)
{
    struct sim_stats *st = &w->sim->stats;
    bool was_working = w->state == WORKING || w->state == STALLED;
    bool was_queued = w->state == HELD || w->state == WAITING || w->state == HANGING;

    st->working_n += (state == WORKING || state == STALLED) - was_working;
    st->queued_n += (state == HELD || state == WAITING || state == HANGING) - was_queued;
    w->state = state;
}

static void start_working(struct sim_work *w)
{
    struct loop *l = w->sim->loop;
    int64_t us = sim_time_draw(&w->plan.ttft, &w->dice);

    set_state(w, WORKING);
    w->sim->slots_used++;
    w->has_slot = true;
    w->due_us = clock_add(l->now_us, us);
    if (!w->ask.stream) {
        uint32_t gaps_n = w->script.thoughts_n + w->script.words_n, drawn_n;
        int64_t sum_us = 0;

        gaps_n = gaps_n > 0 ? gaps_n - 1 : 0;
        drawn_n = gaps_n < GAPS_DRAWN_MAX ? gaps_n : GAPS_DRAWN_MAX;
        for (uint32_t i = 0; i < drawn_n; i++)
            sum_us = clock_add(sum_us, sim_time_draw(&w->plan.gap, &w->dice));
        if (drawn_n > 0)
            w->due_us = clock_add(w->due_us, (int64_t)((double)sum_us / drawn_n * gaps_n));
    }
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
    set_state(w, OVER);
    if (!w->has_slot)
        return;
    w->has_slot = false;
    s->slots_used--;
    if (!s->closing && has_free_slot(s) && (first = list_pop_front(&s->line)) != NULL)
        start_working(CONTAINER_OF(first, struct sim_work, node));
}

static void refuse(struct sim_work *w, const struct sim_error *error)
{
    leave(w);
    w->sim->stats.refused_n++;
    sim_refuse(w->sim, w->conn, error);
}

/* -- sending -------------------------------------------------------------------------------------------- */

static void send_head(struct sim_work *w, int64_t length)
{
    struct header h[3] = {
        {SLICE("Content-Type"), w->ask.stream ? SLICE("text/event-stream") : SLICE("application/json")},
        sim_request_id(w->sim),
        {SLICE("Cache-Control"), SLICE("no-cache")},
    };

    conn_head(w->conn, 200, h, w->ask.stream ? 3 : 2, length);
}

static void finish(struct sim_work *w)
{
    leave(w);
    w->sim->stats.answered_n++;
    conn_end(w->conn);
}

static void cut(struct sim_work *w)
{
    leave(w);
    w->sim->stats.cut_n++;
    conn_abort(w->conn);
}

static void stall(struct sim_work *w)
{
    timer_stop(&w->sim->loop->wheel, &w->timer);
    set_state(w, STALLED);
}

static uint32_t tokens_n(const struct sim_work *w)
{
    return w->script.thoughts_n + w->script.words_n;
}

/* A fault behind k tokens shows before the answer has ended, however short that is. */
static uint32_t fault_at(const struct sim_work *w)
{
    uint32_t n = tokens_n(w), last = n;

    if (n > 0 && (w->script.deepseek || w->plan.fault == SIM_MALFORMED))
        last = n - 1;
    return w->plan.k < last ? (uint32_t)w->plan.k : last;
}

static void answer_plain(struct sim_work *w)
{
    enum sim_fault f = w->plan.fault;
    bool breaks = f == SIM_CUT || f == SIM_STALL;
    size_t after_k = 0;
    struct slice body =
        sim_chunk_plain(&w->script, w->created_s, breaks ? fault_at(w) : 0, &after_k, &w->sim->loop->turn);

    if (f == SIM_MALFORMED)
        body.n -= 2;
    if (!conn_head_sent(w->conn))
        send_head(w, (int64_t)body.n);
    if (breaks) {
        conn_body(w->conn, (struct slice){body.p, after_k});
        w->sim->stats.tokens_n += fault_at(w);
        if (f == SIM_CUT)
            cut(w);
        else
            stall(w);
        return;
    }
    w->sim->stats.tokens_n += tokens_n(w);
    conn_body(w->conn, body);
    finish(w);
}

/* -- streaming ------------------------------------------------------------------------------------------ */

static void begin_stream(struct sim_work *w)
{
    sim_chunk_prepare(&w->script, w->arena, w->created_s);
    w->begun = true;
    if (!conn_head_sent(w->conn))
        send_head(w, CONN_CHUNKED);
    if ((w->plan.fault == SIM_CUT || w->plan.fault == SIM_STALL) && w->plan.k == 0)
        return; /* not even an empty event */
    conn_body(w->conn, sim_chunk_first(&w->script, &w->sim->loop->turn));
}

/* Sends token w->next or what stands in its place; false: the work is over or stalled. */
static bool send_next(struct sim_work *w)
{
    enum sim_fault f = w->plan.fault;
    struct arena *turn = &w->sim->loop->turn;
    bool now = (f == SIM_CUT || f == SIM_STALL || f == SIM_MALFORMED) && w->next == fault_at(w);

    if (now && f == SIM_CUT) {
        cut(w);
        return false;
    }
    if (now && f == SIM_STALL) {
        stall(w);
        return false;
    }
    if (w->next < tokens_n(w)) {
        conn_body(w->conn,
                  now ? sim_chunk_malformed(&w->script, turn) : sim_chunk_token(&w->script, w->next, turn));
        w->next++;
        w->sim->stats.tokens_n++;
    }
    if (w->next < tokens_n(w) || (w->next == fault_at(w) && (f == SIM_CUT || f == SIM_STALL)))
        return true;
    conn_body(w->conn, sim_chunk_end(&w->script, f != SIM_NO_DONE, turn));
    finish(w);
    return false;
}

/* The first time in a turn it is not known yet what the caller takes: the timer looks again in the next one,
 * and then on_drain comes. */
static bool is_blocked(struct sim_work *w)
{
    if (conn_pending(w->conn) <= PENDING_MAX)
        return w->blocked = false;
    if (!w->blocked)
        timer_set(&w->sim->loop->wheel, &w->timer, w->sim->loop->now_us);
    w->blocked = true;
    return true;
}

static void go_on(struct sim_work *w)
{
    struct loop *l = w->sim->loop;

    if (!w->ask.stream) {
        answer_plain(w);
        return;
    }
    if (!w->begun)
        begin_stream(w);
    while (w->due_us <= l->now_us) {
        if (is_blocked(w))
            return;
        if (!send_next(w))
            return;
        w->due_us = clock_add(w->due_us, sim_time_draw(&w->plan.gap, &w->dice));
    }
    timer_set(&l->wheel, &w->timer, w->due_us);
}

/* -- waiting -------------------------------------------------------------------------------------------- */

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
    set_state(w, WAITING);
    list_push_back(&w->sim->line, &w->node);
    if (!conn_head_sent(w->conn)) {
        send_head(w, CONN_CHUNKED);
        arm_keepalive(w);
    } else {
        timer_set(&w->sim->loop->wheel, &w->timer, w->keepalive_us);
    }
}

static void keep_alive(struct sim_work *w)
{
    if (conn_pending(w->conn) <= PENDING_MAX)
        conn_body(w->conn, w->ask.stream ? SLICE(": keep-alive\n\n") : SLICE("\n"));
    arm_keepalive(w);
}

static void work_due(struct timer *t)
{
    struct sim_work *w = CONTAINER_OF(t, struct sim_work, timer);
    int64_t now_us = w->sim->loop->now_us;

    if (w->state == WORKING)
        go_on(w);
    else if (w->state == HELD && w->due_us <= now_us)
        wait_for_slot(w);
    else if (w->keepalive_us <= now_us)
        keep_alive(w);
    else
        arm_keepalive(w);
}

/* -- starting ------------------------------------------------------------------------------------------- */

static uint32_t least(int64_t a, int64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

/* Thoughts take at most half of what the caller allows, so that something is said. */
static void write_script(struct sim_work *w)
{
    const struct sim_opts *o = &w->sim->opts;
    struct sim_script *s = &w->script;
    int64_t mean = o->tokens_mean, bound = w->ask.max_tokens, words = w->plan.tokens;

    s->ask = &w->ask;
    s->size = w->plan.size;
    s->deepseek = o->deepseek && (!w->has_v1 || slice_starts(w->ask.model, SLICE("deepseek")));
    if (w->plan.fault == SIM_EMPTY)
        return;
    if (words < 0)
        words = (int64_t)sim_text_length(w->ask.hash, (size_t)mean);
    if (s->deepseek && w->ask.thinking)
        s->thoughts_n = (uint32_t)sim_text_length(sim_text_thought(w->ask.hash), (size_t)mean / 4);
    if (bound >= 0) {
        s->thoughts_n = least(s->thoughts_n, bound / 2);
        bound -= s->thoughts_n;
        s->cut_short = words > bound;
        words = least(words, bound);
    }
    s->words_n = (uint32_t)words;
}

/* Faults that refuse. */
static bool refuse_by_fault(struct sim_work *w)
{
    static const struct sim_error BUSY = {429,
                                          "requests",
                                          "rate_limit_exceeded",
                                          NULL,
                                          "Rate limit reached: this account has too many calls in flight.",
                                          NULL},
                                  BROKEN = {500,
                                            "server_error",
                                            "internal_error",
                                            NULL,
                                            "The server had an error while processing your request.",
                                            NULL},
                                  OVERLOADED = {503,
                                                "server_error",
                                                "overloaded",
                                                NULL,
                                                "The server is overloaded: please try again later.",
                                                NULL};
    const struct sim_stats *st = &w->sim->stats;
    const struct sim_error *error = NULL;

    if (w->sim->opts.account_limit > 0 && st->working_n + st->queued_n >= w->sim->opts.account_limit) {
        refuse(w, &BUSY);
        return true;
    }
    w->sim->stats.faults_n[w->plan.fault] += w->plan.fault != SIM_NONE;
    if (w->plan.fault == SIM_429)
        error = &BUSY;
    else if (w->plan.fault == SIM_500)
        error = &BROKEN;
    else if (w->plan.fault == SIM_503)
        error = &OVERLOADED;
    if (error != NULL)
        refuse(w, error);
    return error != NULL;
}

static void start(struct sim_work *w)
{
    struct sim *s = w->sim;

    if (refuse_by_fault(w))
        return;
    w->created_s = s->loop->wall_us / US_PER_SECOND;
    write_script(w);
    if (w->plan.fault == SIM_HANG) {
        set_state(w, HANGING);
        return;
    }
    if (w->plan.queue_us > 0) {
        set_state(w, HELD);
        w->due_us = clock_add(s->loop->now_us, w->plan.queue_us);
        send_head(w, CONN_CHUNKED);
        arm_keepalive(w);
        return;
    }
    wait_for_slot(w);
    if (w->state == WORKING && w->due_us <= s->loop->now_us)
        go_on(w); /* nothing to wait for: an origin in load tests answers in the same turn */
}

struct sim_work *sim_work_new(struct sim *s, struct conn *c, const struct http_request *rq,
                              struct arena *arena)
{
    struct sim_work *w = ARENA_NEW(arena, struct sim_work);

    w->sim = s;
    w->conn = c;
    w->arena = arena;
    w->content_length = rq->content_length;
    w->has_v1 = slice_starts(rq->path, SLICE("/v1/"));
    buf_init(&w->body, SIM_BODY_MAX, s->opts.budget);
    list_init(&w->node);
    timer_init(&w->timer, work_due);
    return w;
}

/* -- what the connection tells -------------------------------------------------------------------------- */

void sim_work_body(struct sim_work *w, struct slice bytes)
{
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
        refuse(w, &(struct sim_error){413, "invalid_request_error", "body_too_large", NULL,
                                      "The request body is larger than 64 MiB.", NULL});
    else
        refuse(w, &(struct sim_error){503, "server_error", "overloaded", NULL,
                                      "The simulator's memory budget is used up.", NULL});
}

void sim_work_complete(struct sim_work *w)
{
    struct sim *s = w->sim;
    struct slice body = w->whole.n > 0 ? w->whole : buf_slice(&w->body);
    struct sim_complaint bad = {NULL, NULL};
    bool fine;

    s->stats.requests_n++;
    fine = sim_ask_parse(body, s->json, w->arena, &w->ask, &bad);
    buf_fini(&w->body);
    w->whole = SLICE_NONE;
    if (fine) {
        rng_seed(&w->dice, rng_u64(&s->dice)); /* its own, so that others' tokens do not move its dice */
        bad.param = "model";
        fine = sim_plan_make(&s->opts, w->ask.model, &w->dice, w->arena, &w->plan, &bad.text);
    }
    if (!fine)
        refuse(w, &(struct sim_error){400, "invalid_request_error", "invalid_request", bad.param, bad.text,
                                      NULL});
    else
        start(w);
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
    if (w->state == WORKING && w->blocked)
        go_on(w);
}
