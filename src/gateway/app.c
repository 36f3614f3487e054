/* SPDX-License-Identifier: MIT */
/* The shared parts of a gateway: made before the workers, gone after them. */
#include "gateway/app.h"

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/control.h"
#include "gateway/worker.h"
#include "shared/admission.h"

#define FILES_RESERVED 64 /* listeners, loops, logs, scrapers */
#define PENDING_SLACK \
    (256 * 1024) /* heads, comments and one read of an endpoint on top of the largest event */

size_t app_pending_max(const struct config *cfg)
{
    int64_t largest = cfg->opt.event_max > cfg->opt.answer_max ? cfg->opt.event_max : cfg->opt.answer_max;

    return (size_t)(cfg->opt.pending_max + largest) + PENDING_SLACK;
}

static bool make_tls(struct app *a, const char **why)
{
    for (size_t i = 0; i < a->cfg->endpoints_n; i++) {
        const struct config_endpoint *ep = &a->cfg->endpoints[i];

        if (!ep->tls)
            continue;
        for (size_t j = 0; j < i && a->tls[i] == NULL; j++) { /* one CA store for all that use the same */
            const char *other = a->cfg->endpoints[j].ca_file;

            if (a->tls[j] != NULL && (other == NULL ? ep->ca_file == NULL
                                                    : ep->ca_file != NULL && strcmp(other, ep->ca_file) == 0))
                a->tls[i] = a->tls[j];
        }
        if (a->tls[i] == NULL)
            a->tls[i] = tls_config_client(ep->ca_file, why);
        if (a->tls[i] == NULL)
            return false;
    }
    return true;
}

static void free_tls(struct app *a)
{
    for (size_t i = 0; i < a->cfg->endpoints_n; i++) {
        struct tls_config *t = a->tls[i];

        for (size_t j = i; t != NULL && j < a->cfg->endpoints_n; j++) {
            if (a->tls[j] == t)
                a->tls[j] = NULL;
        }
        if (t != NULL)
            tls_config_free(&t);
    }
    mem_free(a->tls);
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

    config_ref(cfg);
    a->cfg = cfg;
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
    stats_init(&a->stats, cfg);
    a->control_metrics = metrics_new(&a->stats.layout);
    a->admission = admission_new(cfg);
    a->workers = mem_zalloc((size_t)cfg->workers * sizeof *a->workers);
    a->tls = mem_zalloc((cfg->endpoints_n + 1) * sizeof *a->tls);
    if (!make_tls(a, why))
        app_free(&a);
    return a;
}

void app_free(struct app **ap)
{
    struct app *a = *ap;

    *ap = NULL;
    if (a == NULL)
        return;
    ASSERT(a->control == NULL && a->workers_n == 0);
    free_tls(a);
    admission_free(&a->admission);
    metrics_free(&a->control_metrics);
    stats_fini(&a->stats);
    ASSERT(budget_used(&a->budget) == 0);
    mem_free(a->workers);
    config_unref(&a->cfg);
    mem_free(a);
}

size_t app_metrics(const struct app *a, struct metrics **out)
{
    size_t n = 0;

    for (size_t i = 0; i < a->workers_n; i++)
        out[n++] = a->workers[i]->metrics;
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
