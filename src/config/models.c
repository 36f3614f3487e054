/* SPDX-License-Identifier: MIT */
/* The section `models`: the names that clients use, and the table that finds them. */
#include "config/draft.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "config/aliases.h"
#include "config/fields.h"
#include "config/limits.h"
#include "config/nearest.h"
#include "config/tiers.h"
#include "config/value.h"

static void read_name(struct draft *d, const struct node *n, void *into)
{
    struct config_model *m = into;
    struct slice name;

    if (!value_model(d->notes, n, &name))
        return;
    m->name = arena_dup(d->arena, name);
    if (slice_find(name, SLICE("*")) >= 0 && !slice_eq(name, SLICE("*")))
        notes_error(
            d->notes, n->at,
            "name: %.*s is no pattern; the only wildcard is \"*\" alone, for every name that is not listed",
            SLICE_ARG(name));
}

static void read_deadline(struct draft *d, const struct node *n, void *into)
{
    struct config_model *m = into;
    struct value_bounds bounds = {CLOCK_MS_US, 86400 * CLOCK_SECOND_US};
    int64_t us;

    if (value_duration(d->notes, n, bounds, &us))
        m->deadline_us = us;
}

static void read_spill_after(struct draft *d, const struct node *n, void *into)
{
    struct config_model *m = into;
    struct value_bounds bounds = {0, 86400 * CLOCK_SECOND_US};
    int64_t us;

    if (!value_duration(d->notes, n, bounds, &us))
        return;
    m->spill_after_us = us;
    if (m->tiers && m->tiers_n < 2)
        notes_warning(d->notes, n->at, "spill_after has no effect: this model has one tier");
}

static void read_limits(struct draft *d, const struct node *n, void *into)
{
    struct config_model *m = into;

    limits_read_model(d, n, &m->limits);
}

static void read_sensitive(struct draft *d, const struct node *n, void *into)
{
    routing_read_sensitive(d, n, &((struct config_model *)into)->sensitive);
}

/* They name keys, which are not known yet: routing_read reads them. */
static void read_rules_later(struct draft *d, const struct node *n, void *into)
{
    (void)d;
    (void)n;
    (void)into;
}

static const struct field fields[] = {
    {"name", read_name, NULL, true},          {"aliases", aliases_read, NULL, false},
    {"tiers", tiers_read, NULL, true},        {"deadline", read_deadline, NULL, false},
    {"limits", read_limits, NULL, false},     {"sensitive", read_sensitive, NULL, false},
    {"rules", read_rules_later, NULL, false}, {"spill_after", read_spill_after, NULL, false},
};

/* Enters a name into the table; a name that is there already is an error at `at`. */
static void enter(struct draft *d, struct slice name, int model, const struct config_alias *alias,
                  struct place at)
{
    const struct snapshot_name *old = map_find(&d->snapshot->names, name);
    struct snapshot_name *entry;
    char shown[NODE_SHOW_BYTES];

    if (old) {
        notes_error(d->notes, at, "the name \"%s\" is taken by %s %.*s", node_show_text(name, shown),
                    old->alias ? "an alias of model" : "model",
                    SLICE_ARG(d->config->models[old->model].name));
        return;
    }
    entry = ARENA_NEW(d->arena, struct snapshot_name);
    *entry = (struct snapshot_name){model, alias};
    map_put(&d->snapshot->names, name, entry);
}

static void enter_model(struct draft *d, int i, const struct node *n)
{
    const struct config_model *m = &d->config->models[i];
    const struct node *name = node_find(n, "name");

    if (!m->name.p)
        return;
    if (!slice_eq(m->name, SLICE("*"))) {
        enter(d, m->name, i, NULL, name->at);
        return;
    }
    if (d->config->wildcard >= 0)
        notes_error(d->notes, name->at, "the name \"*\" stands here for the second time");
    else
        d->config->wildcard = i;
    if (m->aliases_n > 0)
        notes_error(d->notes, node_find(n, "aliases")->at,
                    "the model \"*\" takes every name and has no aliases");
}

static void enter_aliases(struct draft *d, int i, const struct node *n)
{
    const struct config_model *m = &d->config->models[i];
    const struct node *aliases = node_find(n, "aliases");
    size_t j = 0;

    if (!m->aliases || slice_eq(m->name, SLICE("*")))
        return;
    for (const struct node *a = aliases->first; a && j < m->aliases_n; a = a->next, j++) {
        if (m->aliases[j].name.p)
            enter(d, m->aliases[j].name, i, &m->aliases[j], a->at);
    }
}

void models_read(struct draft *d)
{
    struct config_model *models;
    size_t i = 0;
    int k = 0;

    if (!d->models || !fields_list(d, d->models, DRAFT_MODELS_MAX, "of {name, tiers}"))
        return;
    models = arena_zalloc(d->arena, d->models->n * sizeof(*models));
    d->config->models = models;
    d->config->models_n = d->models->n;
    for (const struct node *n = d->models->first; n; n = n->next, i++) {
        models[i].deadline_us = d->config->opt.deadline_us;
        models[i].spill_after_us = CLOCK_NEVER_US;
        fields_read(d, n, "a model", fields, COUNT_OF(fields), &models[i]);
    }
    /* Models first, so that an alias that has a model's name is the one to be complained about. */
    for (const struct node *n = d->models->first; n; n = n->next)
        enter_model(d, k++, n);
    k = 0;
    for (const struct node *n = d->models->first; n; n = n->next)
        enter_aliases(d, k++, n);
}

int models_find(struct draft *d, struct slice name, const char *shown, struct place at, const char *verb)
{
    const struct snapshot_name *found = map_find(&d->snapshot->names, name);
    char unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;

    if (slice_eq(name, SLICE("*")) && d->config->wildcard >= 0)
        return d->config->wildcard;
    if (found && !found->alias)
        return found->model;
    if (found) {
        notes_error(d->notes, at, "\"%s\" is an alias; %s its model, %.*s", shown, verb,
                    SLICE_ARG(d->config->models[found->model].name));
        return -1;
    }
    nearest_init(&near, name);
    for (size_t i = 0; i < d->config->models_n; i++) {
        if (!d->config->models[i].name.p || notes_is_full(d->notes))
            return -1; /* that name was complained about, and may be the one that is meant */
        nearest_try(&near, d->config->models[i].name);
    }
    snprintf(unknown, sizeof(unknown), "unknown model \"%s\"", shown);
    nearest_complain(&near, d->notes, at, unknown);
    return -1;
}
