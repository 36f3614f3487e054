/* SPDX-License-Identifier: MIT */
/* Where the gateway is (`region`) and how far the regions are from each other (`regions`). What comes of it
 * is a distance for each endpoint, as seen from here. */
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "config/draft.h"
#include "config/value.h"

#define UNKNOWN_US (150 * CLOCK_MS_US) /* across an ocean */
#define DISTANCE_MAX_US (60 * CLOCK_SECOND_US)

void regions_read_own(struct draft *d, const struct node *n, void *unused)
{
    struct slice name;

    (void)unused;
    if (value_name(d->notes, n, &name))
        d->config->region = arena_dup(d->arena, name).p;
}

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
              c == '_' || c == '-'))
            return false;
    }
    return s.n > 0 && s.n <= 64;
}

static bool is_region(const struct config *c, struct slice name)
{
    if (c->region && slice_eq(slice_of(c->region), name))
        return true;
    for (size_t i = 0; i < c->endpoints_n; i++) {
        if (c->endpoints[i].region && slice_eq(slice_of(c->endpoints[i].region), name))
            return true;
    }
    return false;
}

/* A name that nobody has is a mistyped one, or a region yet to come. */
static void check_name(struct draft *d, const struct node *n)
{
    char shown[NODE_SHOW_BYTES];

    if (!is_name(n->key))
        notes_error(d->notes, n->key_at,
                    "a region's name has letters, digits, '.', '_' and '-' only, at most 64");
    else if (d->notes->errors_n == 0 && !is_region(d->config, n->key))
        notes_warning(d->notes, n->key_at, "nothing is in the region \"%s\"", node_show_text(n->key, shown));
}

/* How far it says that `to` is from `from`; below 0: it does not say. Notes what is wrong once, for from
 * NULL. */
static int64_t look_up(struct draft *d, const char *from, const char *to)
{
    const struct node *row = node_find(d->regions, from), *cell;
    int64_t us;

    cell = row && row->kind == NODE_MAP ? node_find(row, to) : NULL;
    if (cell && value_duration(d->notes, cell, (struct value_bounds){0, DISTANCE_MAX_US}, &us))
        return us;
    return -1;
}

static void check_table(struct draft *d)
{
    for (const struct node *row = d->regions->first; row; row = row->next) {
        int64_t us;

        check_name(d, row);
        if (!value_is(d->notes, row, NODE_MAP, "{REGION: 100ms}"))
            continue;
        for (const struct node *cell = row->first; cell; cell = cell->next) {
            check_name(d, cell);
            (void)value_duration(d->notes, cell, (struct value_bounds){0, DISTANCE_MAX_US}, &us);
        }
    }
}

/* Written for one direction it counts for the other one too. */
static int64_t distance_us(struct draft *d, const char *there)
{
    const char *here = d->config->region;
    int64_t us = -1;

    if (slice_eq(slice_of(here), slice_of(there)))
        return 0;
    if (d->regions) {
        us = look_up(d, here, there);
        us = us < 0 ? look_up(d, there, here) : us;
    }
    return us < 0 ? UNKNOWN_US : us;
}

static bool is_here(const struct config_endpoint *e)
{
    struct slice host = slice_of(e->host);

    return e->socket != NULL || slice_starts(host, SLICE("127.")) || slice_ieq(host, SLICE("localhost")) ||
           slice_eq(host, SLICE("::1"));
}

void regions_read(struct draft *d)
{
    struct config *c = d->config;
    struct config_endpoint *e = (struct config_endpoint *)(uintptr_t)c->endpoints;
    int errors_n = d->notes->errors_n;

    if (d->regions && !value_is(d->notes, d->regions, NODE_MAP, "{REGION: {REGION: 100ms}}"))
        return;
    if (d->regions)
        check_table(d);
    if (d->notes->errors_n > errors_n || !c->region || c->endpoints_n == 0)
        return;
    for (const struct node *n = d->endpoints->first; n; n = n->next, e++) {
        if (e->region)
            e->distance_us = distance_us(d, e->region);
        else if (e->host && !is_here(e))
            notes_warning(d->notes, n->at, "%s has no region, so it counts as near",
                          e->name ? e->name : "this");
    }
}
