/* SPDX-License-Identifier: MIT */
/* Faults instead of an answer: HTTP errors, and connections that end or say nonsense. */
#include "base/clock.h"
#include "http/date.h"
#include "sim/work_private.h"

#define GARBAGE_BYTES 48
#define MINUTE_US (60 * CLOCK_SECOND_US)

/* -- refusals ------------------------------------------------------------------------------------------- */

static struct slice date_in(struct sim_work *w, int64_t us)
{
    char *text = arena_bytes(&w->sim->loop->turn, DATE_BYTES);

    date_format(w->sim->loop->wall_us + us, text);
    return (struct slice){text, DATE_BYTES};
}

/* The value of Retry-After; SLICE_NONE: no header. */
static struct slice retry_after(struct sim_work *w, int status)
{
    struct slice asked = w->plan.retry_after, rest;
    int64_t us;

    if (asked.p == NULL)
        return status == 429 ? SLICE("1") : SLICE_NONE;
    if (slice_eq(asked, SLICE("none")))
        return SLICE_NONE;
    if (slice_eq(asked, SLICE("past")))
        return date_in(w, -MINUTE_US);
    if (slice_eq(asked, SLICE("huge")))
        return SLICE("99999999999999999999");
    if (slice_eq(asked, SLICE("garbage")))
        return SLICE("soon; maybe");
    (void)slice_cut(asked, ':', &rest);
    if (sim_duration_parse(rest, &us))
        return date_in(w, us);
    return asked;
}

static void refuse(struct sim_work *w, enum sim_fault f)
{
    struct sim_error error = *sim_error_of(f);
    struct slice after = retry_after(w, error.status);

    if (error.shape == SIM_SHAPE_OPENAI)
        error.shape = w->form->shape;
    if (after.p != NULL)
        error.more = (struct header){SLICE("Retry-After"), after};
    work_refuse(w, &error);
}

/* -- connections ---------------------------------------------------------------------------------------- */

/* Looks like another protocol's greeting, then dice. */
static void talk_nonsense(struct sim_work *w)
{
    static const char GREETING[] = "SSH-2.0-sim\r\n";
    size_t n = sizeof GREETING - 1;
    char *text = arena_bytes(&w->sim->loop->turn, GARBAGE_BYTES);

    memcpy(text, GREETING, n);
    for (; n < GARBAGE_BYTES; n++)
        text[n] = (char)rng_below(&w->dice, 256);
    conn_raw(w->conn, (struct slice){text, n});
    work_cut(w);
}

static bool break_head(struct sim_work *w)
{
    switch (w->plan.fault) {
    case SIM_HANG:
        work_set_state(w, HANGING);
        return true;
    case SIM_DROP:
        work_reset(w);
        return true;
    case SIM_HALF_CLOSE:
        conn_raw(w->conn, SLICE_NONE);
        work_cut(w);
        return true;
    case SIM_GARBAGE:
        talk_nonsense(w);
        return true;
    case SIM_RESET_HEAD:
        conn_raw(w->conn, SLICE("HTTP/1.1 200 OK\r\nContent-Ty"));
        work_reset(w);
        return true;
    default:
        return false; /* a slow head is one of an answer */
    }
}

bool work_fail_early(struct sim_work *w)
{
    const struct sim_opts *o = &w->sim->opts;
    struct sim_stats *st = &w->sim->stats;
    enum sim_fault f = w->plan.fault;

    if (sim_is_loading(w->sim)) {
        refuse(w, SIM_LOADING);
        return true;
    }
    if (o->balance == 0) {
        refuse(w, SIM_402);
        return true;
    }
    if (o->account_limit > 0 && st->working_n + st->queued_n >= o->account_limit) {
        refuse(w, SIM_429);
        return true;
    }
    st->faults_n[f] += f != SIM_NONE;
    if (sim_fault_row(f)->phase == SIM_PHASE_REFUSAL) {
        refuse(w, f);
        return true;
    }
    return break_head(w);
}
