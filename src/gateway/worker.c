/* SPDX-License-Identifier: MIT */
/* A worker's life: accept, drain, go.
 *
 * Draining is asked for by the control thread with a message; the answer is a message back when the last
 * connection and flight have gone. Cutting is the same with no patience. */
#include "gateway/worker.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/access_log.h"
#include "gateway/app.h"
#include "gateway/control.h"
#include "gateway/exchange.h"
#include "gateway/front.h"
#include "shared/admission.h"

#define JSON_POOL_BYTES (64 * 1024)
#define PIPELINE_BYTES (64 * 1024)
#define RECHECK_US (20 * CLOCK_MS_US)
#define LAST_WORDS_US (200 * CLOCK_MS_US) /* how long a cut waits for clients to take what was queued */

static void on_start_drain(struct message *m)
{
    worker_drain(CONTAINER_OF(m, struct worker, start_drain));
}

static void on_cut(struct message *m)
{
    worker_cut(CONTAINER_OF(m, struct worker, cut));
}

/* -- ending, as much in a turn as one may (io/turn.def) -------------------------------------------------- */

/* Nobody comes in any more; who is there now hears of it in steps. */
static void begin_end(struct worker *w)
{
    front_close(w);
    w->draining = true;
    w->untold_n = w->conns_n;
}

/* Those that have been told stand at the back. Some of the others may have gone meanwhile: then some are told
 * twice, which changes nothing. Returns how many it was. */
static size_t tell_conns(struct worker *w, size_t max)
{
    size_t n = 0;

    for (; n < max && w->untold_n > 0 && !list_empty(&w->conns); n++) {
        struct list *node = list_pop_front(&w->conns);

        list_push_back(&w->conns, node);
        w->untold_n--;
        conn_drain(conn_of_node(node));
    }
    return n;
}

static void drain_step(struct worker *w)
{
    if (tell_conns(w, TURN_ENDS) == TURN_ENDS)
        timer_set(&w->loop->wheel, &w->drain_timer, 0);
    else
        worker_note_idle(w);
}

static void cut_step(struct worker *w)
{
    /* First: a connection that knows it ends lets its last words out. */
    size_t n = tell_conns(w, TURN_ENDS);

    for (; n < TURN_ENDS && !list_empty(&w->exchanges); n++)
        exchange_give_up(CONTAINER_OF(w->exchanges.next, struct exchange, node), ERR_DRAINING);
    for (; n < TURN_ENDS && !list_empty(&w->conns); n++)
        conn_close(conn_of_node(w->conns.next));
    if (n == TURN_ENDS)
        timer_set(&w->loop->wheel, &w->drain_timer, 0);
    else
        worker_note_idle(w);
}

static void on_drain_timer(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, drain_timer);

    if (!w->draining)
        begin_end(w);
    if (w->cut_us != 0)
        cut_step(w);
    else
        drain_step(w);
}

/* What the worker itself takes from the edition in force. */
static void apply_options(struct worker *w)
{
    const struct config *cfg = desk_config(w->desk);
    const struct config_options *opt = &cfg->opt;

    w->loop->finish_us = opt->write_us;
    w->loop->pending_max = app_pending_max(cfg);
    w->limits =
        (struct conn_limits){(size_t)opt->head_max, PIPELINE_BYTES, opt->head_us,   opt->body_us,
                             opt->idle_us,          opt->write_us,  opt->body_rate, opt->body_grace_us};
}

static void on_desk(struct message *m)
{
    struct desk *d = CONTAINER_OF(m, struct desk, message);
    struct worker *w = d->w;

    desk_open(d);
    desk_leave(&w->desk);
    w->desk = d;
    apply_options(w);
}

void worker_send_desk(struct worker *w, struct desk *d)
{
    message_init(&d->message, on_desk);
    mailbox_send(&w->loop->mailbox, &d->message);
}

static void on_line_timer(struct timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, line_timer);

    w->line_wake_us = CLOCK_NEVER_US;
    worker_ring_at(w, admission_ring(w->desk->edition->admission, w->loop->now_us, &w->loop->dice));
}

void worker_ring_at(struct worker *w, int64_t at_us)
{
    if (at_us >= w->line_wake_us)
        return;
    w->line_wake_us = at_us;
    timer_set(&w->loop->wheel, &w->line_timer, at_us);
}

struct worker *worker_new(struct app *app, struct loop *loop, int index)
{
    const struct config *cfg = app->edition->cfg;
    struct worker *w = MEM_NEW(struct worker);

    ASSERT(app->workers_n < app->workers_max);
    w->app = app;
    w->loop = loop;
    w->index = index;
    w->json = json_pool_new(JSON_POOL_BYTES);
    w->access = access_log_new(loop, app->access_fd);
    list_init(&w->conns);
    list_init(&w->exchanges);
    w->doors = mem_zalloc((cfg->listen_n + 1) * sizeof *w->doors);
    w->desk = desk_new(w, app->edition);
    desk_open(w->desk);
    apply_options(w);
    message_init(&w->start_drain, on_start_drain);
    message_init(&w->cut, on_cut);
    timer_init(&w->drain_timer, on_drain_timer);
    timer_init(&w->line_timer, on_line_timer);
    w->line_wake_us = CLOCK_NEVER_US;
    ebb_init(w);
    why_rings_init(&w->whys);
    app->workers[app->workers_n++] = w;
    return w;
}

/* The threads have ended and the control thread's part is gone: nobody else has any of them. */
static void free_desks(struct worker *w)
{
    desk_leave(&w->desk);
    LIST_EACH_SAFE (n, next, &w->app->desks) {
        struct desk *d = CONTAINER_OF(n, struct desk, node);

        if (d->w != w)
            continue;
        if (d->state == DESK_SENT)
            mailbox_withdraw(&w->loop->mailbox, &d->message);
        desk_free(&d);
    }
}

void worker_free(struct worker **wp)
{
    struct worker *w = *wp;
    struct app *app;

    *wp = NULL;
    if (w == NULL)
        return;
    app = w->app;
    ASSERT(worker_is_idle(w));
    front_close(w);
    timer_stop(&w->loop->wheel, &w->drain_timer);
    timer_stop(&w->loop->wheel, &w->line_timer);
    why_rings_fini(&w->whys);
    access_log_free(&w->access);
    json_pool_free(&w->json);
    free_desks(w);
    ebb_fini(w); /* desks have told it of their connections */
    mem_free(w->doors);
    ASSERT(app->workers[app->workers_n - 1] == w); /* the last made goes first */
    app->workers_n--;
    mem_free(w);
}

void worker_drain(struct worker *w)
{
    timer_set(&w->loop->wheel, &w->drain_timer,
              clock_add(w->loop->now_us, desk_config(w->desk)->opt.drain_delay_us));
}

void worker_cut(struct worker *w)
{
    timer_stop(&w->loop->wheel, &w->drain_timer);
    begin_end(w);
    if (w->cut_us == 0)
        w->cut_us = w->loop->now_us;
    cut_step(w);
}

bool worker_is_idle(const struct worker *w)
{
    return w->conns_n == 0 && w->exchanges_n == 0 && w->flights_n == 0 && w->readings_n == 0;
}

void worker_note_idle(struct worker *w)
{
    if (!w->draining || w->drained || !worker_is_idle(w) || w->app->control == NULL)
        return;
    if (w->loop->finishing_n > 0 && (w->cut_us == 0 || w->loop->now_us - w->cut_us < LAST_WORDS_US)) {
        /* Slow clients still take their last bytes. */
        timer_set(&w->loop->wheel, &w->drain_timer, w->loop->now_us + RECHECK_US);
        return;
    }
    w->drained = true;
    control_worker_drained(w->app->control, w);
}
