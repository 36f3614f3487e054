/* SPDX-License-Identifier: MIT */
/* The summary of a schedule against what stands in the trace. */
#include "load/plan.h"

#include "base/assert.h"
#include "base/clock.h"
#include "support/samples.h"
#include "tap.h"

static struct plan plan;

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
    plan_look(&plan, s, max_n);
    source_free(&s);
}

TEST(equal_gaps)
{
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 101}, UINT64_MAX);
    CHECK_INT(plan.requests_n, 101);
    CHECK(plan.gap_mean_us == 100000 && plan.gap_cv < 1e-6);
    CHECK_INT(plan.last_us, 10 * CLOCK_SECOND_US);
    CHECK_INT(plan.busiest_n, 10);
    CHECK_INT(plan.prompt.max_us, 100);
    CHECK_INT(plan.answer.hist.n, 0);
    CHECK(!plan.cut);
}

TEST(more_than_is_looked_at)
{
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 101}, 100);
    CHECK_INT(plan.requests_n, 100);
    CHECK(plan.cut);
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 101}, 101);
    CHECK(!plan.cut);
}

TEST(nothing_and_one)
{
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 0}, 100);
    CHECK_INT(plan.requests_n, 0);
    CHECK(plan.gap_cv == 0 && !plan.cut);
    look(NULL, &(struct source_opts){.process = PROCESS_CONSTANT, .rate = 10, .limit = 1}, 100);
    CHECK_INT(plan.requests_n, 1);
    CHECK(plan.gap_mean_us == 0);
}

TEST(blocks_that_were_seen_before)
{
    static struct trace_row rows[] = {{0, 1500, 1, 3, 0}, {5, 1500, 1, 3, 3}};
    static uint32_t blocks[] = {0, 1, TRACE_BLOCK_ID_MAX, 0, 1, 2};
    struct trace t = {.format = TRACE_MOONCAKE, .rows = rows, .rows_n = 2, .blocks = blocks, .blocks_n = 6};

    look(&t, &(struct source_opts){.limit = 100, .stream_share = 1}, 100);
    CHECK_INT(plan.blocks_n, 6);
    CHECK_INT(plan.blocks_old_n, 2);
    CHECK_INT(plan.streams_n, 2);
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
    CHECK_INT(plan.requests_n, t->rows_n);
    CHECK_INT(plan.prompt.hist.sum, prompts);
    CHECK_INT(plan.answer.hist.sum, answers);
    CHECK_INT(plan.last_us, t->rows[t->rows_n - 1].at_us);
    trace_free(&t);
}
