/* SPDX-License-Identifier: MIT */
/* The questions and their timers. An engine is asked as its calls are: same address, TLS, proxy and
 * credential; its pages stand at the server's root, beside the /v1 of the API. */
#include "gateway/polling.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/desk.h"
#include "gateway/edition.h"
#include "http/message.h"
#include "llm/signals.h"
#include "shared/admission.h"
#include "upstream/call.h"

#define PAGE_MAX ((size_t)1 << 20)
#define HEAD_MAX 16384
#define ANSWER_US (2 * CLOCK_SECOND_US) /* a page that takes longer is none */
#define FIRST_US (200 * CLOCK_MS_US)    /* the first questions are spread over this time */
#define SELDOM 12                       /* so many times as long where there is no page */
#define HEADERS_N 4

struct engine {
    struct polling *polling;
    int endpoint, model; /* a model that has a target there */
    enum dialect_id dialect;
    struct slice root; /* the base path without /v1 */
    struct pool pool;
    struct call *call;  /* under way, or NULL */
    struct timer timer; /* the next question, or the end of patience with this one */
    struct buf page;
    int status;
    struct header headers[HEADERS_N];
    size_t headers_n;
    char bearer[8 + 4096]; /* "Bearer " and the key */
};

struct polling {
    struct app *app;
    struct loop *loop;
    struct edition *edition; /* whose engines are asked; NULL: none are */
    struct engine **engines;
    size_t n;
};

static int64_t every_us(const struct engine *g)
{
    return g->polling->edition->cfg->opt.signals_us;
}

static void ask_later(struct engine *g, int64_t us)
{
    struct loop *l = g->polling->loop;

    timer_set(&l->wheel, &g->timer, clock_add(l->now_us, us));
}

/* -- an answer ------------------------------------------------------------------------------------------- */

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct engine *g = ud;

    g->status = rs->status;
    return ERR_OK;
}

static enum err on_body(void *ud, struct slice bytes)
{
    return buf_add(&((struct engine *)ud)->page, bytes);
}

static void tell(struct engine *g)
{
    struct polling *p = g->polling;
    struct signals said;

    if (!signals_read(g->dialect, buf_slice(&g->page), &said))
        return;
    admission_tell(p->edition->admission, g->model, g->endpoint, &(struct line_told){said.slots, said.queued},
                   p->loop->now_us, &p->loop->dice);
}

/* It has no such page, or does not show it to us. */
static bool is_refusal(int status)
{
    return status >= 400 && status != 503;
}

static void on_end(void *ud, enum err why, enum call_step step)
{
    struct engine *g = ud;

    (void)step;
    g->call = NULL;
    if (why == ERR_OK && g->status == 200)
        tell(g);
    buf_fini(&g->page);
    ask_later(g, why == ERR_OK && is_refusal(g->status) ? every_us(g) * SELDOM : every_us(g));
}

static const struct call_cb CALL_CB = {on_head, on_body, on_end};

/* -- a question ------------------------------------------------------------------------------------------ */

static void ask(struct engine *g)
{
    const struct config_endpoint *ep = &g->polling->edition->cfg->endpoints[g->endpoint];
    struct call_opts o = {.request = {.method = SLICE("GET"),
                                      .base_path = g->root,
                                      .path = slice_of(signals_page(g->dialect)),
                                      .authority = ep->authority,
                                      .headers = g->headers,
                                      .headers_n = g->headers_n},
                          .head_max = HEAD_MAX};

    buf_init(&g->page, PAGE_MAX, NULL);
    g->status = 0;
    g->call = call_start(&g->pool, &o, &CALL_CB, g);
    ask_later(g, ANSWER_US);
}

static void on_timer(struct timer *t)
{
    struct engine *g = CONTAINER_OF(t, struct engine, timer);

    if (g->call == NULL) {
        ask(g);
        return;
    }
    call_cancel(&g->call);
    buf_fini(&g->page);
    ask_later(g, every_us(g));
}

void polling_hear(const struct edition *e, int model, int endpoint, const struct http_response *rs,
                  struct loop *l)
{
    const struct config_endpoint *ep = &e->cfg->endpoints[endpoint];
    struct slice load;
    struct signals said;

    if (!ep->signals || ep->own == 0)
        return;
    load = http_header(rs->headers, rs->headers_n, "endpoint-load-metrics");
    if (load.n > 0 && signals_read_header(load, &said))
        admission_tell(e->admission, model, endpoint, &(struct line_told){0, said.queued}, l->now_us,
                       &l->dice);
}

/* -- life ------------------------------------------------------------------------------------------------ */

/* The first model that can call it; -1: none can. */
static int model_of(const struct config *cfg, int endpoint)
{
    for (size_t i = 0; i < cfg->models_n; i++) {
        for (size_t t = 0; t < cfg->models[i].tiers_n; t++) {
            for (size_t k = 0; k < cfg->models[i].tiers[t].targets_n; k++) {
                if (cfg->models[i].tiers[t].targets[k].endpoint == endpoint)
                    return (int)i;
            }
        }
    }
    return -1;
}

static void add_headers(struct engine *g, const struct config_endpoint *ep)
{
    int n;

    g->headers[g->headers_n++] = (struct header){SLICE("Accept"), SLICE("*/*")};
    g->headers[g->headers_n++] = (struct header){SLICE("Accept-Encoding"), SLICE("identity")};
    g->headers[g->headers_n++] = (struct header){SLICE("User-Agent"), SLICE("tidegate")};
    if (ep->key_mode != KEY_OWN)
        return;
    n = snprintf(g->bearer, sizeof g->bearer, "Bearer %.*s", SLICE_ARG(ep->secret));
    g->headers[g->headers_n++] = (struct header){SLICE("Authorization"), {g->bearer, (size_t)n}};
}

static struct engine *engine_new(struct polling *p, int endpoint, int model)
{
    const struct config_endpoint *ep = &p->edition->cfg->endpoints[endpoint];
    struct engine *g = MEM_NEW(struct engine);
    struct pool_opts o = desk_way_to(p->edition, (size_t)endpoint);

    g->polling = p;
    g->endpoint = endpoint;
    g->model = model;
    g->dialect = (enum dialect_id)ep->provider;
    g->root = ep->base_path;
    if (slice_ends(g->root, SLICE("/v1")))
        g->root.n -= 3;
    o.idle_max = 1;
    o.idle_us = clock_add(every_us(g), o.idle_us);
    pool_init(&g->pool, p->loop, &o);
    timer_init(&g->timer, on_timer);
    buf_init(&g->page, PAGE_MAX, NULL);
    add_headers(g, ep);
    ask_later(g, (int64_t)rng_below(&p->loop->dice, FIRST_US));
    return g;
}

static void engine_free(struct engine *g)
{
    if (g->call != NULL)
        call_cancel(&g->call);
    timer_stop(&g->polling->loop->wheel, &g->timer);
    pool_fini(&g->pool);
    buf_fini(&g->page);
    explicit_bzero(g->bearer, sizeof g->bearer);
    mem_free(g);
}

struct polling *polling_new(struct app *a, struct loop *l)
{
    struct polling *p = MEM_NEW(struct polling);

    p->app = a;
    p->loop = l;
    return p;
}

void polling_stop(struct polling *p)
{
    for (size_t i = 0; i < p->n; i++)
        engine_free(p->engines[i]);
    mem_free(p->engines);
    p->engines = NULL;
    p->n = 0;
    if (p->edition != NULL)
        edition_unref(&p->edition);
}

void polling_follow(struct polling *p)
{
    const struct config *cfg = p->app->edition->cfg;

    polling_stop(p);
    if (cfg->opt.signals_us == 0)
        return;
    p->edition = p->app->edition;
    edition_ref(p->edition);
    p->engines = mem_zalloc((cfg->endpoints_n + 1) * sizeof(struct engine *));
    for (size_t i = 0; i < cfg->endpoints_n; i++) {
        int model = cfg->endpoints[i].signals ? model_of(cfg, (int)i) : -1;

        if (model >= 0)
            p->engines[p->n++] = engine_new(p, (int)i, model);
    }
}

void polling_free(struct polling **pp)
{
    struct polling *p = *pp;

    *pp = NULL;
    if (p == NULL)
        return;
    polling_stop(p);
    mem_free(p);
}
