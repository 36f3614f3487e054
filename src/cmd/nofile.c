/* SPDX-License-Identifier: MIT */
/* From what was found to a configuration, and to the words that say so. */
#include "cmd/nofile.h"

#include <string.h>

#include "io/loop.h"

#define LISTEN_PORT 8080
#define ADMIN "127.0.0.1:8081"
#define NEXT_PORT (LISTEN_PORT + 2) /* behind admin */
#define PORTS_TRIED 100

/* When no port is free the usual one is tried in the end, and the failure names it. */
static void choose_listen(struct nofile *l)
{
    struct addr at;

    l->moved = discovery_at(&l->found, LISTEN_PORT) != NULL;
    for (int port = NEXT_PORT; l->moved && port < NEXT_PORT + PORTS_TRIED; port++) {
        snprintf(l->listen, sizeof l->listen, "127.0.0.1:%d", port);
        if (addr_parse(slice_of(l->listen), &at) == ERR_OK && loop_real_probe(&at) == 0)
            return;
    }
    snprintf(l->listen, sizeof l->listen, "127.0.0.1:%d", LISTEN_PORT);
}

enum err nofile_configure(struct nofile *l, struct config **out, char **yaml_out,
                          struct config_report *report)
{
    *out = NULL;
    *yaml_out = NULL;
    *report = (struct config_report){.text = ""};
    *l = (struct nofile){.moved = false};
    discover(&l->found);
    choose_listen(l);
    if (l->found.n == 0)
        return ERR_OK;
    return config_for_engines(l->found.engines, l->found.n, l->listen, ADMIN, out, yaml_out, report);
}

void nofile_fini(struct nofile *l)
{
    discovery_fini(&l->found);
}

static void print_engine(FILE *to, const struct config_engine *e, const char *label)
{
    fprintf(to, "  %-15s %s at http://%s/v1", label, config_provider_name(e->provider), e->at);
    if (e->slots > 0)
        fprintf(to, ", %d slot%s", e->slots, e->slots > 1 ? "s" : "");
    if (e->loading)
        fprintf(to, ", still loading its model");
    else if (e->models_n == 0)
        fprintf(to, ", which has no model yet");
    fprintf(to, "\n");
}

static void print_models(FILE *to, const struct discovery *d)
{
    int rest = config_engine_for_the_rest(d->engines, d->n);
    const char *label = "models";

    for (size_t i = 0; i < d->n; i++) {
        for (size_t k = 0; k < d->engines[i].models_n; k++) {
            const struct config_engine_model *m = &d->engines[i].models[k];

            fprintf(to, "  %-15s %.*s (", label, SLICE_ARG(m->name));
            if (m->context > 0)
                fprintf(to, "context %lld, ", (long long)m->context);
            fprintf(to, "%s at %s)\n", config_provider_name(d->engines[i].provider), d->engines[i].at);
            label = "";
        }
    }
    if (rest >= 0)
        fprintf(to, "  %-15s any other name (%s at %s)\n", label,
                config_provider_name(d->engines[rest].provider), d->engines[rest].at);
}

void nofile_print(FILE *to, const struct nofile *l)
{
    const struct config_engine *there = discovery_at(&l->found, LISTEN_PORT);

    for (size_t i = 0; i < l->found.n; i++)
        print_engine(to, &l->found.engines[i], i == 0 ? "engines" : "");
    print_models(to, &l->found);
    if (l->moved && there != NULL)
        fprintf(to, "  %-15s %d is the engine's (%s), so this gateway listens at %s\n", "port", LISTEN_PORT,
                config_provider_name(there->provider), l->listen);
}

void nofile_print_locked(FILE *to, const struct nofile *l)
{
    for (size_t i = 0; i < l->found.locked_n; i++)
        fprintf(to,
                "  %-15s what answers at %s wants a key: write a file with it as an endpoint\n"
                "                  (see docs/providers.md)\n",
                "not used", l->found.locked[i]);
}
