/* SPDX-License-Identifier: MIT */
/* Building and running a virtual world. */
#include "rehearse/world.h"

#include <strings.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/front.h"
#include "shared/admission.h"
#include "shared/limits.h"

static void on_drained(void *ud)
{
    ((struct world *)ud)->drained = true;
}

/* The machine's own proxies are no part of a world. */
static const char *get_but_proxies(void *ud, const char *name)
{
    size_t n = strlen(name);

    (void)ud;
    if (n > 6 && strcasecmp(name + n - 6, "_proxy") == 0)
        return NULL;
    return config_env_process.get(config_env_process.ud, name);
}

static const struct config_env WORLD_ENV = {.get = get_but_proxies};

static bool make_sims(struct world *w, const struct world_opts *o)
{
    ASSERT(o->sims_n <= WORLD_SIMS_MAX);
    for (size_t i = 0; i < o->sims_n; i++) {
        struct addr at;

        w->sim_loops[i] = vnet_loop(w->net, NULL, 64 * 1024 * 1024);
        w->sims[i] = sim_new(w->sim_loops[i], &o->sims[i].opts);
        w->sims_n++;
        if (addr_parse(slice_of(o->sims[i].at), &at) != ERR_OK ||
            sim_listen_with(w->sims[i], &at, &o->sims[i].listen, NULL) != ERR_OK)
            return false;
    }
    return true;
}

static bool make_gateway(struct world *w, struct config *cfg, const struct world_opts *o)
{
    struct app_opts ao = {
        .log = o->log, .access_fd = o->access_fd, .seed = o->net.seed, .wall_us = o->net.wall_us};
    struct control_opts co = {.on_drained = on_drained, .ud = w};
    const char *why = "";

    w->app = app_new(cfg, &ao, &why);
    if (w->app == NULL)
        return false;
    w->workers_n = (size_t)cfg->workers;
    w->workers = mem_zalloc(w->workers_n * sizeof *w->workers);
    w->worker_loops = mem_zalloc(w->workers_n * sizeof *w->worker_loops);
    for (size_t i = 0; i < w->workers_n; i++) {
        w->worker_loops[i] = vnet_loop(w->net, &w->app->budget, app_pending_max(cfg));
        w->workers[i] = worker_new(w->app, w->worker_loops[i], (int)i);
        if (front_open(w->workers[i], &w->listen, &why) != ERR_OK)
            return false;
    }
    w->control_loop = vnet_loop(w->net, &w->app->budget, app_pending_max(cfg));
    w->control = control_new(w->app, w->control_loop, &co, &why);
    return w->control != NULL;
}

struct world *world_new(const struct world_opts *o, struct config_report *report)
{
    struct world *w;
    struct config *cfg;
    bool fine;

    if (o->config != NULL)
        config_ref(cfg = o->config);
    else if (config_parse(slice_of(o->yaml), "world", &WORLD_ENV, &cfg, report) != ERR_OK)
        return NULL;
    w = MEM_NEW(struct world);
    w->net = vnet_new(&o->net);
    fine = make_sims(w, o) && make_gateway(w, cfg, o);
    ASSERT(fine); /* virtual addresses are always free */
    config_unref(&cfg);
    w->client_loop = vnet_loop(w->net, NULL, 64 * 1024 * 1024);
    return w;
}

uint64_t world_run_until(struct world *w, int64_t us, const bool *stop)
{
    uint64_t turns = vnet_run(w->net, clock_add(vnet_now_us(w->net), us), stop);

    w->client_loop->now_us = vnet_now_us(w->net); /* callers that are started between two runs begin now */
    return turns;
}

uint64_t world_run(struct world *w, int64_t us)
{
    return world_run_until(w, us, NULL);
}

enum err world_reload(struct world *w, const char *yaml, struct config_report *report)
{
    struct config *cfg;
    enum err e = config_parse(slice_of(yaml), "world", &config_env_process, &cfg, report);

    if (e == ERR_OK)
        e = control_put_in_force(w->control, cfg);
    config_unref(&cfg);
    return e;
}

int64_t world_metric(const struct world *w, enum metric id, size_t row)
{
    struct metrics_layout layout;
    struct arena rows;
    struct metrics *sum;
    int64_t value;

    arena_init(&rows, NULL, 0, 4096);
    sum = app_sum(w->app, vnet_now_us(w->net), &layout, &rows);
    value = metrics_get(&sum, 1, id, row);
    metrics_free(&sum);
    arena_fini(&rows);
    return value;
}

bool world_is_idle(const struct world *w)
{
    const struct edition *e = w->app->edition;
    size_t busy =
        admission_used(e->admission) + (size_t)limits_inflight(e->limits) + budget_used(&w->app->budget);

    for (size_t i = 0; i < w->workers_n; i++)
        busy += w->workers[i]->flights_n + w->workers[i]->exchanges_n;
    return busy == 0;
}

void world_free(struct world **wp)
{
    struct world *w = *wp;

    *wp = NULL;
    if (w == NULL)
        return;
    if (!w->drained) {
        control_cut(w->control);
        world_run_until(w, 10 * CLOCK_SECOND_US, &w->drained);
    }
    ASSERT(w->drained && world_is_idle(w));
    control_free(&w->control);
    for (size_t i = w->workers_n; i-- > 0;)
        worker_free(&w->workers[i]);
    for (size_t i = 0; i < w->sims_n; i++)
        sim_free(&w->sims[i]);
    world_run(w, 10 * CLOCK_SECOND_US); /* what was closed is told to its peers */
    for (size_t i = 0; i < w->workers_n; i++)
        loop_free(&w->worker_loops[i]);
    for (size_t i = 0; i < w->sims_n; i++)
        loop_free(&w->sim_loops[i]);
    loop_free(&w->control_loop);
    loop_free(&w->client_loop);
    app_free(&w->app);
    ASSERT(vnet_streams(w->net) == 0);
    vnet_free(&w->net);
    mem_free(w->workers);
    mem_free(w->worker_loops);
    mem_free(w);
}
