/* SPDX-License-Identifier: MIT */
/* The table of routes. */
#include "sim/routes.h"

static const struct sim_route ROUTES[] = {
    {"/chat/completions", &SIM_FORM_CHAT, NULL},
    {"/completions", &SIM_FORM_TEXT, NULL},
    {"/embeddings", &SIM_FORM_EMBEDDINGS, NULL},
    {"/messages", &SIM_FORM_MESSAGES, NULL},
    {"/responses", &SIM_FORM_RESPONSES, NULL},
    {"/models", NULL, sim_page_models},
    {"/models/", NULL, sim_page_model},
    {"/user/balance", NULL, sim_page_balance},
    {"/health", NULL, sim_page_health},
    {"/props", NULL, sim_page_props},
    {"/slots", NULL, sim_page_slots},
    {"/metrics", NULL, sim_page_metrics},
    {"/loads", NULL, sim_page_loads},
    {"/sim/stats", NULL, sim_page_stats},
};

static struct slice without_prefix(struct slice path)
{
    static const struct slice PREFIXES[] = {SLICE("/anthropic"), SLICE("/beta"), SLICE("/v1")};

    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++) {
        struct slice rest = slice_from(path, PREFIXES[i].n);

        if (slice_starts(path, PREFIXES[i]) && slice_starts(rest, SLICE("/")))
            path = rest;
    }
    return path;
}

const struct sim_route *sim_route_of(struct slice path, struct slice *rest)
{
    path = without_prefix(path);
    for (size_t i = 0; i < sizeof ROUTES / sizeof ROUTES[0]; i++) {
        struct slice own = slice_of(ROUTES[i].path);

        *rest = slice_from(path, own.n);
        if (slice_ends(own, SLICE("/")) ? slice_starts(path, own) && rest->n > 0 : slice_eq(path, own))
            return &ROUTES[i];
    }
    return NULL;
}
