/* SPDX-License-Identifier: MIT */
/* Accounts by name over several configurations. */
#include "policy/accounts.h"

#include "base/map.h"
#include "base/mem.h"

/* The first configuration's names cannot repeat (config refuses that), so a single one is never searched. */
static void add_config(struct accounts *a, size_t config, const struct config *cfg, struct map *names)
{
    a->number[config] = mem_zalloc((cfg->accounts_n + 1) * sizeof *a->number[config]);
    a->rule[config] = mem_zalloc((cfg->accounts_n + 1) * sizeof(const struct config_account *));
    for (size_t i = 0; i < cfg->accounts_n; i++) {
        const struct config_account *own = &cfg->accounts[i];
        uintptr_t known = config > 0 ? (uintptr_t)map_find(names, slice_of(own->name)) : 0;

        if (known == 0)
            known = ++a->n;
        a->number[config][i] = (int)known - 1;
        a->rule[config][i] = own;
    }
}

static void share_rules(struct accounts *a, const struct config *const *cfgs)
{
    const struct config_account **newest = mem_zalloc((a->n + 1) * sizeof(const struct config_account *));

    for (size_t c = 0; c < a->configs_n; c++) {
        for (size_t i = 0; i < cfgs[c]->accounts_n; i++) {
            const struct config_account **of = &newest[a->number[c][i]];

            if (*of == NULL)
                *of = &cfgs[c]->accounts[i];
            a->rule[c][i] = *of;
        }
    }
    mem_free(newest);
}

void accounts_init(struct accounts *a, const struct config *const *cfgs, size_t n)
{
    struct map names;

    *a = (struct accounts){.configs_n = n};
    a->number = mem_zalloc((n + 1) * sizeof *a->number);
    a->rule = mem_zalloc((n + 1) * sizeof *a->rule);
    map_init(&names);
    for (size_t c = 0; c < n; c++) {
        add_config(a, c, cfgs[c], &names);
        for (size_t i = 0; n > 1 && i < cfgs[c]->accounts_n; i++)
            (void)!map_put(&names, slice_of(cfgs[c]->accounts[i].name),
                           (void *)(uintptr_t)(a->number[c][i] + 1));
    }
    map_fini(&names);
    share_rules(a, cfgs);
}

void accounts_fini(struct accounts *a)
{
    for (size_t c = 0; c < a->configs_n; c++) {
        mem_free(a->number[c]);
        mem_free(a->rule[c]);
    }
    mem_free(a->number);
    mem_free(a->rule);
    *a = (struct accounts){0};
}
