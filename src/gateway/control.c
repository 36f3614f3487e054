/* SPDX-License-Identifier: MIT */
/* The control thread: /metrics and health on their own listeners, and the order of a drain.
 *
 *   SIGTERM -> /readyz fails, workers told -> (drain_delay) they stop accepting -> each says when it is empty
 *           -> all empty, or timeouts.drain has passed and the rest is cut -> on_drained
 *
 * Scrapes read every worker's counters without a lock (base/metrics.h). */
#include "gateway/control.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "gateway/certs.h"
#include "gateway/door.h"
#include "gateway/worker.h"
#include "http/conn.h"
#include "llm/reply.h"
#include "shared/admission.h"

#define METRICS_BYTES_MAX (16 * 1024 * 1024)
#define ANSWER_BYTES_MAX (64 * 1024)
#define CONNS_MAX 64 /* scrapers and operators are few; who holds more than that is neither */

/* A listener of its own beside the workers'. */
struct side {
    struct control *k;
    struct door *door; /* or NULL */
    const struct conn_handler *handler;
};

struct control {
    struct app *app;
    struct loop *loop;
    struct control_opts opts;
    struct conn_limits limits;
    struct list conns; /* oldest first */
    size_t conns_n;
    struct side admin, metrics;
    struct reload *reload;
    size_t drained_n;
    bool draining, cutting, done;
    struct timer patience;
};

/* -- the pages ------------------------------------------------------------------------------------------- */

/* allow: the methods that would do, or NULL. */
static void respond_with(struct conn *c, int status, struct slice type, struct slice body, const char *allow)
{
    struct loop *l = conn_loop(c);
    char id[ID_BYTES + 1];
    struct header h[3] = {{SLICE("Content-Type"), type}, {SLICE("X-Request-Id"), SLICE_NONE}};

    id_make(&l->dice, id);
    h[1].value = arena_dup(&l->turn, slice_of(id));
    h[2] = (struct header){SLICE("Allow"), slice_of(allow)};
    conn_respond(c, status, h, allow != NULL ? 3 : 2, body);
}

static void respond(struct conn *c, int status, struct slice type, struct slice body)
{
    respond_with(c, status, type, body, NULL);
}

static void respond_refusal(struct conn *c, enum err e, const char *allow)
{
    struct reply_error re = {.err = e};

    if (e == ERR_ROUTE_NOT_FOUND)
        re.detail = SLICE("The pages of this address are /metrics, /healthz and /readyz; that of `admin` "
                          "also has /api/config and /api/reload (POST).");
    struct buf out;

    buf_init(&out, 8192, NULL);
    (void)!reply_error_body(&out, &re);
    respond_with(c, err_row(e)->status, SLICE("application/json"),
                 arena_dup(&conn_loop(c)->turn, buf_slice(&out)), allow);
    buf_fini(&out);
}

static void respond_error(struct conn *c, enum err e)
{
    respond_refusal(c, e, e == ERR_METHOD_NOT_ALLOWED ? "GET, HEAD, POST" : NULL);
}

static void add_gauge(struct buf *out, const char *name, const char *help, uint64_t v)
{
    (void)!buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %llu\n", name, help, name, name,
                      (unsigned long long)v);
}

static void page_metrics(struct control *k, struct conn *c)
{
    struct app *a = k->app;
    struct metrics_layout layout;
    struct metrics *sum;
    struct arena rows;
    struct buf out;
    enum err e;

    buf_init(&out, METRICS_BYTES_MAX, NULL);
    arena_init(&rows, NULL, 0, 4096);
    sum = app_sum(a, &layout, &rows);
    e = metrics_render(&sum, 1, &out);
    metrics_free(&sum);
    arena_fini(&rows);
    add_gauge(&out, "tidegate_memory_budget_used_bytes", "Bytes charged to the memory budget now.",
              budget_used(&a->budget));
    add_gauge(&out, "tidegate_memory_budget_limit_bytes", "The memory budget, limits.memory.",
              a->budget.limit_bytes);
    add_gauge(&out, "tidegate_slots_used", "Slots and places in lines that are taken now.",
              admission_used(a->edition->admission));
    if (k->opts.more_metrics != NULL)
        k->opts.more_metrics(k->opts.ud, &out);
    if (e == ERR_OK)
        respond(c, 200, SLICE("text/plain; version=0.0.4; charset=utf-8"),
                arena_dup(&k->loop->turn, buf_slice(&out)));
    else
        respond_error(c, ERR_INTERNAL);
    buf_fini(&out);
}

static void page_healthz(struct control *k, struct conn *c)
{
    (void)k;
    respond(c, 200, SLICE("text/plain; charset=utf-8"), SLICE("ok\n"));
}

static void page_readyz(struct control *k, struct conn *c)
{
    if (app_is_draining(k->app))
        respond_error(c, ERR_DRAINING);
    else
        respond(c, 200, SLICE("text/plain; charset=utf-8"), SLICE("ready\n"));
}

static void page_config(struct control *k, struct conn *c)
{
    char *yaml = config_print(k->app->edition->cfg);

    respond(c, 200, SLICE("application/yaml; charset=utf-8"), arena_dup(&k->loop->turn, slice_of(yaml)));
    mem_free(yaml);
}

static void page_reload(struct control *k, struct conn *c)
{
    struct reload_result result;
    struct buf out;
    enum err e;

    reload_run(k->reload, "POST /api/reload", &result);
    buf_init(&out, ANSWER_BYTES_MAX, NULL);
    e = reload_answer(k->reload, &result, &out);
    if (e == ERR_OK)
        respond(c, result.err == ERR_OK ? 200 : err_row(result.err)->status, SLICE("application/json"),
                arena_dup(&k->loop->turn, buf_slice(&out)));
    else
        respond_error(c, ERR_INTERNAL);
    buf_fini(&out);
}

static const struct {
    const char *path;
    enum http_method method;
    bool admin; /* not served at the address for scrapers */
    void (*answer)(struct control *k, struct conn *c);
} PAGES[] = {
    {"/metrics", HTTP_GET, false, page_metrics},   {"/healthz", HTTP_GET, false, page_healthz},
    {"/readyz", HTTP_GET, false, page_readyz},     {"/api/config", HTTP_GET, true, page_config},
    {"/api/reload", HTTP_POST, true, page_reload},
};

/* A page that some browser shows may make it send requests here, but cannot hide that it does. */
static bool is_from_a_browser(const struct http_request *rq)
{
    return http_header(rq->headers, rq->headers_n, "origin").p != NULL;
}

/* A page may even have its own name lead here (DNS rebinding) and then read what it gets. It cannot have an
 * address for its name, nor localhost. */
static bool is_by_name(const struct conn *c, const struct http_request *rq)
{
    struct slice rest, host = http_header(rq->headers, rq->headers_n, "host");
    struct addr ignored;

    if (addr_is_unix(conn_peer(c))) /* no browser gets there */
        return false;
    if (slice_starts(host, SLICE("[")))
        return !addr_of_ip(slice_cut(slice_from(host, 1), ']', &rest), 0, &ignored);
    host = slice_cut(host, ':', &rest);
    return host.n > 0 && !slice_ieq(host, SLICE("localhost")) && !addr_of_ip(host, 0, &ignored);
}

static void answer(struct control *k, struct conn *c, const struct http_request *rq, bool admin)
{
    enum http_method method = rq->method == HTTP_HEAD ? HTTP_GET : rq->method;

    for (size_t i = 0; i < COUNT_OF(PAGES); i++) {
        if (!slice_eq(rq->path, slice_of(PAGES[i].path)) || (PAGES[i].admin && !admin))
            continue;
        if (method != PAGES[i].method)
            respond_refusal(c, ERR_METHOD_NOT_ALLOWED, PAGES[i].method == HTTP_GET ? "GET, HEAD" : "POST");
        else if (PAGES[i].admin && (is_by_name(c, rq) || (method != HTTP_GET && is_from_a_browser(rq))))
            respond_error(c, ERR_FOREIGN_ORIGIN);
        else
            PAGES[i].answer(k, c);
        return;
    }
    respond_error(c, ERR_ROUTE_NOT_FOUND);
}

static void *on_admin_request(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    (void)arena;
    answer(owner, c, rq, true);
    return NULL;
}

static void *on_metrics_request(void *owner, struct conn *c, const struct http_request *rq,
                                struct arena *arena)
{
    (void)arena;
    answer(owner, c, rq, false);
    return NULL;
}

static void on_refused(void *owner, struct conn *c, enum err why)
{
    (void)owner;
    respond_error(c, why);
}

static void on_conn_closed(void *owner, struct conn *c)
{
    struct control *k = owner;

    (void)c;
    k->conns_n--;
}

static const struct conn_handler ADMIN_HANDLER = {
    .on_request = on_admin_request, .on_refused = on_refused, .on_conn_closed = on_conn_closed};
static const struct conn_handler METRICS_HANDLER = {
    .on_request = on_metrics_request, .on_refused = on_refused, .on_conn_closed = on_conn_closed};

/* -- the doors ------------------------------------------------------------------------------------------- */

/* At the bound the oldest connection makes room, so that nobody can keep the scrapers out. */
static bool on_accept(void *ud)
{
    struct control *k = ((struct side *)ud)->k;

    if (k->conns_n == CONNS_MAX && list_empty(&k->conns))
        return false; /* all of them are still shaking hands */
    if (k->conns_n == CONNS_MAX)
        conn_close(conn_of_node(k->conns.next));
    k->conns_n++;
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
    const struct edition *e = ((const struct side *)ud)->k->app->edition;

    return certs_find(e->cfg, e->certs, at);
}

static int64_t patience_us(void *ud)
{
    return ((const struct side *)ud)->k->app->edition->cfg->opt.handshake_us;
}

static void *on_astray(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    (void)owner;
    (void)rq;
    (void)arena;
    conn_close_after(c);
    respond_error(c, ERR_TLS_REQUIRED);
    return NULL;
}

static const struct conn_handler ASTRAY_HANDLER = {
    .on_request = on_astray, .on_refused = on_refused, .on_conn_closed = on_conn_closed};

static void on_enter(void *ud, const struct arrived *a)
{
    const struct side *s = ud;
    struct control *k = s->k;
    struct conn *c = conn_new(a->stream, &a->peer, &k->limits, a->astray ? &ASTRAY_HANDLER : s->handler, k);

    list_push_back(&k->conns, conn_node(c));
}

static void on_lost(void *ud, const struct addr *peer, void *tag, enum door_loss why, const char *detail)
{
    (void)peer;
    (void)tag;
    (void)why;
    (void)detail;
    ((struct side *)ud)->k->conns_n--;
}

static const struct door_cb DOOR_CB = {on_accept, on_known, present_certs, patience_us, on_enter, on_lost};

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

/* -- life
 * ----------------------------------------------------------------------------------------------------------
 */

static bool open_side(struct control *k, struct side *s, const struct config_listener *listener,
                      const struct conn_handler *handler, const char **which)
{
    const struct edition *e = k->app->edition;
    struct addr at;
    struct door_opts o = {.listener = listener, .at = &at, .cb = &DOOR_CB, .ud = s};

    s->k = k;
    s->handler = handler;
    if (listener == NULL)
        return true;
    *which = listener->at;
    if (addr_parse(slice_of(listener->at), &at) != ERR_OK)
        return false;
    o.certs = certs_find(e->cfg, e->certs, listener->at);
    s->door = door_open(k->loop, &o, NULL);
    return s->door != NULL;
}

struct control *control_new(struct app *a, struct loop *l, const struct control_opts *o, const char **which)
{
    struct control *k = MEM_NEW(struct control);
    const struct config_options *opt = &a->edition->cfg->opt;

    k->app = a;
    k->loop = l;
    k->opts = *o;
    k->limits =
        (struct conn_limits){(size_t)opt->head_max, 4096,          opt->head_us,   opt->body_us,
                             opt->idle_us,          opt->write_us, opt->body_rate, opt->body_grace_us};
    k->reload = reload_new(a, &o->reload);
    list_init(&k->conns);
    timer_init(&k->patience, on_patience);
    a->control = k;
    if (!open_side(k, &k->admin, a->edition->cfg->admin, &ADMIN_HANDLER, which) ||
        !open_side(k, &k->metrics, a->edition->cfg->metrics, &METRICS_HANDLER, which))
        control_free(&k);
    return k;
}

void control_free(struct control **kp)
{
    struct control *k = *kp;

    *kp = NULL;
    if (k == NULL)
        return;
    door_close(&k->admin.door);
    door_close(&k->metrics.door);
    while (!list_empty(&k->conns))
        conn_close(conn_of_node(k->conns.next));
    timer_stop(&k->loop->wheel, &k->patience);
    LIST_EACH_SAFE (n, next, &k->app->desks) {
        struct desk *d = CONTAINER_OF(n, struct desk, node);

        if (d->state == DESK_CLOSED && mailbox_withdraw(&k->loop->mailbox, &d->message))
            desk_free(&d);
    }
    reload_free(&k->reload);
    k->app->control = NULL;
    mem_free(k);
}
