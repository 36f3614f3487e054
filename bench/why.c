/* SPDX-License-Identifier: MIT */
/* What it costs a request to remember its decisions, in process: the notes of one that was answered at once
 * (chosen, called), of one that moved on between two targets, their record in a worker's ring, and for
 * comparison the words of a record, which nobody pays for but who asks. Prints nanoseconds a request, as the
 * least of some rounds. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gateway/why_ring.h"
#include "gateway/why_text.h"
#include "policy/choose.h"
#include "policy/outcome.h"

#define ROUNDS 99
#define TIMES 2000

static const char YAML[] =
    "listen: 127.0.0.1:1\n"
    "endpoints:\n"
    "  - {name: deepseek, provider: openai, url: 'http://127.0.0.1:2/v1', key: none}\n"
    "  - {name: mirror, provider: openai, url: 'http://127.0.0.1:3/v1', key: none}\n"
    "models: [{name: deepseek-flash, tiers: [[{endpoint: deepseek}], [{endpoint: mirror, model: other}]]}]\n";

struct bench {
    struct config *cfg;
    struct why_rings rings;
    struct why why;
    struct arena arena;
    struct why_source source;
    char record[WHY_RECORD_MAX] __attribute__((aligned(8)));
};

typedef void (*step_cb)(struct bench *b, int i);

static void note_call(struct bench *b, int target, enum outcome o, const struct looks *looks, int i)
{
    int64_t chosen[] = {target, CHOOSE_ONLY, -1}, called[] = {target, o, 200, 210000 + i, 1400000 + i, -1};

    why_note(&b->why, WHY_CHOSEN, 100, chosen, looks);
    why_note(&b->why, WHY_CALLED, 1400100 + i, called, NULL);
}

static void note_plain(struct bench *b, int i)
{
    why_init(&b->why, &b->arena, 0);
    note_call(b, 0, OUTCOME_OK, NULL, i);
}

static void note_fallback(struct bench *b, int i)
{
    static const struct looks LOOKS = {.n = 2,
                                       .at = {{0, LOOK_COST, {5000, 12000, 4000, 125000, 0, 2125000}},
                                              {1, LOOK_COST, {0, 12000, 0, 180000, 4000000, 6000000}}}};

    arena_reset(&b->arena);
    why_init(&b->why, &b->arena, 0);
    note_call(b, 0, OUTCOME_SERVER_BUSY, &LOOKS, i);
    note_call(b, 1, OUTCOME_OK, &LOOKS, i);
}

static void keep(struct bench *b, int i)
{
    b->source.facts.took_us = i;
    why_rings_add(&b->rings, &b->source);
}

static void remember(struct bench *b, int i)
{
    note_plain(b, i);
    keep(b, i);
}

static void tell(struct bench *b, int i)
{
    struct why_record r;
    struct buf out;

    (void)i;
    buf_init(&out, 2 * WHY_LINE_MAX, NULL);
    (void)!why_unpack((struct slice){b->record, why_pack(&b->source, b->record)}, &r);
    (void)!why_line(&r, &out);
    buf_fini(&out);
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
    static struct config_report report;
    static struct bench b;

    if (config_parse(slice_of(YAML), "bench", &config_env_process, &b.cfg, &report) != ERR_OK)
        return 1;
    arena_init(&b.arena, NULL, 0, 4096);
    why_rings_init(&b.rings);
    b.source = (struct why_source){.facts = {.first_us = 210000, .deadline_us = 60000000, .status = 200},
                                   .id = SLICE("req_cSFYONl0M0ndFGAQIre4"),
                                   .key = SLICE("web"),
                                   .model = b.cfg->models[0].name,
                                   .why = &b.why,
                                   .cfg = b.cfg,
                                   .target = &b.cfg->models[0]};
    printf("notes: answered at once %.0f ns, after another %.0f ns\n", least_ns(&b, note_plain),
           least_ns(&b, note_fallback));
    note_plain(&b, 0);
    printf("record into the ring: %.0f ns; both, answered at once: %.0f ns\n", least_ns(&b, keep),
           least_ns(&b, remember));
    note_fallback(&b, 0);
    printf("in words: %.0f ns\n", least_ns(&b, tell));
    why_rings_fini(&b.rings);
    arena_fini(&b.arena);
    config_unref(&b.cfg);
    return 0;
}
