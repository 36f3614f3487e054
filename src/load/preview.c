/* SPDX-License-Identifier: MIT */
/* The summary of a schedule. Mean and deviation of the gaps grow by Welford's method. */
#include "load/preview.h"

#include <math.h>

#include "base/clock.h"
#include "base/mem.h"

struct looking {
    struct preview *preview;
    uint8_t *seen; /* a bit for each block id */
    int64_t second;
    uint64_t in_second;
    uint64_t gaps_n;
    double mean, squares;
};

static void look_at_time(struct looking *k, int64_t at_us)
{
    struct preview *p = k->preview;
    double gap = (double)(at_us - p->last_us), off = gap - k->mean;

    if (p->requests_n == 0) {
        p->first_us = at_us;
    } else {
        k->gaps_n++;
        k->mean += off / (double)k->gaps_n;
        k->squares += off * (gap - k->mean);
    }
    p->last_us = at_us;
    if (at_us / CLOCK_SECOND_US != k->second) {
        k->second = at_us / CLOCK_SECOND_US;
        k->in_second = 0;
    }
    if (++k->in_second > p->busiest_n) {
        p->busiest_n = k->in_second;
        p->busiest_us = k->second * CLOCK_SECOND_US;
    }
}

static void look_at_blocks(struct looking *k, const struct arrival *a)
{
    if (a->copy > 0) /* its blocks are its own; the shape is that of the first */
        return;
    for (uint32_t i = 0; i < a->blocks_n; i++) {
        uint32_t id = a->blocks[i];
        uint8_t bit = (uint8_t)(1 << id % 8);

        if (k->seen == NULL)
            k->seen = mem_zalloc(TRACE_BLOCK_ID_MAX / 8 + 1);
        k->preview->blocks_n++;
        k->preview->blocks_old_n += (k->seen[id / 8] & bit) != 0;
        k->seen[id / 8] |= bit;
    }
}

static void look_at(struct looking *k, const struct arrival *a)
{
    struct preview *p = k->preview;

    look_at_time(k, a->at_us);
    look_at_blocks(k, a);
    p->requests_n++;
    p->streams_n += a->stream;
    p->shared_n += a->shared >= 0;
    p->leave_n += a->leave_us > 0;
    if (a->class_no != SOURCE_NO_CLASS)
        p->of_class[a->class_no]++;
    tally_add(&p->prompt, a->prompt_tokens);
    if (a->answer_tokens > 0)
        tally_add(&p->answer, a->answer_tokens);
}

void preview_look(struct preview *p, struct source *s, uint64_t max_n)
{
    struct looking k = {.preview = p, .second = -1};
    struct arrival a;

    memset(p, 0, sizeof *p);
    while (p->requests_n < max_n && source_next(s, &a))
        look_at(&k, &a);
    p->cut = p->requests_n == max_n && source_next(s, &a);
    if (k.gaps_n > 1 && k.mean > 0) {
        p->gap_mean_us = k.mean;
        p->gap_cv = sqrt(k.squares / (double)(k.gaps_n - 1)) / k.mean;
    }
    mem_free(k.seen);
}
