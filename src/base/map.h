/* SPDX-License-Identifier: MIT */
/* Hash table from byte strings to pointers: open addressing, linear probing, XXH3 with a seed of its own. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/slice.h"

struct map_slot {
    struct slice key; /* borrowed: must outlive its entry */
    void *value;      /* NULL: empty */
    uint64_t hash;
};

struct map {
    struct map_slot *slots;
    size_t n, cap;
    uint64_t seed;
};

void map_init(struct map *m);
void map_fini(struct map *m);
void *map_find(const struct map *m, struct slice key); /* NULL when absent */
void *map_put(struct map *m, struct slice key,
              void *value);                        /* returns the old value or NULL; value != NULL */
void *map_remove(struct map *m, struct slice key); /* returns the value or NULL */

#endif
