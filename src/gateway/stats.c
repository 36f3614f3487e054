/* SPDX-License-Identifier: MIT */
/* Label rows, made once from the configuration. Only configured names become labels, never what a client
 * sent. */
#include "gateway/stats.h"

#include "base/assert.h"

static const char *const RESULTS[RESULT_N] = {"full", "failed", "refused", "cancelled", "local"};
static const char *const SCOPES[LIMITS_SCOPES_N] = {"key", "key_model", "model"};
static const char *const ROUTE_NAMES[ROUTE_N] = {"chat_completions", "completions", "embeddings", "responses",
                                                 "messages",         "models",      "healthz",    "readyz",
                                                 "options",          "other"};
static const char *const LOSSES[DOOR_LOSSES_N] = {[DOOR_CROWDED] = "address_limit",
                                                  [DOOR_PROXY_HEADER] = "proxy_header",
                                                  [DOOR_HANDSHAKE] = "tls_handshake",
                                                  [DOOR_LATE] = "timeout",
                                                  [DOOR_LEFT] = "client_left",
                                                  [DOOR_CLOSED] = "drain",
                                                  [DOOR_FULL] = "limit"};
/* The statuses that clients are sent; an endpoint's rarer ones share the last row. */
static const int CODES[] = {200, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 417,
                            422, 429, 431, 499, 500, 501, 502, 503, 504, 505, 508, 529};

const char *stats_result_name(enum result r)
{
    return RESULTS[r];
}

const char *stats_route_name(enum route_id r)
{
    return ROUTE_NAMES[r];
}

const char *stats_loss_name(enum door_loss why)
{
    return LOSSES[why];
}

size_t stats_code(int status)
{
    size_t i = 0;

    while (i < COUNT_OF(CODES) && CODES[i] != status)
        i++;
    return i;
}

static const char *label(struct arena *a, const char *name, struct slice value)
{
    char escaped[512];

    metrics_escape(escaped, sizeof escaped, value);
    return arena_printf(a, "%s=\"%s\"", name, escaped).p;
}

static const char **rows(struct stats *s, enum metric_labels set, size_t n)
{
    const char **r = arena_alloc(&s->arena, (n > 0 ? n : 1) * sizeof *r);

    s->layout.rows_n[set] = n;
    s->layout.rows[set] = r;
    return r;
}

static void fixed_rows(struct stats *s)
{
    const char **r = rows(s, LABELS_ROUTE_OUTCOME, ROUTE_N * RESULT_N);

    for (int route = 0; route < ROUTE_N; route++) {
        for (int result = 0; result < RESULT_N; result++)
            r[stats_route_result((enum route_id)route, (enum result)result)] =
                arena_printf(&s->arena, "route=\"%s\",outcome=\"%s\"", ROUTE_NAMES[route], RESULTS[result]).p;
    }
    r = rows(s, LABELS_CODE, COUNT_OF(CODES) + 1);
    for (size_t i = 0; i < COUNT_OF(CODES); i++)
        r[i] = arena_printf(&s->arena, "code=\"%d\"", CODES[i]).p;
    r[COUNT_OF(CODES)] = "code=\"other\"";
    r = rows(s, LABELS_RESULT, STATS_RELOADS_N);
    r[STATS_RELOAD_DONE] = "result=\"done\"";
    r[STATS_RELOAD_REFUSED] = "result=\"refused\"";
    r = rows(s, LABELS_ERROR, ERR_N);
    for (int e = 0; e < ERR_N; e++)
        r[e] = label(&s->arena, "error", slice_of(err_row((enum err)e)->code));
    r = rows(s, LABELS_REASON, DOOR_LOSSES_N);
    for (int l = 0; l < DOOR_LOSSES_N; l++)
        r[l] = label(&s->arena, "reason", slice_of(LOSSES[l]));
    r = rows(s, LABELS_SCOPE_LIMIT, LIMITS_SCOPES_N * LIMIT_N);
    for (int scope = 0; scope < LIMITS_SCOPES_N; scope++) {
        for (int l = 0; l < LIMIT_N; l++)
            r[stats_limit((enum limits_scope)scope, (enum limit)l)] =
                arena_printf(&s->arena, "scope=\"%s\",limit=\"%s\"", SCOPES[scope],
                             config_limit_name((enum limit)l))
                    .p;
    }
}

static void configured_rows(struct stats *s, const struct config *cfg)
{
    const char **models = rows(s, LABELS_MODEL, cfg->models_n);
    const char **endpoints = rows(s, LABELS_ENDPOINT, cfg->endpoints_n);
    const char **outcomes = rows(s, LABELS_ENDPOINT_OUTCOME, cfg->endpoints_n * OUTCOME_N);

    for (size_t i = 0; i < cfg->models_n; i++)
        models[i] = label(&s->arena, "model", cfg->models[i].name);
    for (size_t i = 0; i < cfg->endpoints_n; i++) {
        endpoints[i] = label(&s->arena, "endpoint", slice_of(cfg->endpoints[i].name));
        for (int o = 0; o < OUTCOME_N; o++)
            outcomes[stats_endpoint_outcome((int)i, (enum outcome)o)] =
                arena_printf(&s->arena, "%s,outcome=\"%s\"", endpoints[i],
                             outcome_row((enum outcome)o)->label)
                    .p;
    }
}

static void worker_rows(struct stats *s, size_t n)
{
    const char **r = rows(s, LABELS_WORKER, n);

    for (size_t i = 0; i < n; i++)
        r[i] = arena_printf(&s->arena, "worker=\"%zu\"", i).p;
}

void stats_init(struct stats *s, const struct config *cfg, size_t workers_n)
{
    memset(s, 0, sizeof *s);
    arena_init(&s->arena, NULL, 0, 8192);
    s->layout.rows_n[LABELS_NONE] = 1;
    fixed_rows(s);
    configured_rows(s, cfg);
    worker_rows(s, workers_n);
    metrics_layout_finish(&s->layout);
}

void stats_fini(struct stats *s)
{
    arena_fini(&s->arena);
}
