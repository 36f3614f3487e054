/* SPDX-License-Identifier: MIT */
/* A desk's life, and its warnings. */
#include "gateway/desk.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/app.h"
#include "gateway/control.h"
#include "gateway/verdict.h"
#include "gateway/worker.h"

struct desk *desk_new(struct worker *w, struct edition *e)
{
    struct desk *d = MEM_NEW(struct desk);

    edition_ref(e);
    d->w = w;
    d->edition = e;
    d->state = DESK_SENT;
    d->metrics = metrics_new(&e->stats.layout);
    d->warned_us = mem_zalloc(e->cfg->endpoints_n * OUTCOME_N * sizeof *d->warned_us);
    list_init(&d->node);
    list_push_back(&w->app->desks, &d->node);
    w->app->desks_n++;
    return d;
}

void desk_free(struct desk **dp)
{
    struct desk *d = *dp;

    *dp = NULL;
    ASSERT(d->state != DESK_OPEN);
    list_remove(&d->node);
    d->w->app->desks_n--;
    metrics_fold(d->w->app->control_metrics, d->metrics);
    metrics_free(&d->metrics);
    mem_free(d->warned_us);
    edition_unref(&d->edition);
    mem_free(d);
}

struct pool_opts desk_way_to(const struct edition *e, size_t endpoint)
{
    const struct config_endpoint *ep = &e->cfg->endpoints[endpoint];
    const struct config_options *opt = &e->cfg->opt;
    struct pool_opts o = {.host = ep->host,
                          .port = ep->port,
                          .tls = e->tls[endpoint],
                          .tls_name = ep->server_name,
                          .connect_us = opt->connect_us,
                          .idle_us = opt->pool_idle_us,
                          .age_us = opt->pool_age_us,
                          .idle_max = (size_t)opt->pool_max};

    if (ep->socket != NULL)
        ASSERT(addr_of_unix(slice_of(ep->socket), &o.at));
    if (ep->proxy != NULL)
        o.proxy = (struct proxy){ep->proxy->host, ep->proxy->port, ep->proxy->authorization};
    return o;
}

void desk_open(struct desk *d)
{
    const struct config *cfg = d->edition->cfg;

    ASSERT(d->state == DESK_SENT);
    d->state = DESK_OPEN;
    d->users_n = 1;
    d->pools = mem_zalloc((cfg->endpoints_n + 1) * sizeof *d->pools);
    for (size_t i = 0; i < cfg->endpoints_n; i++) {
        struct pool_opts o = desk_way_to(d->edition, i);

        o.note = ebb_note_resting;
        o.ud = d->w;
        pool_init(&d->pools[i], d->w->loop, &o);
    }
}

static void close_desk(struct desk *d)
{
    for (size_t i = 0; i < d->edition->cfg->endpoints_n; i++)
        pool_fini(&d->pools[i]);
    mem_free(d->pools);
    d->pools = NULL;
    d->state = DESK_CLOSED;
    if (d->w->app->control != NULL)
        control_desk_closed(d->w->app->control, d);
}

void desk_leave(struct desk **dp)
{
    struct desk *d = *dp;

    *dp = NULL;
    ASSERT(d->state == DESK_OPEN && d->users_n > 0);
    if (--d->users_n == 0)
        close_desk(d);
}

/* A refusal with a reason is between client and provider; one without a reason may be a wrong url. */
static bool is_worth_a_line(const struct outcome_row *row, const struct verdict *v)
{
    return row->kind != KIND_OK && row->kind != KIND_GONE && (row->kind != KIND_CLIENT || v->detail.n == 0);
}

void desk_warn(struct desk *d, int endpoint, enum outcome o, const struct verdict *v)
{
    const struct config_endpoint *ep = &d->edition->cfg->endpoints[endpoint];
    const struct outcome_row *row = outcome_row(o);
    const struct pool *p = &d->pools[endpoint];
    int64_t *warned_us = &d->warned_us[stats_endpoint_outcome(endpoint, o)], now_us = d->w->loop->now_us;
    bool on_the_way = v->status == 0 && (o == OUTCOME_TLS || o == OUTCOME_PROXY);
    struct slice words = on_the_way ? slice_of(p->why) : v->detail;
    char status[32] = "";

    if (!is_worth_a_line(row, v) || (*warned_us != 0 && now_us - *warned_us < DESK_WARN_US))
        return;
    *warned_us = now_us;
    if (v->status != 0)
        snprintf(status, sizeof status, ", status %d", v->status);
    LOG_WRN(d->w->app->log, "endpoint %s (%.*s): a call ended as %s%s: %s%s%.*s", ep->name,
            SLICE_ARG(ep->url), row->label, status, err_row(row->err)->text, words.n > 0 ? " " : "",
            SLICE_ARG(words));
}
