/* SPDX-License-Identifier: MIT */
/* `limits` of keys and of models: how many requests and tokens in which time, and how many calls at once. */
#include "config/limits.h"

#include "base/assert.h"
#include "config/fields.h"
#include "config/value.h"

static const char *const names[LIMIT_N] = {
    [LIMIT_RPS] = "rps", [LIMIT_RPM] = "rpm",           [LIMIT_RPH] = "rph",
    [LIMIT_TPM] = "tpm", [LIMIT_INFLIGHT] = "inflight",
};

/* Far above any use, far below where sums could overflow. */
static const int64_t most[LIMIT_N] = {
    [LIMIT_RPS] = 1000000,         [LIMIT_RPM] = 100000000,     [LIMIT_RPH] = 1000000000,
    [LIMIT_TPM] = 1000000000000LL, [LIMIT_INFLIGHT] = 10000000,
};

const char *config_limit_name(enum limit l)
{
    ASSERT(l < LIMIT_N);
    return names[l];
}

bool config_limits_are_none(const struct config_limits *l)
{
    for (int i = 0; i < LIMIT_N; i++) {
        if (l->n[i] > 0)
            return false;
    }
    return true;
}

static void read_number(struct draft *d, const struct node *n, struct config_limits *into, enum limit l)
{
    value_count(d->notes, n, (struct value_bounds){1, most[l]}, &into->n[l]);
}

/* What a mapping of limits is read into. */
struct reading {
    struct config_limits *limits;
    struct config_key *key; /* or NULL: no `models` in it */
};

#define READER(word, limit)                                                    \
    static void read_##word(struct draft *d, const struct node *n, void *into) \
    {                                                                          \
        read_number(d, n, ((struct reading *)into)->limits, limit);            \
    }
READER(rps, LIMIT_RPS)
READER(rpm, LIMIT_RPM)
READER(rph, LIMIT_RPH)
READER(tpm, LIMIT_TPM)
READER(inflight, LIMIT_INFLIGHT)

static void read_models(struct draft *d, const struct node *n, void *into);

/* The last row is for keys only. */
static const struct field fields[] = {
    {"rps", read_rps, NULL, false},           {"rpm", read_rpm, NULL, false},
    {"rph", read_rph, NULL, false},           {"tpm", read_tpm, NULL, false},
    {"inflight", read_inflight, NULL, false}, {"models", read_models, NULL, false},
};

/* Limits of requests that another one of the same set makes void. */
static void check_numbers(struct draft *d, const struct node *n, const struct config_limits *l)
{
    static const struct {
        enum limit shorter, longer;
        int64_t times; /* how often the shorter span goes into the longer */
    } pairs[] = {{LIMIT_RPS, LIMIT_RPM, 60}, {LIMIT_RPS, LIMIT_RPH, 3600}, {LIMIT_RPM, LIMIT_RPH, 60}};

    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        const char *shorter = names[pairs[i].shorter], *longer = names[pairs[i].longer];
        int64_t a = l->n[pairs[i].shorter], b = l->n[pairs[i].longer], top = a * pairs[i].times;

        if (a == 0 || b == 0)
            continue;
        if (b >= top)
            notes_warning(d->notes, node_find(n, longer)->at,
                          "%s has no effect: %s lets no more than %lld through in that time", longer, shorter,
                          (long long)top);
        else if (a >= b)
            notes_warning(d->notes, node_find(n, shorter)->at,
                          "%s has no effect: %s lets no more than %lld through in a longer time", shorter,
                          longer, (long long)b);
    }
}

/* An empty mapping is a mistake: somebody wanted to limit something. */
static void read_plain(struct draft *d, const struct node *n, const char *what, struct config_limits *into)
{
    struct reading r = {.limits = into};

    if (fields_read(d, n, what, fields, COUNT_OF(fields) - 1, &r) && n->n == 0)
        notes_error(d->notes, n->at, "%s: nothing stands in it; leave it out where nothing is limited", what);
}

static void read_models(struct draft *d, const struct node *n, void *into)
{
    struct config_key *key = ((struct reading *)into)->key;
    struct config_model_limits *all;
    size_t i = 0;

    if (!value_is(d->notes, n, NODE_MAP, "{MODEL: {rpm: NUMBER}}"))
        return;
    if (n->n > DRAFT_MODEL_LIMITS_MAX) {
        notes_error(d->notes, n->at, "models can have at most %d elements here, this has %zu",
                    DRAFT_MODEL_LIMITS_MAX, n->n);
        return;
    }
    all = arena_zalloc(d->arena, (n->n + 1) * sizeof(*all));
    for (const struct node *child = n->first; child; child = child->next) {
        char shown[NODE_SHOW_BYTES];

        all[i].model = models_find(d, child->key, node_show_text(child->key, shown), child->key_at, "limit");
        read_plain(d, child, "limits of a model", &all[i].limits);
        if (all[i].model >= 0)
            i++;
    }
    key->model_limits = all;
    key->model_limits_n = i;
}

void limits_read_key(struct draft *d, const struct node *n, struct config_key *key)
{
    struct reading r = {&key->limits, key};

    if (fields_read(d, n, "limits of a key", fields, COUNT_OF(fields), &r) && n->n == 0)
        notes_error(d->notes, n->at, "limits is empty; leave it out where nothing is limited");
}

void limits_read_model(struct draft *d, const struct node *n, struct config_limits *limits)
{
    read_plain(d, n, "limits of a model", limits);
    check_numbers(d, n, limits);
}

static bool may_use(const struct config_key *key, int model)
{
    for (size_t i = 0; i < key->models_n; i++) {
        if (key->models[i] == model)
            return true;
    }
    return key->models_n == 0;
}

/* Limits for one model that the key's own make void. */
static void check_model(struct draft *d, const struct node *n, const struct config_limits *own,
                        const struct config_limits *model)
{
    check_numbers(d, n, model);
    for (int i = 0; i < LIMIT_N; i++) {
        if (own->n[i] > 0 && model->n[i] >= own->n[i])
            notes_warning(d->notes, node_find(n, names[i])->at,
                          "%s has no effect: over all models this key has %s: %lld", names[i], names[i],
                          (long long)own->n[i]);
    }
}

void limits_check_key(struct draft *d, const struct node *n, const struct config_key *key)
{
    const struct node *limits = node_find(n, "limits"), *models;

    if (!limits || limits->kind != NODE_MAP)
        return;
    check_numbers(d, limits, &key->limits);
    models = node_find(limits, "models");
    if (!models)
        return;
    for (const struct node *child = models->first; child; child = child->next) {
        for (size_t i = 0; i < key->model_limits_n; i++) {
            int model = key->model_limits[i].model;
            char shown[NODE_SHOW_BYTES];

            if (!slice_eq(d->config->models[model].name, child->key))
                continue;
            check_model(d, child, &key->limits, &key->model_limits[i].limits);
            if (!may_use(key, model))
                notes_warning(d->notes, child->key_at, "this key may not use the model \"%s\" at all",
                              node_show_text(child->key, shown));
        }
    }
}
