/* SPDX-License-Identifier: MIT */
/* Limits across workers: lock the meters that apply, ask policy, count, unlock. */
#include "shared/limits.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"
#include "policy/learned.h"

/* A guard: a meter behind its lock. It lives while limits point at it or a pass holds it. */
struct guard {
    pthread_mutex_t lock;
    struct meter meter; /* under lock, as is refs_n */
    int refs_n;         /* limits that point here */
};

struct key_guards {
    struct guard *all;     /* or NULL */
    struct guard **models; /* as in config_key.model_limits; NULL where that key has none */
};

struct model_state {
    struct guard *guard; /* or NULL */
    pthread_mutex_t lock;
    struct learned learned; /* under lock */
};

struct limits {
    struct config *cfg;
    struct key_guards *keys;
    struct model_state *models;
    bool any; /* something is limited */
};

/* -- guards -----------------------------------------------------------------------------------------------
 */

static struct guard *guard_new(const struct config_limits *limits)
{
    struct guard *g = MEM_NEW(struct guard);

    ASSERT(pthread_mutex_init(&g->lock, NULL) == 0);
    meter_init(&g->meter, limits);
    g->refs_n = 1;
    return g;
}

static void guard_free(struct guard *g)
{
    meter_fini(&g->meter);
    ASSERT(pthread_mutex_destroy(&g->lock) == 0);
    mem_free(g);
}

static bool is_unused(const struct guard *g)
{
    return g->refs_n == 0 && g->meter.inflight == 0;
}

static void guard_unref(struct guard *g)
{
    bool unused;

    if (g == NULL)
        return;
    pthread_mutex_lock(&g->lock);
    g->refs_n--;
    unused = is_unused(g);
    pthread_mutex_unlock(&g->lock);
    if (unused)
        guard_free(g);
}

/* The old guard with new numbers, or a new one; NULL where nothing is limited. */
static struct guard *guard_take_over(struct guard *old, const struct config_limits *limits)
{
    if (config_limits_are_none(limits))
        return NULL;
    if (old == NULL)
        return guard_new(limits);
    pthread_mutex_lock(&old->lock);
    old->refs_n++;
    meter_set_limits(&old->meter, limits);
    pthread_mutex_unlock(&old->lock);
    return old;
}

/* -- making ---------------------------------------------------------------------------------------------- */

static struct guard *old_model_guard(const struct limits *old, int key, struct slice model)
{
    const struct config_key *k = old != NULL && key >= 0 ? &old->cfg->keys[key] : NULL;

    for (size_t i = 0; k != NULL && i < k->model_limits_n; i++) {
        if (slice_eq(old->cfg->models[k->model_limits[i].model].name, model))
            return old->keys[key].models[i];
    }
    return NULL;
}

static void make_key(struct limits *l, size_t i, const struct limits *old, int old_key)
{
    const struct config_key *k = &l->cfg->keys[i];
    struct key_guards *g = &l->keys[i];

    g->all = guard_take_over(old != NULL && old_key >= 0 ? old->keys[old_key].all : NULL, &k->limits);
    l->any = l->any || g->all != NULL || k->model_limits_n > 0;
    if (k->model_limits_n == 0)
        return;
    g->models = mem_zalloc(k->model_limits_n * sizeof(struct guard *));
    for (size_t j = 0; j < k->model_limits_n; j++) {
        const struct config_model_limits *m = &k->model_limits[j];

        g->models[j] =
            guard_take_over(old_model_guard(old, old_key, l->cfg->models[m->model].name), &m->limits);
    }
}

static void make_model(struct limits *l, size_t i, const struct limits *old, int old_model)
{
    struct model_state *m = &l->models[i],
                       *from = old != NULL && old_model >= 0 ? &old->models[old_model] : NULL;

    ASSERT(pthread_mutex_init(&m->lock, NULL) == 0);
    m->guard = guard_take_over(from != NULL ? from->guard : NULL, &l->cfg->models[i].limits);
    l->any = l->any || m->guard != NULL;
    if (from == NULL)
        return;
    pthread_mutex_lock(&from->lock);
    m->learned = from->learned;
    pthread_mutex_unlock(&from->lock);
}

/* Where a name stands in the old configuration: index + 1 as a pointer, so that 0 means nowhere. */
static int place_of(const struct map *names, struct slice name)
{
    return (int)(intptr_t)map_find(names, name) - 1;
}

static void put_place(struct map *names, struct slice name, size_t i)
{
    map_put(names, name, (void *)(intptr_t)(i + 1));
}

struct limits *limits_new(struct config *cfg, const struct limits *old)
{
    struct limits *l = MEM_NEW(struct limits);
    struct map keys, models;

    map_init(&keys);
    map_init(&models);
    for (size_t i = 0; old != NULL && i < old->cfg->keys_n; i++)
        put_place(&keys, slice_of(old->cfg->keys[i].name), i);
    for (size_t i = 0; old != NULL && i < old->cfg->models_n; i++)
        put_place(&models, old->cfg->models[i].name, i);
    config_ref(cfg);
    l->cfg = cfg;
    l->keys = mem_zalloc((cfg->keys_n + 1) * sizeof *l->keys);
    l->models = mem_zalloc((cfg->models_n + 1) * sizeof *l->models);
    for (size_t i = 0; i < cfg->keys_n; i++)
        make_key(l, i, old, place_of(&keys, slice_of(cfg->keys[i].name)));
    for (size_t i = 0; i < cfg->models_n; i++)
        make_model(l, i, old, place_of(&models, cfg->models[i].name));
    map_fini(&keys);
    map_fini(&models);
    return l;
}

void limits_free(struct limits **lp)
{
    struct limits *l = *lp;

    *lp = NULL;
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->cfg->keys_n; i++) {
        guard_unref(l->keys[i].all);
        for (size_t j = 0; j < l->cfg->keys[i].model_limits_n; j++)
            guard_unref(l->keys[i].models[j]);
        mem_free(l->keys[i].models);
    }
    for (size_t i = 0; i < l->cfg->models_n; i++) {
        guard_unref(l->models[i].guard);
        ASSERT(pthread_mutex_destroy(&l->models[i].lock) == 0);
    }
    mem_free(l->keys);
    mem_free(l->models);
    config_unref(&l->cfg);
    mem_free(l);
}

/* -- asking ---------------------------------------------------------------------------------------------- */

/* The guards that apply, each at its scope; NULL where there is none. The order is that of the locks. */
struct guards {
    struct guard *at[LIMITS_SCOPES_N];
};

static struct guards guards_of(const struct limits *l, struct limits_who who)
{
    struct guards g = {{NULL}};

    if (!l->any)
        return g;
    if (who.key >= 0)
        g.at[LIMITS_OF_KEY] = l->keys[who.key].all;
    if (who.model >= 0)
        g.at[LIMITS_OF_MODEL] = l->models[who.model].guard;
    if (who.key >= 0 && who.model >= 0) {
        const struct config_key *k = &l->cfg->keys[who.key];

        for (size_t i = 0; i < k->model_limits_n; i++) {
            if (k->model_limits[i].model == who.model)
                g.at[LIMITS_OF_KEY_MODEL] = l->keys[who.key].models[i];
        }
    }
    return g;
}

bool limits_apply(const struct limits *l, struct limits_who who)
{
    struct guards g = guards_of(l, who);

    return g.at[LIMITS_OF_KEY] != NULL || g.at[LIMITS_OF_KEY_MODEL] != NULL || g.at[LIMITS_OF_MODEL] != NULL;
}

static int64_t tighter(int64_t a, const struct config_limits *l)
{
    int64_t b = l->n[LIMIT_TPM];

    return a == 0 || (b > 0 && b < a) ? b : a;
}

int64_t limits_tokens_max(const struct limits *l, struct limits_who who)
{
    const struct config_key *k = who.key >= 0 ? &l->cfg->keys[who.key] : NULL;
    int64_t most = 0;

    if (!l->any)
        return 0;
    if (who.model >= 0)
        most = tighter(most, &l->cfg->models[who.model].limits);
    if (k == NULL)
        return most;
    for (size_t i = 0; i < k->model_limits_n; i++) {
        if (k->model_limits[i].model == who.model)
            most = tighter(most, &k->model_limits[i].limits);
    }
    return tighter(most, &k->limits);
}

static void lock(const struct guards *g)
{
    for (int i = 0; i < LIMITS_SCOPES_N; i++) {
        if (g->at[i] != NULL)
            pthread_mutex_lock(&g->at[i]->lock);
    }
}

static void unlock(const struct guards *g)
{
    for (int i = LIMITS_SCOPES_N - 1; i >= 0; i--) {
        if (g->at[i] != NULL)
            pthread_mutex_unlock(&g->at[i]->lock);
    }
}

static bool ask(const struct guards *g, int64_t now_us, int64_t tokens, struct limits_refusal *why)
{
    bool fits = true;

    for (int i = 0; i < LIMITS_SCOPES_N; i++) {
        struct meter_refusal refusal;

        if (g->at[i] == NULL || meter_ask(&g->at[i]->meter, now_us, tokens, &refusal))
            continue;
        if (fits || refusal.wait_us > why->why.wait_us)
            *why = (struct limits_refusal){(enum limits_scope)i, refusal};
        fits = false;
    }
    return fits;
}

static void read_levels(const struct guards *g, int64_t now_us, struct limits_levels *out)
{
    *out = (struct limits_levels){{0}, {0}};
    for (int i = 0; i < LIMITS_SCOPES_N; i++) {
        if (g->at[i] == NULL)
            continue;
        out->requests = meter_level_min(out->requests, meter_requests(&g->at[i]->meter, now_us));
        out->tokens = meter_level_min(out->tokens, meter_tokens(&g->at[i]->meter, now_us));
    }
}

bool limits_ask(struct limits *l, struct limits_who who, int64_t now_us, int64_t tokens,
                struct limits_refusal *why, struct limits_levels *levels)
{
    struct guards g = guards_of(l, who);
    bool fits;

    lock(&g);
    fits = ask(&g, now_us, tokens, why);
    read_levels(&g, now_us, levels);
    unlock(&g);
    return fits;
}

bool limits_enter(struct limits *l, struct limits_who who, int64_t now_us, struct limits_pass *pass,
                  struct limits_refusal *why, struct limits_levels *levels)
{
    struct guards g = guards_of(l, who);
    bool fits;

    pass->holds_n = 0;
    lock(&g);
    fits = ask(&g, now_us, pass->tokens, why);
    for (int i = 0; fits && i < LIMITS_SCOPES_N; i++) {
        if (g.at[i] == NULL)
            continue;
        pass->holds[pass->holds_n].at_us = meter_reserve(&g.at[i]->meter, now_us, pass->tokens);
        pass->holds[pass->holds_n++].guard = g.at[i];
    }
    read_levels(&g, now_us, levels);
    unlock(&g);
    return fits;
}

void limits_settle(struct limits_pass *pass, int64_t now_us, int64_t used, bool counts)
{
    for (int i = 0; i < pass->holds_n; i++) {
        struct guard *g = pass->holds[i].guard;
        struct meter_use use = {pass->holds[i].at_us, pass->tokens, used, counts};
        bool unused;

        pthread_mutex_lock(&g->lock);
        meter_settle(&g->meter, now_us, &use);
        unused = is_unused(g);
        pthread_mutex_unlock(&g->lock);
        if (unused)
            guard_free(g);
    }
    pass->holds_n = 0;
}

/* -- learning -------------------------------------------------------------------------------------------- */

static struct learned learned_of(struct limits *l, int model)
{
    struct model_state *m = &l->models[model];
    struct learned copy;

    pthread_mutex_lock(&m->lock);
    copy = m->learned;
    pthread_mutex_unlock(&m->lock);
    return copy;
}

int64_t limits_prompt(struct limits *l, int model, int64_t estimated)
{
    struct learned learned = learned_of(l, model);

    return learned_prompt(&learned, estimated);
}

int64_t limits_answer(struct limits *l, int model)
{
    struct learned learned = learned_of(l, model);

    return learned_answer(&learned);
}

void limits_learn(struct limits *l, int model, int64_t estimated, int64_t prompt, int64_t answer)
{
    struct model_state *m = &l->models[model];

    pthread_mutex_lock(&m->lock);
    learned_add(&m->learned, estimated, prompt, answer);
    pthread_mutex_unlock(&m->lock);
}

/* -- for tests and checks -------------------------------------------------------------------------------- */

static int64_t inflight_of(struct guard *g)
{
    int64_t n;

    if (g == NULL)
        return 0;
    pthread_mutex_lock(&g->lock);
    n = g->meter.inflight;
    pthread_mutex_unlock(&g->lock);
    return n;
}

int64_t limits_inflight(struct limits *l)
{
    int64_t n = 0;

    for (size_t i = 0; i < l->cfg->keys_n; i++) {
        n += inflight_of(l->keys[i].all);
        for (size_t j = 0; j < l->cfg->keys[i].model_limits_n; j++)
            n += inflight_of(l->keys[i].models[j]);
    }
    for (size_t i = 0; i < l->cfg->models_n; i++)
        n += inflight_of(l->models[i].guard);
    return n;
}
