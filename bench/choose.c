/* SPDX-License-Identifier: MIT */
/* What choosing costs in process: hashing a prompt, looking for its beginnings, noting it, and a pick, with 8
 * and with 64 targets. Prints nanoseconds for each, as the least of some rounds. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "policy/choose.h"
#include "policy/prefix.h"

#define ROUNDS 9
#define TIMES 2000
#define PROMPTS 512
#define TEXT_BYTES 49152 /* some 12,000 tokens, the mean of the Mooncake conversations */

struct bench {
    struct prefix *prefix;
    struct prefix_prompt prompts[PROMPTS];
    struct choose_target targets[CHOOSE_MAX];
    struct rng dice;
    char text[TEXT_BYTES];
    size_t targets_n;
    int64_t sum; /* of results, so that none is left out */
};

typedef void (*step_cb)(struct bench *b, int i);

static void hash_prompt(struct bench *b, int i)
{
    struct prefix_prompt *p = &b->prompts[i % PROMPTS];

    prefix_begin(p, (uint64_t)(i % 64), SLICE_NONE); /* sixty-four different beginnings */
    prefix_feed(p, (struct slice){b->text, (size_t)(TEXT_BYTES / 2 + i % PROMPTS * 40)});
}

static void match_prompt(struct bench *b, int i)
{
    int64_t bytes[CHOOSE_MAX];

    prefix_match(b->prefix, &b->prompts[i % PROMPTS], 0, bytes, b->targets_n);
    b->sum += bytes[0];
}

static void note_prompt(struct bench *b, int i)
{
    prefix_note(b->prefix, rng_below(&b->dice, b->targets_n), &b->prompts[i % PROMPTS], 0);
}

static void pick_target(struct bench *b, int i)
{
    static int64_t cached[CHOOSE_MAX];
    struct choose_set set = {b->targets, NULL, b->targets_n, NULL};
    struct choose_ask ask = {UINT64_MAX, 12000, cached, CLOCK_SECOND_US + i};

    b->sum += choose_pick(&set, &ask, &b->dice, NULL);
}

static double least_ns(struct bench *b, step_cb step)
{
    int64_t best_us = INT64_MAX;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t from_us = clock_mono_us(), took_us;

        for (int i = 0; i < TIMES; i++)
            step(b, i);
        took_us = clock_mono_us() - from_us;
        best_us = took_us < best_us ? took_us : best_us;
    }
    return (double)best_us * 1000 / TIMES;
}

int main(void)
{
    struct prefix_opts opts = {1 << 15, 6 << 20, 3600 * CLOCK_SECOND_US};
    struct bench *b = calloc(1, sizeof *b);
    double hash_ns;

    if (b == NULL)
        return 1;
    rng_seed(&b->dice, 1);
    b->prefix = prefix_new(&opts);
    for (int i = 0; i < CHOOSE_MAX; i++) {
        b->targets[i] = (struct choose_target){.queued = (int64_t)rng_below(&b->dice, 50000)};
        b->targets[i].token_ns = 1e5 * (1 + rng_unit(&b->dice));
        if (i % 3 == 0)
            choose_fault(&b->targets[i], 0, 0);
    }
    hash_ns = least_ns(b, hash_prompt);
    printf("hash %.0f ns for %.0f KiB: %.1f ns per KiB\n", hash_ns, (TEXT_BYTES / 2 + PROMPTS * 20) / 1024.0,
           hash_ns / ((TEXT_BYTES / 2 + PROMPTS * 20) / 1024.0));
    for (b->targets_n = 8; b->targets_n <= CHOOSE_MAX; b->targets_n *= 8) {
        double note_ns = least_ns(b, note_prompt), match_ns = least_ns(b, match_prompt);
        printf("%2zu targets: pick %.0f ns, match %.0f ns, note %.0f ns\n", b->targets_n,
               least_ns(b, pick_target), match_ns, note_ns);
    }
    prefix_free(&b->prefix);
    free(b);
    return 0;
}
