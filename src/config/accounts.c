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

static void read_slots(struct draft *d, const struct node *n, void *into)
{
    struct config_account *account = into;
    struct config_slots *slots;
    size_t i = 0;

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
        if (!value_count(d->notes, child, (struct value_bounds){1, SLOTS_MAX}, &count))
            continue;
        slots[i++] = (struct config_slots){arena_dup(d->arena, child->key), (int)count};
    }
    account->slots = slots;
    account->slots_n = i;
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

/* Without slots an account that learns has one counter for all its models, and no cap. */
static void complete(struct draft *d, const struct node *n, struct config_account *account)
{
    static const struct config_slots ANY = {{"*", 1}, 0};

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
