/* SPDX-License-Identifier: MIT */
/* Which models of a line compete for the same slots: their tenants have their shares in common.
 *
 * Models of one account that have slots of their own there are in one line and yet never wait for each
 * other. A time common to both would go at the pace of the busier one, and past everybody who waits for the
 * other; so each has its own. */
#include "base/assert.h"
#include "base/mem.h"
#include "policy/line_private.h"

static uint32_t root_of(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

static void join(uint32_t *parent, uint32_t a, uint32_t b)
{
    parent[root_of(parent, a)] = root_of(parent, b);
}

static void join_range(const struct line *l, uint32_t model, struct slots_range r, uint32_t *parent)
{
    for (int k = r.first; k < r.first + r.n; k++) {
        if (k != SLOTS_UNLIMITED)
            join(parent, model, (uint32_t)(l->models_n + (size_t)k));
    }
}

static void join_model(const struct line *l, uint32_t model, uint32_t *parent)
{
    const struct line_model *m = &l->models[model];

    for (size_t i = 0; i < m->targets_n; i++) {
        const struct line_target *t = &m->targets[i];

        join_range(l, model, t->fixed ? (struct slots_range){t->counter, 1} : t->account, parent);
        join_range(l, model, t->fixed ? (struct slots_range){t->own, 1} : t->owns, parent);
    }
}

void line_make_domains(struct line *l)
{
    size_t n = l->models_n + l->slots.counters_n;
    uint32_t *parent = mem_zalloc((n + 1) * sizeof *parent), *number = mem_zalloc((n + 1) * sizeof *number);

    for (uint32_t i = 0; i < n; i++)
        parent[i] = i;
    for (uint32_t i = 0; i < l->models_n; i++)
        join_model(l, i, parent);
    for (uint32_t i = 0; i < l->models_n; i++) {
        uint32_t root = root_of(parent, i);

        if (number[root] == 0)
            number[root] = (uint32_t)++l->domains_n;
        l->models[i].domain = number[root] - 1;
    }
    l->shares = mem_zalloc((l->domains_n + 1) * sizeof *l->shares);
    for (size_t i = 0; i < l->domains_n; i++)
        fair_shares_init(&l->shares[i], l->tenants_n);
    mem_free(parent);
    mem_free(number);
}

void line_free_domains(struct line *l)
{
    for (size_t i = 0; i < l->domains_n; i++)
        fair_shares_fini(&l->shares[i]);
    mem_free(l->shares);
}
