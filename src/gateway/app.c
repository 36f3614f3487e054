/* SPDX-License-Identifier: MIT */
/* The shared parts of a gateway: made before the workers, gone after them. */
#include "gateway/app.h"

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/desk.h"

#define FILES_RESERVED 64 /* listeners, loops, logs, scrapers */
#define PENDING_SLACK \
    (256 * 1024) /* heads, comments and one read of an endpoint on top of the largest event */

size_t app_pending_max(const struct config *cfg)
{
    int64_t largest = cfg->opt.event_max > cfg->opt.answer_max ? cfg->opt.event_max : cfg->opt.answer_max;

    return (size_t)(cfg->opt.pending_max + largest) + PENDING_SLACK;
}

/* Every client in work needs a second descriptor, for its endpoint. */
static int64_t conns_max(const struct config *cfg, int64_t files_max)
{
    int64_t most = (files_max - FILES_RESERVED) / 2;

    if (files_max == 0 || most >= cfg->opt.conns_max)
        return cfg->opt.conns_max;
    return most > 1 ? most : 1;
}

struct app *app_new(struct config *cfg, const struct app_opts *opts, const char **why)
{
    struct app *a = MEM_NEW(struct app);

    a->log = opts->log;
    a->access_fd = opts->access_fd;
    a->seed = opts->seed;
    a->started_wall_us = opts->wall_us;
    a->conns_max = conns_max(cfg, opts->files_max);
    if (a->conns_max < cfg->opt.conns_max)
        LOG_INF(a->log,
                "the limit of %lld open files leaves room for %lld client connections, not for the %lld of "
                "limits.connections",
                (long long)opts->files_max, (long long)a->conns_max, (long long)cfg->opt.conns_max);
    budget_init(&a->budget, (uint64_t)cfg->opt.memory_max);
    list_init(&a->desks);
    a->workers_max = (size_t)cfg->workers;
    a->workers = mem_zalloc(a->workers_max * sizeof *a->workers);
    a->edition = edition_new(cfg, NULL, why);
    if (a->edition != NULL)
        a->control_metrics = metrics_new(&a->edition->stats.layout);
    else
        app_free(&a);
    return a;
}

void app_free(struct app **ap)
{
    struct app *a = *ap;

    *ap = NULL;
    if (a == NULL)
        return;
    ASSERT(a->control == NULL && a->workers_n == 0 && a->desks_n == 0);
    metrics_free(&a->control_metrics);
    edition_unref(&a->edition);
    ASSERT(budget_used(&a->budget) == 0);
    mem_free(a->workers);
    mem_free(a);
}

size_t app_metrics(const struct app *a, struct metrics **out)
{
    size_t n = 0;

    LIST_EACH (node, &a->desks)
        out[n++] = CONTAINER_OF(node, struct desk, node)->metrics;
    out[n++] = a->control_metrics;
    return n;
}

bool app_is_draining(const struct app *a)
{
    return __atomic_load_n(&a->draining, __ATOMIC_ACQUIRE) != 0;
}

bool app_conn_enter(struct app *a)
{
    if (__atomic_add_fetch(&a->conns_n, 1, __ATOMIC_RELAXED) <= a->conns_max)
        return true;
    app_conn_leave(a);
    return false;
}

void app_conn_leave(struct app *a)
{
    __atomic_sub_fetch(&a->conns_n, 1, __ATOMIC_RELAXED);
}
