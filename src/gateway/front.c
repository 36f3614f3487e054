/* SPDX-License-Identifier: MIT */
/* Counting who comes in.
 *
 * A connection is counted in the process when it is accepted, under its address when that is known (which
 * takes a PROXY header behind a load balancer), and among the worker's when it can ask. Unix sockets have no
 * address and are the operator's own: they are not counted by it. */
#include "gateway/front.h"

#include "base/mem.h"
#include "base/reserve.h"
#include "gateway/app.h"
#include "gateway/certs.h"
#include "gateway/door.h"
#include "gateway/exchange.h"
#include "shared/holders.h"

static void note_loss(struct worker *w, enum door_loss why)
{
    metrics_add(w->desk->metrics, METRIC_CONNS_REFUSED, (size_t)why, 1);
}

/* -- a door's questions ---------------------------------------------------------------------------------- */

static bool on_accept(void *ud)
{
    struct worker *w = ud;

    if (reserve_is_low() || !app_conn_enter(w->app)) {
        note_loss(w, DOOR_FULL);
        return false;
    }
    metrics_add(w->desk->metrics, METRIC_CONNS, 0, 1);
    metrics_add(w->desk->metrics, METRIC_CONNS_ACCEPTED, 0, 1);
    return true;
}

static void leave(struct worker *w, struct holder *who)
{
    holders_leave(w->app->holders, &who);
    app_conn_leave(w->app);
    metrics_add(w->desk->metrics, METRIC_CONNS, 0, -1);
}

static bool on_known(void *ud, const struct addr *peer, void **tag)
{
    struct worker *w = ud;
    int64_t max = desk_config(w->desk)->opt.conns_per_address_max;
    unsigned char network[HOLDERS_ADDRESS_BYTES];

    if (max == 0 || !addr_network(peer, network))
        return true;
    *tag = holders_enter(w->app->holders, network, max);
    return *tag != NULL;
}

static struct tls_config *present_certs(void *ud, const char *at)
{
    const struct desk *d = ((struct worker *)ud)->desk;

    return certs_find(desk_config(d), d->edition->certs, at);
}

static int64_t patience_us(void *ud)
{
    return desk_config(((struct worker *)ud)->desk)->opt.handshake_us;
}

static void on_lost(void *ud, const struct addr *peer, void *tag, enum door_loss why, const char *detail)
{
    struct worker *w = ud;
    char who[ADDR_TEXT_BYTES];

    note_loss(w, why);
    leave(w, tag);
    addr_format(peer, who, sizeof who);
    LOG_DBG(w->app->log, "a connection from %s was not let in: %s%s%s", who, stats_loss_name(why),
            detail[0] != '\0' ? ": " : "", detail);
}

/* -- plain HTTP where TLS is spoken ---------------------------------------------------------------------- */

static void *on_astray(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    (void)rq;
    (void)arena;
    conn_close_after(c);
    exchange_refuse(owner, c, ERR_TLS_REQUIRED);
    return NULL;
}

static void on_astray_refused(void *owner, struct conn *c, enum err why)
{
    (void)why;
    exchange_refuse(owner, c, ERR_TLS_REQUIRED);
}

static void on_astray_closed(void *owner, struct conn *c)
{
    front_left(owner, c);
}

static const struct conn_handler ASTRAY_HANDLER = {
    .on_request = on_astray, .on_refused = on_astray_refused, .on_conn_closed = on_astray_closed};

/* -- in -------------------------------------------------------------------------------------------------- */

static void on_enter(void *ud, const struct arrived *a)
{
    struct worker *w = ud;
    uint64_t short_n = mem_short_n();
    struct conn *c =
        conn_new(a->stream, &a->peer, &w->limits, a->astray ? &ASTRAY_HANDLER : &EXCHANGE_HANDLER, w);

    conn_set_tag(c, a->tag);
    list_push_back(&w->conns, conn_node(c));
    w->conns_n++;
    ebb_note(w);
    if (mem_short_n() != short_n)
        conn_close(c);
}

void front_left(struct worker *w, struct conn *c)
{
    w->conns_n--;
    ebb_note(w);
    leave(w, conn_tag(c));
    worker_note_idle(w);
}

static const struct door_cb DOOR_CB = {on_accept, on_known, present_certs, patience_us, on_enter, on_lost};

enum err front_open(struct worker *w, struct addr *bound, const char **which)
{
    const struct config *cfg = desk_config(w->desk);

    for (size_t i = 0; i < cfg->listen_n; i++) {
        struct addr at, real;
        struct door_opts o = {.listener = &cfg->listen[i],
                              .certs = w->desk->edition->certs[i],
                              .at = &at,
                              .cb = &DOOR_CB,
                              .ud = w};

        *which = cfg->listen[i].at;
        if (addr_parse(slice_of(cfg->listen[i].at), &at) != ERR_OK)
            return ERR_MALFORMED;
        if (i == 0 && bound != NULL && addr_port(&at) == 0)
            addr_set_port(&at, addr_port(bound));
        w->doors[w->doors_n] = door_open(w->loop, &o, &real);
        if (w->doors[w->doors_n] == NULL)
            return ERR_SYSTEM;
        w->doors_n++;
        if (i == 0 && bound != NULL)
            *bound = real;
    }
    return ERR_OK;
}

void front_close(struct worker *w)
{
    for (size_t i = 0; i < w->doors_n; i++)
        door_close(&w->doors[i]);
    w->doors_n = 0;
}
