/* SPDX-License-Identifier: MIT */
/* The section `keys`: who may call, how urgent his requests may be, and for which models. */
#include "config/draft.h"

#include <stdio.h>

#include "base/assert.h"
#include "config/fields.h"
#include "config/nearest.h"
#include "config/secret.h"
#include "config/value.h"

static const char *const priority_names[PRIORITY_N] = {
    [PRIORITY_CRITICAL] = "critical",
    [PRIORITY_HIGH] = "high",
    [PRIORITY_NORMAL] = "normal",
    [PRIORITY_BULK] = "bulk",
};

const char *config_priority_name(enum priority p)
{
    ASSERT(p < PRIORITY_N);
    return priority_names[p];
}

bool config_priority_parse(struct slice s, enum priority *out)
{
    for (int p = 0; p < PRIORITY_N; p++) {
        if (slice_eq(s, slice_of(priority_names[p]))) {
            *out = (enum priority)p;
            return true;
        }
    }
    return false;
}

static void read_name(struct draft *d, const struct node *n, void *into)
{
    struct config_key *key = into;
    struct slice name;

    if (value_name(d->notes, n, &name))
        key->name = arena_dup(d->arena, name).p;
}

static void read_secret(struct draft *d, const struct node *n, void *into)
{
    struct config_key *key = into;
    struct secret secret;

    if (!secret_read(d, n, &secret))
        return;
    if (slice_eq(secret.bytes, SLICE("none")) || slice_eq(secret.bytes, SLICE("client"))) {
        notes_error(d->notes, n->at, "none and client are words for endpoints; a client's key is a secret");
        return;
    }
    key->secret = secret.bytes;
    key->secret_from = secret.from;
}

static void read_priority(struct draft *d, const struct node *n, void *into)
{
    struct config_key *key = into;
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;
    struct slice text;

    if (!value_text(d->notes, n, 64, &text) || config_priority_parse(text, &key->priority))
        return;
    nearest_init(&near, text);
    for (int p = 0; p < PRIORITY_N; p++)
        nearest_try(&near, slice_of(priority_names[p]));
    snprintf(unknown, sizeof(unknown), "unknown priority \"%s\"", node_show(n, shown));
    nearest_complain(&near, d->notes, n->at, unknown);
}

/* The index of the model that a key names, or -1 after a note. */
static int find_model(struct draft *d, const struct node *n, struct slice name)
{
    const struct snapshot_name *found = map_find(&d->snapshot->names, name);
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;

    if (slice_eq(name, SLICE("*")) && d->config->wildcard >= 0)
        return d->config->wildcard;
    if (found && !found->alias)
        return found->model;
    if (found) {
        notes_error(d->notes, n->at, "\"%s\" is an alias; allow its model, %.*s", node_show(n, shown),
                    SLICE_ARG(d->config->models[found->model].name));
        return -1;
    }
    nearest_init(&near, name);
    for (size_t i = 0; i < d->config->models_n; i++) {
        if (!d->config->models[i].name.p || notes_is_full(d->notes))
            return -1; /* that name was complained about, and may be the one that is meant */
        nearest_try(&near, d->config->models[i].name);
    }
    snprintf(unknown, sizeof(unknown), "unknown model \"%s\"", node_show(n, shown));
    nearest_complain(&near, d->notes, n->at, unknown);
    return -1;
}

static void read_models(struct draft *d, const struct node *n, void *into)
{
    struct config_key *key = into;
    int *models;
    size_t i = 0;

    if (!fields_list(d, n, DRAFT_MODELS_MAX, "of names of models"))
        return;
    if (n->n == 0) {
        notes_error(d->notes, n->at, "models is empty; leave it out to allow every model");
        return;
    }
    models = arena_zalloc(d->arena, n->n * sizeof(*models));
    for (const struct node *child = n->first; child; child = child->next) {
        struct slice name;

        if (!value_model(d->notes, child, &name))
            continue;
        models[i] = find_model(d, child, name);
        if (models[i] >= 0)
            i++;
    }
    key->models = models;
    key->models_n = i;
}

static const struct field fields[] = {
    {"name", read_name, NULL, true},
    {"key", read_secret, NULL, true},
    {"priority", read_priority, NULL, false},
    {"models", read_models, NULL, false},
    {"limits", NULL, "limits of keys (limits) come with a later version; leave them out", false},
};

void keys_read(struct draft *d)
{
    struct config_key *keys;
    size_t i = 0;

    if (!d->keys || !fields_list(d, d->keys, DRAFT_KEYS_MAX, "of {name, key}"))
        return;
    keys = arena_zalloc(d->arena, d->keys->n * sizeof(*keys));
    d->config->keys = keys;
    d->config->keys_n = d->keys->n;
    for (const struct node *n = d->keys->first; n; n = n->next, i++) {
        keys[i].priority = PRIORITY_NORMAL;
        fields_read(d, n, "a key", fields, COUNT_OF(fields), &keys[i]);
    }
}
