/* SPDX-License-Identifier: MIT */
/* The section `keys`: who may call, how urgent his requests may be, for which models, and how
 * much. */
#include "config/draft.h"

#include <stdio.h>

#include "base/assert.h"
#include "config/fields.h"
#include "config/limits.h"
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
        char shown[NODE_SHOW_BYTES];
        struct slice name;

        if (!value_model(d->notes, child, &name))
            continue;
        models[i] = models_find(d, name, node_show(child, shown), child->at, "allow");
        if (models[i] >= 0)
            i++;
    }
    key->models = models;
    key->models_n = i;
}

static void read_limits(struct draft *d, const struct node *n, void *into)
{
    limits_read_key(d, n, into);
}

static void read_sensitive(struct draft *d, const struct node *n, void *into)
{
    routing_read_sensitive(d, n, &((struct config_key *)into)->sensitive);
}

static const struct field fields[] = {
    {"name", read_name, NULL, true},          {"key", read_secret, NULL, true},
    {"priority", read_priority, NULL, false}, {"models", read_models, NULL, false},
    {"limits", read_limits, NULL, false},     {"sensitive", read_sensitive, NULL, false},
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
        if (fields_read(d, n, "a key", fields, COUNT_OF(fields), &keys[i]))
            limits_check_key(d, n, &keys[i]);
    }
}
