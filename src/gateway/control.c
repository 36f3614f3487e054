/* SPDX-License-Identifier: MIT */
/* The control thread: reloads, desks that come back, and the order of a drain.
 *
 *   SIGTERM -> /readyz fails, workers told -> (drain_delay) they stop accepting -> each says when it is empty
 *           -> all empty, or timeouts.drain has passed and the rest is cut -> on_drained */
#include "gateway/control.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/desk.h"
#include "gateway/edition.h"
#include "gateway/explain.h"
#include "gateway/polling.h"
#include "gateway/sides.h"
#include "gateway/worker.h"
#include "shared/admission.h"

struct control {
    struct app *app;
    struct loop *loop;
    struct control_opts opts;
    struct sides *sides;
    struct reload *reload;
    struct explains *explains;
    struct polling *polling;
    size_t drained_n;
    bool draining, cutting, done;
    struct timer patience;
    struct timer prices;
};

/* -- reloading ------------------------------------------------------------------------------------------- */

void control_reload(struct control *k, const char *asked_by)
{
    struct reload_result result;

    reload_run(k->reload, asked_by, &result);
}

enum err control_put_in_force(struct control *k, struct config *cfg)
{
    struct reload_result result = {.err = ERR_OK};

    reload_apply(k->reload, cfg, &result);
    return result.err;
}

/* -- prices ---------------------------------------------------------------------------------------------- */

/* The wall clock may be set: nobody trusts it for longer. */
#define REPRICE_US (60 * CLOCK_SECOND_US)

static void reprice(struct control *k)
{
    int64_t wall_us = k->loop->wall_us, until_us = admission_reprice(k->app->edition->admission, wall_us);

    timer_stop(&k->loop->wheel, &k->prices);
    if (until_us == CLOCK_NEVER_US)
        return;
    until_us = until_us - wall_us < REPRICE_US ? until_us - wall_us : REPRICE_US;
    timer_set(&k->loop->wheel, &k->prices, k->loop->now_us + until_us);
}

static void on_prices(struct timer *t)
{
    reprice(CONTAINER_OF(t, struct control, prices));
}

void control_follow(struct control *k)
{
    reprice(k);
    if (!k->draining)
        polling_follow(k->polling);
}

/* -- draining -------------------------------------------------------------------------------------------- */

static void on_desk_closed(struct message *m)
{
    struct desk *d = CONTAINER_OF(m, struct desk, message);

    desk_free(&d);
}

void control_desk_closed(struct control *k, struct desk *d)
{
    message_init(&d->message, on_desk_closed);
    mailbox_send(&k->loop->mailbox, &d->message);
}

static void finish(struct control *k)
{
    if (k->done)
        return;
    k->done = true;
    timer_stop(&k->loop->wheel, &k->patience);
    timer_stop(&k->loop->wheel, &k->prices);
    polling_stop(k->polling);
    k->opts.on_drained(k->opts.ud);
}

static void on_worker_drained(struct message *m)
{
    struct worker *w = CONTAINER_OF(m, struct worker, stopped);
    struct control *k = w->app->control;

    if (++k->drained_n == k->app->workers_n)
        finish(k);
}

void control_worker_drained(struct control *k, struct worker *w)
{
    message_init(&w->stopped, on_worker_drained);
    mailbox_send(&k->loop->mailbox, &w->stopped);
}

void control_cut(struct control *k)
{
    if (k->done || k->cutting)
        return;
    k->draining = k->cutting = true;
    __atomic_store_n(&k->app->draining, 1, __ATOMIC_RELEASE);
    for (size_t i = 0; i < k->app->workers_n; i++)
        mailbox_send(&k->app->workers[i]->loop->mailbox, &k->app->workers[i]->cut);
}

static void on_patience(struct timer *t)
{
    struct control *k = CONTAINER_OF(t, struct control, patience);

    LOG_WRN(k->app->log, "the drain's time is over: what is still open is cut");
    control_cut(k);
}

void control_drain(struct control *k)
{
    const struct config_options *opt = &k->app->edition->cfg->opt;

    if (k->draining)
        return;
    k->draining = true;
    __atomic_store_n(&k->app->draining, 1, __ATOMIC_RELEASE);
    for (size_t i = 0; i < k->app->workers_n; i++)
        mailbox_send(&k->app->workers[i]->loop->mailbox, &k->app->workers[i]->start_drain);
    timer_set(&k->loop->wheel, &k->patience,
              clock_add(k->loop->now_us, clock_add(opt->drain_delay_us, opt->drain_us)));
}

/* -- life ------------------------------------------------------------------------------------------------ */

struct control *control_new(struct app *a, struct loop *l, const struct control_opts *o, const char **which)
{
    struct control *k = MEM_NEW(struct control);
    struct pages pages = {.app = a, .more_metrics = o->more_metrics, .ud = o->ud};

    k->app = a;
    k->loop = l;
    k->opts = *o;
    k->reload = pages.reload = reload_new(a, &o->reload);
    k->explains = pages.explains = explains_new(a);
    timer_init(&k->patience, on_patience);
    timer_init(&k->prices, on_prices);
    a->control = k;
    k->polling = polling_new(a, l);
    control_follow(k);
    k->sides = sides_open(l, &pages, which);
    if (k->sides == NULL)
        control_free(&k);
    return k;
}

void control_free(struct control **kp)
{
    struct control *k = *kp;

    *kp = NULL;
    if (k == NULL)
        return;
    sides_close(&k->sides);
    explains_free(&k->explains);
    timer_stop(&k->loop->wheel, &k->patience);
    timer_stop(&k->loop->wheel, &k->prices);
    polling_free(&k->polling);
    LIST_EACH_SAFE (n, next, &k->app->desks) {
        struct desk *d = CONTAINER_OF(n, struct desk, node);

        if (d->state == DESK_CLOSED && mailbox_withdraw(&k->loop->mailbox, &d->message))
            desk_free(&d);
    }
    reload_free(&k->reload);
    k->app->control = NULL;
    mem_free(k);
}
