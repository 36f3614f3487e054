/* SPDX-License-Identifier: MIT */
/* What the workers and the control thread of one gateway share, and its life: ready, draining, gone.
 *
 * What a reload replaces is in the edition; what stands here stays until the process ends. */
#ifndef GATEWAY_APP_H
#define GATEWAY_APP_H

#include "base/budget.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "gateway/edition.h"
#include "io/loop.h"

struct holders;
struct worker;
struct control;

struct app {
    struct edition *edition; /* in force. Thread: control's; workers have their desks */
    struct list desks;       /* every desk of every worker. Thread: control's */
    size_t desks_n;
    struct budget budget;
    struct log *log; /* or NULL */
    int access_fd;   /* -1: no access log */
    uint64_t seed;
    struct worker **workers;
    size_t workers_n, workers_max;
    struct control *control;
    int64_t started_wall_us;
    int draining;      /* atomic: /readyz fails */
    int64_t conns_n;   /* atomic: client connections of all workers */
    int64_t conns_max; /* atomic */
    int64_t files_max;
    struct holders *holders; /* who holds how many of them */
    struct metrics *control_metrics;
};

struct app_opts {
    struct log *log;
    int access_fd;
    uint64_t seed;
    int64_t wall_us;
    int64_t files_max; /* descriptors that the process may have; 0: no matter */
};

/* Takes a reference to the configuration. On failure NULL, and *why names what is wrong. */
struct app *app_new(struct config *cfg, const struct app_opts *opts, const char **why);
/* Workers and control must be gone. */
void app_free(struct app **a);
/* The bound that loops must be made with for this configuration (real_opts.pending_max, vnet_loop). */
size_t app_pending_max(const struct config *cfg);
/* Every metrics block: desks, then control. Returns how many; `out` has room for desks_n + 1. Thread:
 * control's. */
size_t app_metrics(const struct app *a, struct metrics **out);
/* All of them added up by labels, and the figures of the workers' loops: a block of its own, in a layout that
 * has the rows of all editions (made in `layout` and `arena`, which must outlive it). Thread: control's. */
struct metrics *app_sum(const struct app *a, int64_t now_us, struct metrics_layout *layout,
                        struct arena *arena);
/* Puts an edition in force that was made to follow the present one: takes it over, and sends every worker its
 * desk. Requests whose head comes after that message belong to it; what has begun is not touched. Thread:
 * control's. */
void app_put_in_force(struct app *a, struct edition **e);
bool app_is_draining(const struct app *a);
/* A client's connection comes; false: there are limits.connections of them, or so many that no descriptors
 * would be left for endpoints. Thread: any. */
bool app_conn_enter(struct app *a);
void app_conn_leave(struct app *a);

#endif
