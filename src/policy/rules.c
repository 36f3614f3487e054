/* SPDX-License-Identifier: MIT */
/* Matching requests to rules. What is sensitive is computed from the endpoints themselves, not from rules:
 * the targets that are not local are out whatever a rule says, and nothing afterwards takes a bit out of
 * `never`. */
#include "policy/rules.h"

#include "base/assert.h"

static bool has_key(const struct config_rule *r, int key)
{
    for (size_t i = 0; i < r->keys_n; i++) {
        if (r->keys[i] == key)
            return true;
    }
    return r->keys_n == 0;
}

static bool has_headers(const struct config_rule *r, const struct rules_ask *ask)
{
    for (size_t i = 0; i < r->headers_n; i++) {
        struct slice value = ask->header(ask->ud, r->headers[i].name);
        bool any = slice_eq(r->headers[i].value, SLICE("*"));

        if (any ? value.n == 0 : !slice_eq(value, r->headers[i].value))
            return false;
    }
    return true;
}

static bool has_size(const struct config_rule *r, const struct rules_ask *ask)
{
    int64_t tokens;

    if (r->tokens_min == 0 && r->tokens_max == INT64_MAX)
        return true;
    tokens = ask->prompt_tokens(ask->ud);
    return tokens >= r->tokens_min && tokens <= r->tokens_max;
}

static bool is_for(const struct config_rule *r, const struct rules_ask *ask)
{
    return has_key(r, ask->key) && has_headers(r, ask) && has_size(r, ask);
}

static bool says_where(const struct config_rule *r)
{
    return r->use_n > 0 || r->model >= 0 || r->tier > 0;
}

/* The first rule of the list that is for the request and says where, if one may (`free`), and may move it
 * (`movable`). */
static const struct config_rule *hear(const struct config_rules *rules, const struct rules_ask *ask,
                                      bool free, bool movable, struct rules_way *way)
{
    const struct config_rule *first = NULL;

    for (size_t i = 0; i < rules->n; i++) {
        const struct config_rule *r = &rules->rules[i];
        bool where = free && first == NULL && says_where(r) && (movable || r->model < 0);

        if ((!where && (!r->sensitive || way->sensitive)) || !is_for(r, ask))
            continue;
        way->sensitive |= r->sensitive;
        if (where)
            first = r;
    }
    return first;
}

static uint64_t targets_of(const struct config_model *m)
{
    size_t n = 0;

    for (size_t t = 0; t < m->tiers_n; t++)
        n += m->tiers[t].targets_n;
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static void go_to(const struct config *cfg, int model, struct rules_way *way)
{
    way->model = model;
    way->sensitive |= cfg->models[model].sensitive;
}

/* Hears the rules of the model that the request is at; one of them may move it, if nothing has yet. */
static void hear_models(const struct rules_ask *ask, bool movable, struct rules_way *way)
{
    const struct config *cfg = ask->cfg;
    const struct config_rule *r = hear(&cfg->models[way->model].rules, ask, way->by == NULL, movable, way);

    if (r == NULL)
        return;
    way->by = r;
    if (r->model < 0)
        return;
    go_to(cfg, r->model, way);
    r = hear(&cfg->models[way->model].rules, ask, true, false, way);
    if (r != NULL)
        way->by = r;
}

/* The targets that are out, whatever happens afterwards. */
static void bar(const struct config *cfg, struct rules_way *way)
{
    if (way->by != NULL)
        way->never |= ~config_rule_targets(cfg, way->model, way->by);
    if (way->sensitive)
        way->never |= ~config_local_targets(cfg, way->model);
    way->never &= targets_of(&cfg->models[way->model]);
}

enum rules_end rules_find_way(const struct rules_ask *ask, struct rules_way *way)
{
    const struct config *cfg = ask->cfg;
    const struct config_rule *mover = NULL;

    ASSERT(ask->model >= 0 && (size_t)ask->model < cfg->models_n && ask->key < (int)cfg->keys_n);
    *way = (struct rules_way){.sensitive = ask->sensitive};
    if (ask->key >= 0)
        way->sensitive |= cfg->keys[ask->key].sensitive;
    go_to(cfg, ask->model, way);
    way->by = hear(&cfg->rules, ask, true, true, way);
    if (way->by != NULL && way->by->model >= 0) {
        mover = way->by;
        (void)hear(&cfg->models[way->model].rules, ask, false, false,
                   way); /* what is sensitive there stays so */
        go_to(cfg, mover->model, way);
        way->by = NULL; /* the rules of that model may say more */
    }
    hear_models(ask, mover == NULL, way);
    if (way->by == NULL)
        way->by = mover;
    bar(cfg, way);
    return rules_without(cfg, way, 0);
}

enum rules_end rules_without(const struct config *cfg, const struct rules_way *way, uint64_t unfit)
{
    uint64_t all = targets_of(&cfg->models[way->model]);
    uint64_t allowed = way->by != NULL ? config_rule_targets(cfg, way->model, way->by) : all;

    if (((way->never | unfit) & all) != all)
        return RULES_OPEN;
    return way->sensitive && (allowed & all & ~unfit) != 0 ? RULES_NO_LOCAL : RULES_FORBID;
}
