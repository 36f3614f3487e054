/* SPDX-License-Identifier: MIT */
/* Inference engines as the study of routing models them: each computes prompts one after the other at a fixed
 * speed and holds the blocks of the last prompts in an exact LRU cache. */
#ifndef TESTS_SUPPORT_ENGINES_H
#define TESTS_SUPPORT_ENGINES_H

#include <stddef.h>
#include <stdint.h>

struct engine {
    int64_t free_us; /* when it has computed all that it has got */
    double token_us;
    size_t blocks_n, blocks_max;
    uint32_t ids_n;
    uint32_t *older, *newer; /* by block id; ids_n is the list's head */
    uint8_t *is_held;
};

/* Block ids are below ids_n. */
void engine_init(struct engine *e, double token_us, size_t blocks_max, uint32_t ids_n);
void engine_fini(struct engine *e);
/* How many leading blocks of a prompt it holds. */
size_t engine_hits(const struct engine *e, const uint32_t *blocks, size_t n);
/* Takes a prompt in: it holds its blocks now, and has computed new_tokens more by the time returned. */
int64_t engine_send(struct engine *e, const uint32_t *blocks, size_t n, int64_t new_tokens, int64_t now_us);

#endif
