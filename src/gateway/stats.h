/* SPDX-License-Identifier: MIT */
/* The label rows of the gateway's metrics: which routes, outcomes, models and endpoints exist. */
#ifndef GATEWAY_STATS_H
#define GATEWAY_STATS_H

#include "base/arena.h"
#include "base/metrics.h"
#include "config/config.h"
#include "gateway/door.h"
#include "policy/outcome.h"
#include "shared/limits.h"

/* How an exchange ended (DESIGN's answered rate). Refused and cancelled are not in its denominator. */
enum result {
    RESULT_FULL,      /* the model asked for, complete */
    RESULT_FAILED,    /* valid and allowed, but no complete answer */
    RESULT_REFUSED,   /* invalid, not allowed, or too much: the client's to mend */
    RESULT_CANCELLED, /* the client left */
    RESULT_LOCAL,     /* answered by the gateway itself: health, models */
    RESULT_N
};

enum route_id {
    ROUTE_CHAT,
    ROUTE_COMPLETIONS,
    ROUTE_EMBEDDINGS,
    ROUTE_RESPONSES,
    ROUTE_MESSAGES,
    ROUTE_MODELS,
    ROUTE_HEALTHZ,
    ROUTE_READYZ,
    ROUTE_OPTIONS, /* the method, on any path */
    ROUTE_OTHER,
    ROUTE_N
};

enum stats_reload { STATS_RELOAD_DONE, STATS_RELOAD_REFUSED, STATS_RELOADS_N };

struct stats {
    struct arena arena;
    struct metrics_layout layout;
};

/* workers_n: as many as the program runs; a reload changes nothing about that. */
void stats_init(struct stats *s, const struct config *cfg, size_t workers_n);
void stats_fini(struct stats *s);

const char *stats_result_name(enum result r);
const char *stats_route_name(enum route_id r);
const char *stats_loss_name(enum door_loss why);

/* Row numbers. */
static inline size_t stats_route_result(enum route_id route, enum result r)
{
    return (size_t)route * RESULT_N + (size_t)r;
}

static inline size_t stats_endpoint_outcome(int endpoint, enum outcome o)
{
    return (size_t)endpoint * OUTCOME_N + (size_t)o;
}

static inline size_t stats_limit(enum limits_scope scope, enum limit l)
{
    return (size_t)scope * LIMIT_N + (size_t)l;
}

size_t stats_code(int status); /* the row of a status; unlisted ones share "other" */

#endif
