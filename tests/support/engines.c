/* SPDX-License-Identifier: MIT */
/* Engines with a queue and a cache. */
#include "support/engines.h"

#include "base/mem.h"

void engine_init(struct engine *e, double token_us, size_t blocks_max, uint32_t ids_n)
{
    *e = (struct engine){.token_us = token_us, .blocks_max = blocks_max, .ids_n = ids_n};
    e->older = mem_zalloc((ids_n + 1) * sizeof *e->older);
    e->newer = mem_zalloc((ids_n + 1) * sizeof *e->newer);
    e->is_held = mem_zalloc(ids_n);
    e->older[ids_n] = e->newer[ids_n] = ids_n;
}

void engine_fini(struct engine *e)
{
    mem_free(e->older);
    mem_free(e->newer);
    mem_free(e->is_held);
}

size_t engine_hits(const struct engine *e, const uint32_t *blocks, size_t n)
{
    size_t hits = 0;

    while (hits < n && e->is_held[blocks[hits]])
        hits++;
    return hits;
}

static void unlink_block(struct engine *e, uint32_t id)
{
    e->newer[e->older[id]] = e->newer[id];
    e->older[e->newer[id]] = e->older[id];
    e->is_held[id] = 0;
    e->blocks_n--;
}

static void touch(struct engine *e, uint32_t id)
{
    if (e->is_held[id])
        unlink_block(e, id);
    e->older[id] = e->older[e->ids_n];
    e->newer[id] = e->ids_n;
    e->newer[e->older[id]] = id;
    e->older[e->ids_n] = id;
    e->is_held[id] = 1;
    e->blocks_n++;
    if (e->blocks_n > e->blocks_max)
        unlink_block(e, e->newer[e->ids_n]);
}

int64_t engine_send(struct engine *e, const uint32_t *blocks, size_t n, int64_t new_tokens, int64_t now_us)
{
    for (size_t i = n; i-- > 0;) /* the end of a prompt is the first to go */
        touch(e, blocks[i]);
    if (e->free_us < now_us)
        e->free_us = now_us;
    e->free_us += (int64_t)((double)new_tokens * e->token_us);
    return e->free_us;
}
