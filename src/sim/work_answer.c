/* SPDX-License-Identifier: MIT */
/* Plain answers and streams, with the faults that show inside of them. */
#include "base/clock.h"
#include "sim/work_private.h"

#define WRONG_BYTES 7

static bool breaks(enum sim_fault f)
{
    return f == SIM_CUT || f == SIM_RESET || f == SIM_STALL;
}

/* A fault behind k tokens shows before the answer has ended, however short that is. */
uint32_t work_fault_at(const struct sim_work *w)
{
    uint32_t n = w->script.tokens_n, last = n;

    if (n > 0 && (w->script.deepseek || w->plan.fault == SIM_MALFORMED))
        last = n - 1;
    return w->plan.k < last ? (uint32_t)w->plan.k : last;
}

static void break_here(struct sim_work *w)
{
    if (w->plan.fault == SIM_CUT)
        work_cut(w);
    else if (w->plan.fault == SIM_RESET)
        work_reset(w);
    else
        work_stall(w);
}

/* -- plain answers -------------------------------------------------------------------------------------- */

static bool is_played(const struct sim_work *w)
{
    return w->plan.fault == SIM_BYTEWISE || (w->plan.fault == SIM_SLOW_HEAD && !conn_head_sent(w->conn));
}

/* The length that the head says is wrong; where it went out long ago, that of a chunk. */
static void answer_wrong_length(struct sim_work *w, struct slice body)
{
    bool longer = w->plan.fault == SIM_TOO_LONG;
    size_t kept_n = body.n - WRONG_BYTES;

    w->sim->stats.tokens_n += w->script.tokens_n;
    if (conn_head_sent(w->conn)) {
        work_send_chunk_wrong(w, body, longer ? WRONG_BYTES : -WRONG_BYTES);
        work_cut(w);
    } else if (longer) {
        work_send_head(w, (int64_t)body.n + WRONG_BYTES);
        conn_body(w->conn, body);
        work_cut(w);
    } else {
        work_send_head(w, (int64_t)kept_n);
        conn_body(w->conn, (struct slice){body.p, kept_n});
        conn_raw(w->conn, slice_from(body, kept_n));
        work_finish(w);
    }
}

static void send_plain(struct sim_work *w, struct slice body)
{
    if (!conn_head_sent(w->conn))
        work_send_head(w, (int64_t)body.n);
    conn_body(w->conn, body);
}

static void answer_plain(struct sim_work *w)
{
    enum sim_fault f = w->plan.fault;
    size_t after_k = 0;
    struct slice body =
        w->form->plain(&w->script, breaks(f) ? work_fault_at(w) : 0, &after_k, &w->sim->loop->turn);

    if (f == SIM_TOO_LONG || f == SIM_TOO_SHORT) {
        answer_wrong_length(w, body);
        return;
    }
    if (breaks(f)) {
        if (!conn_head_sent(w->conn))
            work_send_head(w, (int64_t)body.n);
        conn_body(w->conn, (struct slice){body.p, after_k});
        w->sim->stats.tokens_n += work_fault_at(w);
        break_here(w);
        return;
    }
    if (f == SIM_ERROR)
        body = sim_error_body(w->sim, sim_error_of(SIM_ERROR));
    else
        w->sim->stats.tokens_n += w->script.tokens_n;
    if (f == SIM_MALFORMED)
        body.n -= 2;
    send_plain(w, body);
    work_finish(w);
}

/* -- streams -------------------------------------------------------------------------------------------- */

static void begin_stream(struct sim_work *w)
{
    struct slice first;

    w->form->prepare(&w->script, w->arena);
    w->begun = true;
    if (!conn_head_sent(w->conn))
        work_send_head(w, CONN_CHUNKED);
    if (breaks(w->plan.fault) && w->plan.k == 0)
        return; /* not even an empty event */
    first = work_with_comments(w, w->form->first(&w->script, &w->sim->loop->turn));
    if (w->plan.fault == SIM_TOO_SHORT && first.n == 0)
        first = w->form->end(&w->script, true, &w->sim->loop->turn);
    if (w->plan.fault == SIM_TOO_SHORT)
        work_send_chunk_wrong(w, first, -WRONG_BYTES);
    else
        conn_body(w->conn, first);
}

static void end_stream(struct sim_work *w)
{
    struct slice end = w->form->end(&w->script, w->plan.fault != SIM_NO_DONE, &w->sim->loop->turn);

    end = work_with_comments(w, end);

    if (w->plan.fault == SIM_TOO_LONG) {
        work_send_chunk_wrong(w, end, WRONG_BYTES);
        work_cut(w);
        return;
    }
    conn_body(w->conn, end);
    work_finish(w);
}

static void end_with_error(struct sim_work *w)
{
    conn_body(w->conn, w->form->failure(&w->script, &w->sim->loop->turn));
    work_finish(w);
}

/* Sends token w->next or what stands in its place; false: the work is over or stalled. */
static bool send_next(struct sim_work *w)
{
    enum sim_fault f = w->plan.fault;
    struct arena *turn = &w->sim->loop->turn;
    bool last, now = (breaks(f) || f == SIM_MALFORMED || f == SIM_ERROR) && w->next == work_fault_at(w);

    if (now && breaks(f)) {
        break_here(w);
        return false;
    }
    if (now && f == SIM_ERROR) {
        end_with_error(w);
        return false;
    }
    if (w->next < w->script.tokens_n) {
        struct sim_step at = sim_script_take(&w->script);
        struct slice event =
            now ? w->form->malformed(&w->script, turn) : w->form->token(&w->script, at, turn);

        conn_body(w->conn, w->plan.comments != 0 ? work_with_comments(w, event) : event);
        w->next++;
        w->sim->stats.tokens_n++;
    }
    last = w->next == w->script.tokens_n;
    if (!last || (w->next == work_fault_at(w) && (breaks(f) || f == SIM_ERROR)))
        return true;
    end_stream(w);
    return false;
}

void work_go_on(struct sim_work *w)
{
    struct loop *l = w->sim->loop;

    if (is_played(w)) {
        work_play(w);
        return;
    }
    if (!w->ask.stream) {
        answer_plain(w);
        return;
    }
    if (!w->begun) {
        begin_stream(w);
        if (w->plan.fault == SIM_TOO_SHORT) {
            work_cut(w);
            return;
        }
    }
    while (w->due_us <= l->now_us) {
        if (work_is_blocked(w) || !send_next(w))
            return;
        w->due_us = clock_add(w->due_us, sim_time_draw(&w->plan.gap, &w->dice));
    }
    timer_set(&l->wheel, &w->timer, w->due_us);
}
