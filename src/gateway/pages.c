/* SPDX-License-Identifier: MIT */
/* The pages of the control thread's listeners: a table, and what each of them says.
 *
 * A scrape reads every worker's counters without a lock (base/metrics.h). What an operator may do, a page
 * that his browser shows may not: see is_from_a_browser and is_by_name. */
#include "gateway/pages.h"

#include <limits.h>

#include "base/id.h"
#include "base/mem.h"
#include "gateway/app.h"
#include "gateway/explain.h"
#include "gateway/reload.h"
#include "llm/reply.h"
#include "shared/admission.h"

#define METRICS_BYTES_MAX (16 * 1024 * 1024)
#define ANSWER_BYTES_MAX (64 * 1024)

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
                          "also has /api/config, /api/reload (POST) and /api/explain/REQUEST_ID.");
    struct buf out;

    buf_init(&out, 8192, NULL);
    (void)!reply_error_body(&out, &re);
    respond_with(c, err_row(e)->status, SLICE("application/json"),
                 arena_dup(&conn_loop(c)->turn, buf_slice(&out)), allow);
    buf_fini(&out);
}

void pages_respond(struct conn *c, int status, struct slice type, struct slice body)
{
    respond(c, status, type, arena_dup(&conn_loop(c)->turn, body));
}

void pages_refuse(struct conn *c, enum err e)
{
    respond_refusal(c, e, e == ERR_METHOD_NOT_ALLOWED ? "GET, HEAD, POST" : NULL);
}

static void add_gauge(struct buf *out, const char *name, const char *help, uint64_t v)
{
    (void)!buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n%s %llu\n", name, help, name, name,
                      (unsigned long long)v);
}

#define MODEL_LABEL_MAX 600

static void add_counter(void *ud, const struct slots_counter *c)
{
    struct buf *out = ud;
    char model[MODEL_LABEL_MAX];

    if (slots_limit(c) == INT_MAX) /* nobody has said how many */
        return;
    metrics_escape(model, sizeof model, c->model);
    (void)!buf_printf(out, "tidegate_account_slots{account=\"%s\",model=\"%s\"} %d\n", c->account->name,
                      model, slots_limit(c));
}

/* What each account allows now: as configured, or as learned below that. */
static void add_slots(struct buf *out, struct admission *a)
{
    (void)!buf_printf(
        out, "# HELP tidegate_account_slots Calls in flight that are sent to an account at most now.\n"
             "# TYPE tidegate_account_slots gauge\n");
    admission_counters(a, add_counter, out);
}

struct health_page {
    struct buf *out;
    int64_t now_us;
    bool openings; /* the second of the two metrics */
};

static void add_one_health(void *ud, const struct health *h)
{
    struct health_page *p = ud;
    char model[MODEL_LABEL_MAX];

    metrics_escape(model, sizeof model, h->model.p != NULL ? h->model : SLICE("*"));
    (void)!buf_printf(p->out, "tidegate_endpoint_%s{endpoint=\"%s\",model=\"%s\"} %u\n",
                      p->openings ? "openings_total" : "well", h->endpoint->name, model,
                      p->openings ? h->breaker.era : (unsigned)health_is_well(h, p->now_us));
}

/* Whether each endpoint's models are asked in the ordinary way, and how often they were left alone. */
static void add_health(struct buf *out, struct admission *a, int64_t now_us)
{
    struct health_page p = {out, now_us, false};

    (void)!buf_printf(
        out, "# HELP tidegate_endpoint_well Whether an endpoint's model is asked in the ordinary way: "
             "0 while its breaker is open, it cools down or is parked.\n"
             "# TYPE tidegate_endpoint_well gauge\n");
    admission_healths(a, add_one_health, &p);
    p.openings = true;
    (void)!buf_printf(out, "# HELP tidegate_endpoint_openings_total How often its breaker has opened.\n"
                           "# TYPE tidegate_endpoint_openings_total counter\n");
    admission_healths(a, add_one_health, &p);
}

static void page_metrics(const struct pages *p, struct conn *c)
{
    struct app *a = p->app;
    struct metrics_layout layout;
    struct metrics *sum;
    struct arena rows;
    struct buf out;
    enum err e;

    buf_init(&out, METRICS_BYTES_MAX, NULL);
    arena_init(&rows, NULL, 0, 4096);
    sum = app_sum(a, conn_loop(c)->now_us, &layout, &rows);
    e = metrics_render(&sum, 1, &out);
    metrics_free(&sum);
    arena_fini(&rows);
    add_gauge(&out, "tidegate_memory_budget_used_bytes", "Bytes charged to the memory budget now.",
              budget_used(&a->budget));
    add_gauge(&out, "tidegate_memory_budget_limit_bytes", "The memory budget, limits.memory.",
              a->budget.limit_bytes);
    add_gauge(&out, "tidegate_slots_used", "Slots and places in lines that are taken now.",
              admission_used(a->edition->admission));
    add_slots(&out, a->edition->admission);
    add_health(&out, a->edition->admission, conn_loop(c)->now_us);
    if (p->more_metrics != NULL)
        p->more_metrics(p->ud, &out);
    if (e == ERR_OK)
        respond(c, 200, SLICE("text/plain; version=0.0.4; charset=utf-8"),
                arena_dup(&conn_loop(c)->turn, buf_slice(&out)));
    else
        pages_refuse(c, ERR_INTERNAL);
    buf_fini(&out);
}

static void page_healthz(const struct pages *p, struct conn *c)
{
    (void)p;
    respond(c, 200, SLICE("text/plain; charset=utf-8"), SLICE("ok\n"));
}

static void page_readyz(const struct pages *p, struct conn *c)
{
    if (app_is_draining(p->app))
        pages_refuse(c, ERR_DRAINING);
    else
        respond(c, 200, SLICE("text/plain; charset=utf-8"), SLICE("ready\n"));
}

static void page_config(const struct pages *p, struct conn *c)
{
    char *yaml = config_print(p->app->edition->cfg);

    respond(c, 200, SLICE("application/yaml; charset=utf-8"), arena_dup(&conn_loop(c)->turn, slice_of(yaml)));
    mem_free(yaml);
}

static void page_reload(const struct pages *p, struct conn *c)
{
    struct reload_result result;
    struct buf out;
    enum err e;

    reload_run(p->reload, "POST /api/reload", &result);
    buf_init(&out, ANSWER_BYTES_MAX, NULL);
    e = reload_answer(p->reload, &result, &out);
    if (e == ERR_OK)
        respond(c, result.err == ERR_OK ? 200 : err_row(result.err)->status, SLICE("application/json"),
                arena_dup(&conn_loop(c)->turn, buf_slice(&out)));
    else
        pages_refuse(c, ERR_INTERNAL);
    buf_fini(&out);
}

static struct explain *page_explain(const struct pages *p, struct conn *c, struct slice id)
{
    return explain_ask(p->explains, c, id);
}

static const struct page {
    const char *path;
    enum http_method method;
    bool admin; /* not served at the address for scrapers */
    void (*answer)(const struct pages *p, struct conn *c);
    struct explain *(*ask)(const struct pages *p, struct conn *c, struct slice rest); /* of the path */
} PAGES[] = {
    {"/metrics", HTTP_GET, false, page_metrics, NULL},
    {"/healthz", HTTP_GET, false, page_healthz, NULL},
    {"/readyz", HTTP_GET, false, page_readyz, NULL},
    {"/api/config", HTTP_GET, true, page_config, NULL},
    {"/api/reload", HTTP_POST, true, page_reload, NULL},
    {"/api/explain/", HTTP_GET, true, NULL, page_explain},
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

/* A path that ends with a slash stands for all below it. */
static bool path_is(struct slice page, struct slice asked)
{
    return slice_ends(page, SLICE("/")) ? slice_starts(asked, page) && asked.n > page.n
                                        : slice_eq(asked, page);
}

struct explain *pages_answer(const struct pages *p, struct conn *c, const struct http_request *rq, bool admin)
{
    enum http_method method = rq->method == HTTP_HEAD ? HTTP_GET : rq->method;

    for (size_t i = 0; i < COUNT_OF(PAGES); i++) {
        const struct page *page = &PAGES[i];

        if (!path_is(slice_of(page->path), rq->path) || (page->admin && !admin))
            continue;
        if (method != page->method)
            respond_refusal(c, ERR_METHOD_NOT_ALLOWED, page->method == HTTP_GET ? "GET, HEAD" : "POST");
        else if (page->admin && (is_by_name(c, rq) || (method != HTTP_GET && is_from_a_browser(rq))))
            pages_refuse(c, ERR_FOREIGN_ORIGIN);
        else if (page->ask != NULL)
            return page->ask(p, c, slice_from(rq->path, strlen(page->path)));
        else
            page->answer(p, c);
        return NULL;
    }
    pages_refuse(c, ERR_ROUTE_NOT_FOUND);
    return NULL;
}
