/* SPDX-License-Identifier: MIT */
/* The summary of a schedule against what stands in the trace. */
#include "load/preview.h"

#include "base/assert.h"
#include "base/clock.h"
#include "support/samples.h"
#include "tap.h"

static struct preview preview;

static void look(const struct trace *t, const struct source_opts *more, uint64_t max_n)
{
    struct source_opts o = *more;
    const char *why = "";
    struct source *s;

    o.speed = o.scale = 1;
    o.prompt.median = 100;
    o.prompt_max = 1000000;
    o.duration_us = CLOCK_NEVER_US;
    o.traces = &t;
    o.traces_n = t != NULL;
    o.shared_kinds = 1;
    s = source_new(&o, &why);
    preview_look(&preview, s, max_n);
    source_free(&s);
}

TEST(equal_gaps)
{
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 101}, UINT64_MAX);
    CHECK_INT(preview.requests_n, 101);
    CHECK(preview.gap_mean_us == 100000 && preview.gap_cv < 1e-6);
    CHECK_INT(preview.last_us, 10 * CLOCK_SECOND_US);
    CHECK_INT(preview.busiest_n, 10);
    CHECK_INT(preview.prompt.max_us, 100);
    CHECK_INT(preview.answer.hist.n, 0);
    CHECK(!preview.cut);
}

TEST(more_than_is_looked_at)
{
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 101}, 100);
    CHECK_INT(preview.requests_n, 100);
    CHECK(preview.cut);
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 101}, 101);
    CHECK(!preview.cut);
}

TEST(nothing_and_one)
{
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 0}, 100);
    CHECK_INT(preview.requests_n, 0);
    CHECK(preview.gap_cv == 0 && !preview.cut);
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 1}, 100);
    CHECK_INT(preview.requests_n, 1);
    CHECK(preview.gap_mean_us == 0);
}

TEST(blocks_that_were_seen_before)
{
    static struct trace_row rows[] = {{0, 1500, 1, 3, 0}, {5, 1500, 1, 3, 3}};
    static uint32_t blocks[] = {0, 1, TRACE_BLOCK_ID_MAX, 0, 1, 2};
    struct trace t = {.format = TRACE_MOONCAKE, .rows = rows, .rows_n = 2, .blocks = blocks, .blocks_n = 6};

    look(&t, &(struct source_opts){.limit = 100, .stream_share = 1}, 100);
    CHECK_INT(preview.blocks_n, 6);
    CHECK_INT(preview.blocks_old_n, 2);
    CHECK_INT(preview.streams_n, 2);
}

TEST(the_azure_sample)
{
    struct trace_fault bad;
    struct trace *t = samples_trace("azure2023_conv_10min.csv", &bad);
    uint64_t prompts = 0, answers = 0;

    if (!CHECK(t != NULL))
        return;
    for (size_t i = 0; i < t->rows_n; i++) {
        prompts += t->rows[i].prompt_tokens;
        answers += t->rows[i].answer_tokens;
    }
    look(t, &(struct source_opts){.limit = UINT64_MAX}, UINT64_MAX);
    CHECK_INT(preview.requests_n, t->rows_n);
    CHECK_INT(preview.prompt.hist.sum, prompts);
    CHECK_INT(preview.answer.hist.sum, answers);
    CHECK_INT(preview.last_us, t->rows[t->rows_n - 1].at_us);
    trace_free(&t);
}
