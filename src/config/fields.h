/* SPDX-License-Identifier: MIT */
/* Reads a mapping by a table of its known keys. */
#ifndef CONFIG_FIELDS_H
#define CONFIG_FIELDS_H

#include "config/node.h"

struct draft;

typedef void (*field_read_cb)(struct draft *d, const struct node *value, void *into);

struct field {
    const char *name;
    field_read_cb read;
    const char *later; /* instead of `read`: why the field is refused in this version */
    bool required;
};

/* Calls the reader of each key that stands in `map`; notes unknown keys, fields of later versions and
 * required keys that are missing. `what` names the mapping in messages: "an endpoint". False, with a note,
 * if n is no mapping. */
bool fields_read(struct draft *d, const struct node *n, const char *what, const struct field *table,
                 size_t table_n, void *into);

/* Whether n is a list of at most `max` elements; notes what it should be if not. */
bool fields_list(struct draft *d, const struct node *n, size_t max, const char *example);

#endif
