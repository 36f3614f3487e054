/* SPDX-License-Identifier: MIT */
/* Reads and prints the options of options.def: one row decides place, kind, default, bounds and manual. */
#include "config/options.h"

#include <stddef.h>
#include <stdio.h>

#include "base/assert.h"
#include "config/nearest.h"
#include "config/value.h"

static const struct option table[] = {
#define OPT(path, field, kind, dflt, min, max, doc) \
    {path, offsetof(struct config_options, field), OPTION_##kind, dflt, min, max, doc},
#include "config/options.def"
#undef OPT
};

const struct option *options_table(size_t *n)
{
    *n = COUNT_OF(table);
    return table;
}

static int64_t *field(struct config_options *o, const struct option *row)
{
    return (int64_t *)(void *)((char *)o + row->offset);
}

int64_t options_get(const struct config_options *o, const struct option *row)
{
    return *(const int64_t *)(const void *)((const char *)o + row->offset);
}

void options_default(struct config_options *o)
{
    for (size_t i = 0; i < COUNT_OF(table); i++)
        *field(o, &table[i]) = table[i].dflt;
}

/* The part of the path behind "SECTION.", or SLICE_NONE for a row of another section. */
static struct slice name_in(const struct option *row, struct slice section)
{
    struct slice rest, head = slice_cut(slice_of(row->path), '.', &rest);

    return slice_eq(head, section) ? rest : SLICE_NONE;
}

static const struct option *find(struct slice section, struct slice name)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct slice known = name_in(&table[i], section);

        if (known.p && slice_eq(known, name))
            return &table[i];
    }
    return NULL;
}

static void read_row(struct draft *d, const struct option *row, const struct node *n)
{
    struct value_bounds bounds = {row->min, row->max};
    int64_t value;
    bool fine = false;

    switch (row->kind) {
    case OPTION_DURATION:
        fine = value_duration(d->notes, n, bounds, &value);
        break;
    case OPTION_SIZE:
        fine = value_size(d->notes, n, bounds, &value);
        break;
    case OPTION_COUNT:
        fine = value_count(d->notes, n, bounds, &value);
        break;
    case OPTION_BOOL:
        fine = value_bool(d->notes, n, &value);
        break;
    }
    if (fine)
        *field(&d->config->opt, row) = value;
}

static void complain_unknown(struct draft *d, struct slice section, const struct node *n)
{
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 64];
    struct nearest near;

    nearest_init(&near, n->key);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct slice known = name_in(&table[i], section);

        if (known.p)
            nearest_try(&near, known);
    }
    snprintf(unknown, sizeof(unknown), "%s is not known in %.*s", node_show_key(n->key, shown),
             SLICE_ARG(section));
    nearest_complain(&near, d->notes, n->key_at, unknown);
}

void options_read(struct draft *d, const struct node *section, void *unused)
{
    (void)unused;
    if (!value_is(d->notes, section, NODE_MAP, ""))
        return;
    if (slice_eq(section->key, SLICE("timeouts")))
        d->timeouts = section;
    else
        d->limits = section;
    for (const struct node *n = section->first; n; n = n->next) {
        const struct option *row = find(section->key, n->key);

        if (row)
            read_row(d, row, n);
        else if (!n->bad)
            complain_unknown(d, section->key, n);
    }
}

const char *options_print(const struct option *row, int64_t value, char out[32])
{
    switch (row->kind) {
    case OPTION_DURATION:
        return value_print_duration(value, out);
    case OPTION_SIZE:
        return value_print_size(value, out);
    case OPTION_COUNT:
        snprintf(out, 32, "%lld", (long long)value);
        return out;
    case OPTION_BOOL:
        break;
    }
    return value ? "true" : "false";
}
