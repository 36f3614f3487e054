/* SPDX-License-Identifier: MIT */
/* The control thread's listeners, beside those of the workers: few connections, each answered by a page. */
#include "gateway/sides.h"

#include "base/mem.h"
#include "gateway/app.h"
#include "gateway/certs.h"
#include "gateway/door.h"
#include "gateway/explain.h"

#define CONNS_MAX 64 /* scrapers and operators are few; who holds more than that is neither */

struct side {
    struct sides *all;
    struct door *door; /* or NULL */
    const struct conn_handler *handler;
};

struct sides {
    struct loop *loop;
    struct pages pages;
    struct conn_limits limits;
    struct list conns; /* oldest first */
    size_t conns_n;
    struct side admin, metrics;
};

/* -- requests -------------------------------------------------------------------------------------------- */

static void *on_admin_request(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    (void)arena;
    return pages_answer(&((struct sides *)owner)->pages, c, rq, true);
}

static void *on_metrics_request(void *owner, struct conn *c, const struct http_request *rq,
                                struct arena *arena)
{
    (void)arena;
    return pages_answer(&((struct sides *)owner)->pages, c, rq, false);
}

static void on_refused(void *owner, struct conn *c, enum err why)
{
    (void)owner;
    pages_refuse(c, why);
}

static void on_conn_closed(void *owner, struct conn *c)
{
    struct sides *all = owner;

    (void)c;
    all->conns_n--;
}

/* A body that nobody asked for. */
static void on_body(void *user, struct slice bytes)
{
    (void)user;
    (void)bytes;
}

static void on_complete(void *user)
{
    (void)user;
}

static void on_gone(void *user, enum err why)
{
    (void)why;
    explain_gone(user);
}

static const struct conn_handler ADMIN_HANDLER = {.on_request = on_admin_request,
                                                  .on_body = on_body,
                                                  .on_complete = on_complete,
                                                  .on_gone = on_gone,
                                                  .on_refused = on_refused,
                                                  .on_conn_closed = on_conn_closed};
static const struct conn_handler METRICS_HANDLER = {.on_request = on_metrics_request,
                                                    .on_body = on_body,
                                                    .on_complete = on_complete,
                                                    .on_gone = on_gone,
                                                    .on_refused = on_refused,
                                                    .on_conn_closed = on_conn_closed};

/* -- the doors ------------------------------------------------------------------------------------------- */

/* At the bound the oldest connection makes room, so that nobody can keep the scrapers out. */
static bool on_accept(void *ud)
{
    struct sides *all = ((struct side *)ud)->all;

    if (all->conns_n == CONNS_MAX && list_empty(&all->conns))
        return false; /* all of them are still shaking hands */
    if (all->conns_n == CONNS_MAX)
        conn_close(conn_of_node(all->conns.next));
    all->conns_n++;
    return true;
}

static bool on_known(void *ud, const struct addr *peer, void **tag)
{
    (void)ud;
    (void)peer;
    (void)tag;
    return true;
}

static struct tls_config *present_certs(void *ud, const char *at)
{
    const struct edition *e = ((const struct side *)ud)->all->pages.app->edition;

    return certs_find(e->cfg, e->certs, at);
}

static int64_t patience_us(void *ud)
{
    return ((const struct side *)ud)->all->pages.app->edition->cfg->opt.handshake_us;
}

static void *on_astray(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    (void)owner;
    (void)rq;
    (void)arena;
    conn_close_after(c);
    pages_refuse(c, ERR_TLS_REQUIRED);
    return NULL;
}

static const struct conn_handler ASTRAY_HANDLER = {
    .on_request = on_astray, .on_refused = on_refused, .on_conn_closed = on_conn_closed};

static void on_enter(void *ud, const struct arrived *a)
{
    const struct side *s = ud;
    struct sides *all = s->all;
    struct conn *c =
        conn_new(a->stream, &a->peer, &all->limits, a->astray ? &ASTRAY_HANDLER : s->handler, all);

    list_push_back(&all->conns, conn_node(c));
}

static void on_lost(void *ud, const struct addr *peer, void *tag, enum door_loss why, const char *detail)
{
    (void)peer;
    (void)tag;
    (void)why;
    (void)detail;
    ((struct side *)ud)->all->conns_n--;
}

static const struct door_cb DOOR_CB = {on_accept, on_known, present_certs, patience_us, on_enter, on_lost};

/* -- life ------------------------------------------------------------------------------------------------ */

static bool open_side(struct sides *all, struct side *s, const struct config_listener *listener,
                      const struct conn_handler *handler, const char **which)
{
    const struct edition *e = all->pages.app->edition;
    struct addr at;
    struct door_opts o = {.listener = listener, .at = &at, .cb = &DOOR_CB, .ud = s};

    s->all = all;
    s->handler = handler;
    if (listener == NULL)
        return true;
    *which = listener->at;
    if (addr_parse(slice_of(listener->at), &at) != ERR_OK)
        return false;
    o.certs = certs_find(e->cfg, e->certs, listener->at);
    s->door = door_open(all->loop, &o, NULL);
    return s->door != NULL;
}

struct sides *sides_open(struct loop *l, const struct pages *pages, const char **which)
{
    struct sides *all = MEM_NEW(struct sides);
    const struct config *cfg = pages->app->edition->cfg;
    const struct config_options *opt = &cfg->opt;

    all->loop = l;
    all->pages = *pages;
    all->limits =
        (struct conn_limits){(size_t)opt->head_max, 4096,          opt->head_us,   opt->body_us,
                             opt->idle_us,          opt->write_us, opt->body_rate, opt->body_grace_us};
    list_init(&all->conns);
    if (!open_side(all, &all->admin, cfg->admin, &ADMIN_HANDLER, which) ||
        !open_side(all, &all->metrics, cfg->metrics, &METRICS_HANDLER, which))
        sides_close(&all);
    return all;
}

void sides_close(struct sides **ap)
{
    struct sides *all = *ap;

    *ap = NULL;
    if (all == NULL)
        return;
    door_close(&all->admin.door);
    door_close(&all->metrics.door);
    while (!list_empty(&all->conns))
        conn_close(conn_of_node(all->conns.next));
    mem_free(all);
}
