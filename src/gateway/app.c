/* SPDX-License-Identifier: MIT */
/* The shared parts of a gateway: made before the workers, gone after them. */
#include "gateway/app.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/desk.h"
#include "gateway/worker.h"
#include "shared/admission.h"
#include "shared/holders.h"

#define FILES_RESERVED 64 /* listeners, loops, logs, scrapers */
#define ETA_SHOWN_MAX_US (24 * 3600 * CLOCK_SECOND_US)
#define PENDING_SLACK \
    (256 * 1024) /* heads, comments and one read of an endpoint on top of the largest event */

size_t app_pending_max(const struct config *cfg)
{
    int64_t largest = cfg->opt.event_max > cfg->opt.answer_max ? cfg->opt.event_max : cfg->opt.answer_max;

    return (size_t)(cfg->opt.pending_max + largest) + PENDING_SLACK;
}

/* Every client in work needs a second descriptor, for its endpoint. */
static void set_conns_max(struct app *a, const struct config *cfg)
{
    int64_t want = cfg->opt.conns_max, most = (a->files_max - FILES_RESERVED) / 2;
    int64_t max = a->files_max == 0 || most >= want ? want : most > 1 ? most : 1;

    if (max == a->conns_max)
        return;
    __atomic_store_n(&a->conns_max, max, __ATOMIC_RELAXED);
    if (max < want)
        LOG_INF(a->log,
                "the limit of %lld open files leaves room for %lld client connections, not for the %lld of "
                "limits.connections",
                (long long)a->files_max, (long long)max, (long long)want);
}

struct app *app_new(struct config *cfg, const struct app_opts *opts, const char **why)
{
    struct app *a = MEM_NEW(struct app);

    a->log = opts->log;
    a->access_fd = opts->access_fd;
    a->seed = opts->seed;
    a->started_wall_us = opts->wall_us;
    a->files_max = opts->files_max;
    set_conns_max(a, cfg);
    budget_init(&a->budget, (uint64_t)cfg->opt.memory_max);
    a->holders = holders_new();
    list_init(&a->desks);
    a->workers_max = (size_t)cfg->workers;
    a->workers = mem_zalloc(a->workers_max * sizeof *a->workers);
    a->edition = edition_new(cfg, NULL, why);
    if (a->edition == NULL) {
        app_free(&a);
        return NULL;
    }
    a->control_metrics = metrics_new(&a->edition->stats.layout);
    metrics_set(a->control_metrics, METRIC_RELOAD_OK, 0, 1);
    metrics_set(a->control_metrics, METRIC_RELOAD_TIME, 0, a->started_wall_us / CLOCK_SECOND_US);
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
    holders_free(&a->holders);
    ASSERT(budget_used(&a->budget) == 0);
    mem_free(a->workers);
    mem_free(a);
}

void app_put_in_force(struct app *a, struct edition **ep)
{
    struct edition *old = a->edition, *e = *ep;
    struct metrics *figures = metrics_new(&e->stats.layout);
    enum log_level level = LOG_INFO;

    *ep = NULL;
    metrics_fold(figures, a->control_metrics);
    metrics_free(&a->control_metrics);
    a->control_metrics = figures;
    a->edition = e;
    budget_set_limit(&a->budget, (uint64_t)e->cfg->opt.memory_max);
    set_conns_max(a, e->cfg);
    (void)!log_level_parse(slice_of(e->cfg->log_level), &level);
    log_set_level(a->log, level);
    for (size_t i = 0; i < a->workers_n; i++)
        worker_send_desk(a->workers[i], desk_new(a->workers[i], e));
    edition_unref(&old);
}

size_t app_metrics(const struct app *a, struct metrics **out)
{
    size_t n = 0;

    LIST_EACH (node, &a->desks)
        out[n++] = CONTAINER_OF(node, struct desk, node)->metrics;
    out[n++] = a->control_metrics;
    return n;
}

/* Every layout that a block has, each once, the one in force first. */
static size_t layouts_of(const struct app *a, const struct metrics_layout **out)
{
    size_t n = 0;

    out[n++] = &a->edition->stats.layout;
    LIST_EACH (node, &a->desks) {
        const struct metrics_layout *l = &CONTAINER_OF(node, struct desk, node)->edition->stats.layout;
        size_t i = 0;

        while (i < n && out[i] != l)
            i++;
        if (i == n)
            out[n++] = l;
    }
    return n;
}

/* What the loops count themselves, because a turn knows no edition. */
static void note_loops(const struct app *a, int64_t now_us, struct metrics *sum)
{
    for (size_t i = 0; i < a->workers_n; i++) {
        const struct loop *l = a->workers[i]->loop;

        metrics_set(sum, METRIC_LOOP_HELD, i, stint_max_us(&l->stint, now_us));
        metrics_add(sum, METRIC_LOOP_TURNS, i, (int64_t)__atomic_load_n(&l->turns, __ATOMIC_RELAXED));
        metrics_add(sum, METRIC_LOOP_RESTS, i,
                    (int64_t)__atomic_load_n(&l->moderation.rests, __ATOMIC_RELAXED));
        metrics_add(sum, METRIC_LOOP_LONG_TURNS, i, (int64_t)stint_long_n(&l->stint));
    }
}

/* What the lines of the edition in force promise, whose models' rows come first. */
static void note_lines(const struct app *a, int64_t now_us, struct metrics *sum)
{
    const struct edition *e = a->edition;

    for (size_t i = 0; i < e->cfg->models_n; i++) {
        int64_t us = admission_eta_us(e->admission, (int)i, now_us);

        if (us != ETA_UNKNOWN)
            metrics_set(sum, METRIC_LINE_ETA, i, us < ETA_SHOWN_MAX_US ? us : ETA_SHOWN_MAX_US);
    }
}

struct metrics *app_sum(const struct app *a, int64_t now_us, struct metrics_layout *layout,
                        struct arena *arena)
{
    size_t n = a->desks_n + 1;
    struct metrics **blocks = mem_alloc(n * sizeof *blocks);
    const struct metrics_layout **layouts = mem_alloc(n * sizeof *layouts);
    struct metrics *sum;

    metrics_layout_join(arena, layouts, layouts_of(a, layouts), layout);
    sum = metrics_new(layout);
    n = app_metrics(a, blocks);
    for (size_t i = 0; i < n; i++)
        metrics_fold(sum, blocks[i]);
    note_loops(a, now_us, sum);
    note_lines(a, now_us, sum);
    mem_free(layouts);
    mem_free(blocks);
    return sum;
}

bool app_is_draining(const struct app *a)
{
    return __atomic_load_n(&a->draining, __ATOMIC_ACQUIRE) != 0;
}

bool app_conn_enter(struct app *a)
{
    if (__atomic_add_fetch(&a->conns_n, 1, __ATOMIC_RELAXED) <=
        __atomic_load_n(&a->conns_max, __ATOMIC_RELAXED))
        return true;
    app_conn_leave(a);
    return false;
}

void app_conn_leave(struct app *a)
{
    __atomic_sub_fetch(&a->conns_n, 1, __ATOMIC_RELAXED);
}
