/* SPDX-License-Identifier: MIT */
/* The hash table.
 *
 * Invariants: cap is 0 or a power of two, at most three quarters are filled, and no slot between a key's home
 * and the key is empty; a removal moves later keys back instead of leaving a tombstone (Knuth, volume 3, 6.4,
 * R). The seed comes from the kernel, so that nobody outside can choose keys that collide. */
#include "base/map.h"

#include "base/assert.h"
#include "base/id.h"
#include "base/mem.h"

#define FIRST_CAP 16

void map_init(struct map *m)
{
    *m = (struct map){0};
    rng_secret_bytes(&m->seed, sizeof(m->seed));
}

void map_fini(struct map *m)
{
    mem_free(m->slots);
    *m = (struct map){.seed = m->seed};
}

/* The slot of the key, or the empty one where it would go. */
static size_t probe(const struct map *m, struct slice key, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);

    while (m->slots[i].value && !(m->slots[i].hash == hash && slice_eq(m->slots[i].key, key)))
        i = (i + 1) & (m->cap - 1);
    return i;
}

static void grow(struct map *m)
{
    struct map_slot *old = m->slots;
    size_t old_cap = m->cap;

    m->cap = old_cap ? old_cap * 2 : FIRST_CAP;
    m->slots = mem_zalloc(m->cap * sizeof(*m->slots));
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].value)
            m->slots[probe(m, old[i].key, old[i].hash)] = old[i];
    }
    mem_free(old);
}

void *map_find(const struct map *m, struct slice key)
{
    if (m->n == 0)
        return NULL;
    return m->slots[probe(m, key, id_hash(key, m->seed))].value;
}

void *map_put(struct map *m, struct slice key, void *value)
{
    ASSERT(value);
    if ((m->n + 1) * 4 > m->cap * 3)
        grow(m);
    uint64_t hash = id_hash(key, m->seed);
    struct map_slot *slot = &m->slots[probe(m, key, hash)];
    void *old = slot->value;

    m->n += old ? 0 : 1;
    *slot = (struct map_slot){key, value, hash}; /* the old key may die with the old value */
    return old;
}

/* Whether a key whose home is `home` may not stay at `at` when `hole`, before it, is emptied. */
static bool must_move(const struct map *m, size_t hole, size_t at, size_t home)
{
    return ((at - home) & (m->cap - 1)) >= ((at - hole) & (m->cap - 1));
}

void *map_remove(struct map *m, struct slice key)
{
    if (m->n == 0)
        return NULL;
    size_t mask = m->cap - 1, hole = probe(m, key, id_hash(key, m->seed));
    void *value = m->slots[hole].value;

    if (!value)
        return NULL;
    for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        if (must_move(m, hole, i, m->slots[i].hash & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){0};
    m->n--;
    return value;
}
