/* SPDX-License-Identifier: MIT */
/* Makes the stage: a snapshot of its own whose texts are those of the original. */
#include "config/stage.h"

#include "config/draft.h"

static const struct config_listener listener = {.at = STAGE_LISTEN};

struct stage {
    const struct config *original;
    struct snapshot *snapshot;
    stage_place_cb place;
    void *ud;
    int index[DRAFT_TARGETS_MAX]; /* of the endpoints on the stage, in the original */
    struct config_endpoint *endpoints;
    size_t endpoints_n;
};

/* The simulator, which stands in for all of them, has its API under /v1 or, in DeepSeek's form, at the root.
 */
static void disguise(struct stage *s, struct config_endpoint *e, int original)
{
    struct stage_place at = s->place(s->ud, original);
    struct arena *arena = &s->snapshot->arena;

    e->tls = false;
    e->host = at.host;
    e->port = at.port;
    e->base_path = e->provider == PROVIDER_DEEPSEEK ? SLICE("") : SLICE("/v1");
    e->authority = arena_printf(arena, "%s:%u", at.host, (unsigned)at.port);
    e->ca_file = e->client_cert = e->client_key = e->server_name = e->socket = NULL;
    e->proxy = NULL;
    e->signals = false; /* its stand-in has no load of its own */
    if (e->key_mode == KEY_OWN)
        e->secret = SLICE("made-up");
}

/* The index of an endpoint on the stage, which it enters with its first target. */
static int enter(struct stage *s, int original)
{
    size_t i = 0;

    while (i < s->endpoints_n && s->index[i] != original)
        i++;
    if (i == s->endpoints_n) {
        s->index[i] = original;
        s->endpoints[i] = s->original->endpoints[original];
        disguise(s, &s->endpoints[i], original);
        s->endpoints_n++;
    }
    return (int)i;
}

static struct config_tier copy_tier(struct stage *s, const struct config_tier *from)
{
    struct config_target *targets = arena_zalloc(&s->snapshot->arena, from->targets_n * sizeof(*targets));

    for (size_t i = 0; i < from->targets_n; i++) {
        targets[i] = from->targets[i];
        targets[i].endpoint = enter(s, from->targets[i].endpoint);
    }
    return (struct config_tier){targets, from->targets_n};
}

static struct config_model *copy_model(struct stage *s, const struct config_model *from)
{
    struct arena *arena = &s->snapshot->arena;
    struct config_model *m = ARENA_NEW(arena, struct config_model);
    struct config_tier *tiers = arena_zalloc(arena, from->tiers_n * sizeof(*tiers));

    *m = *from;
    m->aliases = NULL;
    m->aliases_n = 0;
    m->limits = (struct config_limits){0};
    m->rules = (struct config_rules){0}; /* they ask who calls, and name what is not on the stage */
    for (size_t i = 0; i < from->tiers_n; i++)
        tiers[i] = copy_tier(s, &from->tiers[i]);
    m->tiers = tiers;
    return m;
}

struct config *config_stage(struct config *c, int model, stage_place_cb place, void *ud)
{
    struct stage s = {.original = c, .snapshot = snapshot_new(), .place = place, .ud = ud};
    struct config *out = &s.snapshot->config;
    struct snapshot_name *name;

    config_ref(c);
    *out = *c;
    s.snapshot->original = c;
    s.endpoints = arena_zalloc(&s.snapshot->arena, DRAFT_TARGETS_MAX * sizeof(*s.endpoints));
    out->models = copy_model(&s, &c->models[model]);
    out->models_n = 1;
    out->wildcard = c->wildcard == model ? 0 : -1;
    out->endpoints = s.endpoints;
    out->endpoints_n = s.endpoints_n;
    out->listen = &listener;
    out->listen_n = 1;
    out->admin = out->metrics = NULL;
    out->keys = NULL;
    out->keys_n = 0;
    out->rules = (struct config_rules){0};
    out->cors_origins_n = 0;
    out->workers = 1;
    out->watch = false;
    name = ARENA_NEW(&s.snapshot->arena, struct snapshot_name);
    name->model = 0;
    if (out->wildcard < 0)
        map_put(&s.snapshot->names, out->models[0].name, name);
    return out;
}
