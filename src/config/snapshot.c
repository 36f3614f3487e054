/* SPDX-License-Identifier: MIT */
/* The life of a configuration snapshot and the search for a model in it.
 *
 * Threads: references are counted atomically and may be taken and given on any thread; everything else is
 * written before the first reference leaves config_parse and read-only from then on. */
#include "config/snapshot.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

#define BLOCK_BYTES 8192

struct snapshot *snapshot_new(void)
{
    struct snapshot *s = MEM_NEW(struct snapshot);

    arena_init(&s->arena, NULL, 0, BLOCK_BYTES);
    map_init(&s->names);
    atomic_init(&s->refs, 1);
    s->config.wildcard = -1;
    return s;
}

const struct snapshot *snapshot_of(const struct config *c)
{
    return CONTAINER_OF(c, const struct snapshot, config);
}

/* The arena's bytes are writable; the snapshot is only const for those who use it. */
static void wipe(struct slice secret)
{
    if (secret.n > 0)
        explicit_bzero((char *)secret.p, secret.n);
}

static void wipe_secrets(const struct config *c)
{
    for (size_t i = 0; i < c->keys_n; i++)
        wipe(c->keys[i].secret);
    for (size_t i = 0; i < c->endpoints_n; i++) {
        wipe(c->endpoints[i].secret);
        if (c->endpoints[i].proxy)
            wipe(c->endpoints[i].proxy->authorization);
    }
    for (size_t i = 0; i < c->models_n; i++) {
        for (size_t j = 0; j < c->models[i].aliases_n; j++) {
            const struct config_alias *alias = &c->models[i].aliases[j];

            for (size_t k = 0; k < alias->sets_n; k++)
                wipe(alias->sets[k].json);
        }
    }
}

void config_ref(struct config *c)
{
    struct snapshot *s = CONTAINER_OF(c, struct snapshot, config);
    int before = atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);

    ASSERT(before > 0);
}

void config_unref(struct config **c)
{
    struct snapshot *s;
    int before;

    if (!*c)
        return;
    s = CONTAINER_OF(*c, struct snapshot, config);
    *c = NULL;
    before = atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1)
        return;
    if (s->original)
        config_unref(&s->original); /* what is secret is its own */
    else
        wipe_secrets(&s->config);
    map_fini(&s->names);
    arena_fini(&s->arena);
    mem_free(s);
}

char *config_print(const struct config *c)
{
    struct slice text = snapshot_of(c)->effective;

    return mem_strndup(text.p, text.n);
}

struct config_match config_find_model(const struct config *c, struct slice name)
{
    const struct snapshot_name *found = map_find(&snapshot_of(c)->names, name);

    if (found)
        return (struct config_match){found->model, found->alias, c->models[found->model].name};
    return (struct config_match){c->wildcard, NULL, c->wildcard < 0 ? SLICE_NONE : name};
}
