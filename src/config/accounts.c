/* SPDX-License-Identifier: MIT */
/* The section `accounts`: what providers count against. */
#include "config/draft.h"

#include "base/assert.h"
#include "config/fields.h"
#include "config/value.h"

#define SLOTS_MAX 1000000 /* calls in flight */

static void read_name(struct draft *d, const struct node *n, void *into)
{
    struct config_account *account = into;
    struct slice name;

    if (value_name(d->notes, n, &name))
        account->name = arena_dup(d->arena, name).p;
}

static const struct value_bounds SLOTS_BOUNDS = {1, SLOTS_MAX};

/* A number is one counter for all models. */
static size_t read_number(struct draft *d, const struct node *n, const struct config_slots **slots)
{
    struct config_slots *any = ARENA_NEW(d->arena, struct config_slots);
    int64_t count;

    if (!value_count(d->notes, n, SLOTS_BOUNDS, &count))
        return 0;
    *any = (struct config_slots){SLICE("*"), (int)count};
    *slots = any;
    return 1;
}

void accounts_read_slots(struct draft *d, const struct node *n, bool number, const struct config_slots **out,
                         size_t *out_n)
{
    struct config_slots *slots;
    size_t i = 0;

    if (number && n->kind == NODE_TEXT && !node_is_empty(n)) {
        *out_n = read_number(d, n, out);
        return;
    }
    if (!value_is(d->notes, n, NODE_MAP, "{MODEL: NUMBER}"))
        return;
    if (n->n == 0) {
        notes_error(d->notes, n->at, "slots is empty; write {MODEL: NUMBER}, with \"*\" for any model");
        return;
    }
    slots = arena_zalloc(d->arena, n->n * sizeof(*slots));
    for (const struct node *child = n->first; child; child = child->next) {
        int64_t count;

        if (child->key.n == 0 || child->key.n > 256)
            notes_error(d->notes, child->key_at, "a model's name has 1 to 256 bytes");
        if (!value_count(d->notes, child, SLOTS_BOUNDS, &count))
            continue;
        slots[i++] = (struct config_slots){arena_dup(d->arena, child->key), (int)count};
    }
    *out = slots;
    *out_n = i;
}

static void read_slots(struct draft *d, const struct node *n, void *into)
{
    struct config_account *account = into;

    accounts_read_slots(d, n, false, &account->slots, &account->slots_n);
}

static void read_learn(struct draft *d, const struct node *n, void *into)
{
    struct config_account *account = into;
    int64_t learn;

    if (value_bool(d->notes, n, &learn))
        account->learn = learn != 0;
}

static const struct field fields[] = {
    {"name", read_name, NULL, true},
    {"slots", read_slots, NULL, false},
    {"learn", read_learn, NULL, false},
};

/* One counter for all models, of a number that nobody has said. */
static const struct config_slots ANY = {{"*", 1}, 0};

/* Without slots an account that learns has that, and no cap. */
static void complete(struct draft *d, const struct node *n, struct config_account *account)
{
    if (account->slots_n > 0 || d->notes->errors_n > 0)
        return;
    if (!account->learn) {
        notes_error(d->notes, n->at,
                    "this account has no slots; write slots: {MODEL: NUMBER}, or learn: true");
        return;
    }
    account->slots = &ANY;
    account->slots_n = 1;
}

void accounts_read(struct draft *d)
{
    struct config_account *accounts;
    size_t i = 0;

    if (!d->accounts || !fields_list(d, d->accounts, DRAFT_ACCOUNTS_MAX, "of {name, slots}"))
        return;
    accounts = arena_zalloc(d->arena, d->accounts->n * sizeof(*accounts));
    d->config->accounts = accounts;
    d->config->accounts_n = d->accounts->n;
    for (const struct node *n = d->accounts->first; n; n = n->next, i++) {
        fields_read(d, n, "an account", fields, COUNT_OF(fields), &accounts[i]);
        complete(d, n, &accounts[i]);
    }
}

void accounts_add_own(struct draft *d)
{
    struct config *c = d->config;
    struct config_endpoint *e = (struct config_endpoint *)(uintptr_t)c->endpoints;
    struct config_account *all = arena_zalloc(d->arena, (c->accounts_n + c->endpoints_n) * sizeof(*all));

    for (size_t i = 0; i < c->accounts_n; i++)
        all[i] = c->accounts[i];
    for (size_t i = 0; i < c->endpoints_n; i++) {
        bool told = e[i].signals && e[i].provider != PROVIDER_VLLM; /* which does not say how many it has */

        if (e[i].slots_n == 0 && (e[i].learn || told)) {
            e[i].slots = &ANY;
            e[i].slots_n = 1;
        }
        if (e[i].slots_n == 0)
            continue;
        e[i].own = (int)c->accounts_n + 1;
        all[c->accounts_n++] =
            (struct config_account){.name = arena_printf(d->arena, "endpoint:%s", e[i].name).p,
                                    .learn = e[i].learn,
                                    .slots = e[i].slots,
                                    .slots_n = e[i].slots_n};
    }
    c->accounts = all;
}
