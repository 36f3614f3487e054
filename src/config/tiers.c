/* SPDX-License-Identifier: MIT */
/* Reads tiers: a list of lists of {endpoint, weight, model}. */
#include "config/tiers.h"

#include <stdio.h>

#include "base/assert.h"
#include "config/fields.h"
#include "config/nearest.h"
#include "config/prices.h"
#include "config/value.h"

#define WEIGHT_MAX 1000000

static const char *const shape = "of lists: [[{endpoint: NAME}]]";

/* Whether to say nothing of an unknown name: there are no endpoints, or one whose own name could not be
 * read, and that was said already. */
static bool is_excused(const struct config *c)
{
    for (size_t i = 0; i < c->endpoints_n; i++) {
        if (!c->endpoints[i].name)
            return true;
    }
    return c->endpoints_n == 0;
}

static void read_endpoint(struct draft *d, const struct node *n, void *into)
{
    struct config_target *t = into;
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;
    struct slice name;

    if (!value_name(d->notes, n, &name))
        return;
    for (size_t i = 0; i < d->config->endpoints_n; i++) {
        const char *known = d->config->endpoints[i].name;

        if (known && slice_eq(slice_of(known), name)) {
            t->endpoint = (int)i;
            return;
        }
    }
    if (is_excused(d->config) || notes_is_full(d->notes))
        return;
    nearest_init(&near, name);
    for (size_t i = 0; i < d->config->endpoints_n; i++)
        nearest_try(&near, slice_of(d->config->endpoints[i].name));
    snprintf(unknown, sizeof(unknown), "unknown endpoint \"%s\"", node_show(n, shown));
    nearest_complain(&near, d->notes, n->at, unknown);
}

static void read_weight(struct draft *d, const struct node *n, void *into)
{
    struct config_target *t = into;
    int64_t weight;

    if (value_count(d->notes, n, (struct value_bounds){1, WEIGHT_MAX}, &weight))
        t->weight = (int)weight;
}

static void read_model(struct draft *d, const struct node *n, void *into)
{
    struct config_target *t = into;
    struct slice name;

    if (!value_model(d->notes, n, &name))
        return;
    if (slice_eq(name, SLICE("*")))
        notes_error(d->notes, n->at,
                    "model is the name sent to the endpoint; leave it out to pass names through");
    else
        t->model = arena_dup(d->arena, name);
}

static void read_price(struct draft *d, const struct node *n, void *into)
{
    prices_read(d, n, &((struct config_target *)into)->price);
}

static const struct field fields[] = {
    {"endpoint", read_endpoint, NULL, true},
    {"weight", read_weight, NULL, false},
    {"model", read_model, NULL, false},
    {"price", read_price, NULL, false},
};

/* All entries have a weight, or none: a share next to no share has no meaning. */
static void check_weights(struct draft *d, const struct node *tier)
{
    const struct node *without = NULL;
    size_t with_n = 0;

    for (const struct node *n = tier->first; n; n = n->next) {
        if (node_find(n, "weight"))
            with_n++;
        else if (!without)
            without = n;
    }
    if (with_n > 0 && without)
        notes_error(d->notes, without->at,
                    "this entry has no weight, others of its tier have: give all or none");
}

static void read_tier(struct draft *d, const struct node *n, struct config_tier *tier)
{
    struct config_target *targets;
    size_t i = 0;

    if (!value_is(d->notes, n, NODE_LIST, shape))
        return;
    if (n->n == 0) {
        notes_error(d->notes, n->at, "this tier is empty; it needs at least one {endpoint: NAME}");
        return;
    }
    targets = arena_zalloc(d->arena, n->n * sizeof(*targets));
    tier->targets = targets;
    tier->targets_n = n->n;
    for (const struct node *child = n->first; child; child = child->next) {
        targets[i].endpoint = -1;
        fields_read(d, child, "an entry of a tier", fields, COUNT_OF(fields), &targets[i++]);
    }
    check_weights(d, n);
}

void tiers_read(struct draft *d, const struct node *n, void *model)
{
    struct config_model *m = model;
    struct config_tier *tiers;
    size_t i = 0, targets_n = 0;

    if (!value_is(d->notes, n, NODE_LIST, shape))
        return;
    if (n->n == 0) {
        notes_error(d->notes, n->at, "tiers is empty; write [[{endpoint: NAME}]]");
        return;
    }
    for (const struct node *child = n->first; child; child = child->next)
        targets_n += child->kind == NODE_LIST && child->n > 0 ? child->n : 1;
    if (targets_n > DRAFT_TARGETS_MAX) {
        notes_error(d->notes, n->at, "a model can have at most %d entries in its tiers, this one has %zu",
                    DRAFT_TARGETS_MAX, targets_n);
        return;
    }
    tiers = arena_zalloc(d->arena, n->n * sizeof(*tiers));
    m->tiers = tiers;
    m->tiers_n = n->n;
    for (const struct node *child = n->first; child; child = child->next)
        read_tier(d, child, &tiers[i++]);
}
