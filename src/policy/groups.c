/* SPDX-License-Identifier: MIT */
/* Groups of models by union-find (Galler and Fischer 1964, with path halving). */
#include "policy/groups.h"

#include "base/assert.h"
#include "base/map.h"
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

/* One configuration's models among all: `first` is the number of its first one. Accounts and endpoints have
 * numbers, equal for equal names of different configurations: what is known of them is known once. */
struct part {
    const struct config *cfg;
    const int *account_number;
    int *endpoint_number;
    int first;
};

static void share_targets(const struct part *p, int model, int *parent, int *by_endpoint, int *by_account)
{
    const struct config_model *m = &p->cfg->models[model];

    for (size_t i = 0; i < m->tiers_n; i++) {
        for (size_t k = 0; k < m->tiers[i].targets_n; k++) {
            int endpoint = m->tiers[i].targets[k].endpoint;
            ASSERT(endpoint >= 0 && (size_t)endpoint < p->cfg->endpoints_n);
            int account = p->cfg->endpoints[endpoint].account;
            share(parent, &by_endpoint[p->endpoint_number[endpoint]], p->first + model);
            if (account >= 0)
                share(parent, &by_account[p->account_number[account]], p->first + model);
            if (p->cfg->endpoints[endpoint].own > 0)
                share(parent, &by_account[p->account_number[p->cfg->endpoints[endpoint].own - 1]],
                      p->first + model);
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

/* Names cannot repeat inside a configuration, so a single one is never searched. Returns how many names there
 * are by now. */
static size_t number_endpoints(struct part *p, size_t n, struct map *names, bool is_only)
{
    size_t endpoints_n = p->cfg->endpoints_n;

    p->endpoint_number = filled(endpoints_n, -1);
    for (size_t i = 0; i < endpoints_n; i++) {
        const char *name = p->cfg->endpoints[i].name;
        bool can_repeat = !is_only && name != NULL;
        uintptr_t known = can_repeat ? (uintptr_t)map_find(names, slice_of(name)) : 0;

        if (known == 0)
            known = ++n;
        if (can_repeat)
            (void)!map_put(names, slice_of(name), (void *)known);
        p->endpoint_number[i] = (int)known - 1;
    }
    return n;
}

/* The configurations as parts; returns the number of different endpoints. */
static size_t make_parts(const struct config *const *cfgs, size_t n, const struct accounts *accounts,
                         struct part *parts)
{
    struct map names;
    size_t endpoints_n = 0;
    int first = 0;

    map_init(&names);
    for (size_t c = 0; c < n; c++) {
        parts[c] = (struct part){.cfg = cfgs[c], .account_number = accounts->number[c], .first = first};
        endpoints_n = number_endpoints(&parts[c], endpoints_n, &names, n == 1);
        first += (int)cfgs[c]->models_n;
    }
    map_fini(&names);
    return endpoints_n;
}

static void share_all(const struct config *const *cfgs, size_t n, const struct accounts *accounts,
                      int *parent)
{
    struct part *parts = mem_zalloc((n + 1) * sizeof *parts);
    int *by_endpoint = filled(make_parts(cfgs, n, accounts, parts), -1);
    int *by_account = filled(accounts->n, -1);

    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < cfgs[c]->models_n; i++)
            share_targets(&parts[c], (int)i, parent, by_endpoint, by_account);
        mem_free(parts[c].endpoint_number);
    }
    mem_free(parts);
    mem_free(by_endpoint);
    mem_free(by_account);
}

size_t groups_of_all(const struct config *const *cfgs, size_t n, const struct accounts *accounts,
                     int *group_of)
{
    size_t models_n = 0, groups_n = 0;

    for (size_t c = 0; c < n; c++)
        models_n += cfgs[c]->models_n;

    int *parent = filled(models_n, 0);

    for (size_t i = 0; i < models_n; i++)
        parent[i] = (int)i;
    share_all(cfgs, n, accounts, parent);
    for (size_t i = 0; i < models_n; i++) {
        int root = root_of(parent, (int)i);
        group_of[i] = root == (int)i ? (int)groups_n++ : group_of[root];
    }
    mem_free(parent);
    return groups_n;
}

size_t groups_of_models(const struct config *cfg, int *group_of)
{
    struct accounts accounts;
    size_t n;

    accounts_init(&accounts, &cfg, 1);
    n = groups_of_all(&cfg, 1, &accounts, group_of);
    accounts_fini(&accounts);
    return n;
}
