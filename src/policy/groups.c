/* SPDX-License-Identifier: MIT */
/* Groups of models by union-find (Galler and Fischer 1964, with path halving). */
#include "policy/groups.h"

#include "base/assert.h"
#include "base/mem.h"

static int root_of(int *parent, int i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* The smaller index becomes the root, so that every root is the first model of its group. */
static void join(int *parent, int a, int b)
{
    int x = root_of(parent, a), y = root_of(parent, b);

    if (x < y)
        parent[y] = x;
    else
        parent[x] = y;
}

/* Joins the model with the first one that used the same thing, or makes it that first one. */
static void share(int *parent, int *first_user, int model)
{
    if (*first_user < 0)
        *first_user = model;
    else
        join(parent, *first_user, model);
}

static void share_targets(const struct config *cfg, int model, int *parent, int *by_endpoint, int *by_account)
{
    const struct config_model *m = &cfg->models[model];

    for (size_t i = 0; i < m->tiers_n; i++) {
        for (size_t k = 0; k < m->tiers[i].targets_n; k++) {
            int endpoint = m->tiers[i].targets[k].endpoint;
            ASSERT(endpoint >= 0 && (size_t)endpoint < cfg->endpoints_n);
            int account = cfg->endpoints[endpoint].account;
            share(parent, &by_endpoint[endpoint], model);
            if (account >= 0)
                share(parent, &by_account[account], model);
        }
    }
}

static int *filled(size_t n, int value)
{
    int *p = mem_alloc(n * sizeof(*p));

    for (size_t i = 0; i < n; i++)
        p[i] = value;
    return p;
}

size_t groups_of_models(const struct config *cfg, int *group_of)
{
    int *parent = filled(cfg->models_n, 0);
    int *by_endpoint = filled(cfg->endpoints_n, -1);
    int *by_account = filled(cfg->accounts_n, -1);
    size_t groups_n = 0;

    for (size_t i = 0; i < cfg->models_n; i++)
        parent[i] = (int)i;
    for (size_t i = 0; i < cfg->models_n; i++)
        share_targets(cfg, (int)i, parent, by_endpoint, by_account);
    for (size_t i = 0; i < cfg->models_n; i++) {
        int root = root_of(parent, (int)i);
        group_of[i] = root == (int)i ? (int)groups_n++ : group_of[root];
    }
    mem_free(parent);
    mem_free(by_endpoint);
    mem_free(by_account);
    return groups_n;
}
