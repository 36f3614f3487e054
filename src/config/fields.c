/* SPDX-License-Identifier: MIT */
/* Walks a mapping along a table of fields: the one place that decides what an unknown or missing key means.
 * */
#include "config/fields.h"

#include <stdio.h>

#include "config/draft.h"
#include "config/nearest.h"
#include "config/value.h"

static const struct field *find(const struct field *table, size_t table_n, struct slice key)
{
    for (size_t i = 0; i < table_n; i++) {
        if (slice_eq(slice_of(table[i].name), key))
            return &table[i];
    }
    return NULL;
}

static void complain_unknown(struct draft *d, const struct node *child, const struct field *table,
                             size_t table_n)
{
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;

    nearest_init(&near, child->key);
    for (size_t i = 0; i < table_n; i++) {
        if (!table[i].later)
            nearest_try(&near, slice_of(table[i].name));
    }
    node_show_key(child->key, shown);
    if (shown[0] == '"')
        snprintf(unknown, sizeof(unknown), "unknown key %s", shown);
    else
        snprintf(unknown, sizeof(unknown), "unknown key");
    nearest_complain(&near, d->notes, child->key_at, unknown);
}

bool fields_read(struct draft *d, const struct node *n, const char *what, const struct field *table,
                 size_t table_n, void *into)
{
    if (n->bad)
        return false;
    if (n->kind != NODE_MAP) {
        notes_error(d->notes, n->at, "%s must be a mapping, this is %s", what, node_kind_name(n));
        return false;
    }
    for (const struct node *child = n->first; child; child = child->next) {
        const struct field *f = find(table, table_n, child->key);

        if (!f)
            complain_unknown(d, child, table, table_n);
        else if (f->later)
            notes_error(d->notes, child->key_at, "%s", f->later);
        else if (!child->bad)
            f->read(d, child, into);
    }
    for (size_t i = 0; i < table_n; i++) {
        if (table[i].required && !node_find(n, table[i].name))
            notes_error(d->notes, n->at, "%s needs \"%s\"", what, table[i].name);
    }
    return true;
}

bool fields_list(struct draft *d, const struct node *n, size_t max, const char *example)
{
    if (!value_is(d->notes, n, NODE_LIST, example))
        return false;
    if (n->n <= max)
        return true;
    notes_error(d->notes, n->at, "%.*s can have at most %zu elements, this has %zu", SLICE_ARG(n->label), max,
                n->n);
    return false;
}
