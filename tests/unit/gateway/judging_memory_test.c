/* SPDX-License-Identifier: MIT */
/* Memory that fails in the moment in which a helper's judgement comes home: whoever needed it ends with
 * `gateway_exhausted`, and the endpoint is not blamed. (What fails at the helper: memory_test.c.) */
#include "gateway/judging.h"

#include "base/mem.h"
#include "base/reserve.h"
#include "judging_kit.h"

#define WORDS_N 240 /* bytes of an endpoint's message; all of them are shown */
#define FILL_MAX 1000
#define FILL_STEP 100

/* An error inside a success: its words are copied when it comes home. A judged event needs no memory then. */
static void write_answer(struct talk *t)
{
    add(&t->text, "{\"error\":{\"code\":400,\"message\":\"");
    for (int i = 0; i < WORDS_N / 6; i++)
        add(&t->text, "so it ");
    add(&t->text, "\",\"param\":\"messages.of.some.length\",\"x\":\"");
    add_letters(&t->text, LARGE);
    add(&t->text, "\"}}");
}

/* The judgement comes home, and of what the worker allocates at that the heap refuses number k. Returns how
 * many allocations there were. */
static uint64_t come_home(uint64_t k)
{
    struct task *task = in_hand;

    in_hand = NULL;
    task->work(task);
    *mem_faults() = (struct mem_faults){.on = true, .from = k, .n = 1};
    task->done(task);
    mem_faults()->on = false;
    return mem_faults()->seen_n;
}

/* A header of `fill` bytes goes into the flight's arena, so that one of the words needs a new block. */
static void ask(struct talk *t, int fill)
{
    char header[FILL_MAX + 32];

    snprintf(header, sizeof header, "OpenAI-Beta: %.*s\r\n", fill, t->text.p + t->text.n / 2);
    talk_ask_with(t, header, PLAIN_HEAD, 0, false);
}

/* Returns how many allocations there were; *felt: whether the refused one was felt. */
static uint64_t tell(int fill, uint64_t k, bool *felt)
{
    struct loop_ops ops;
    struct talk t;
    uint64_t n;

    talk_begin(&t);
    hold_tasks(&t, &ops);
    write_answer(&t);
    ask(&t, fill);
    talk_run(&t, 100 * STORY_MS);
    if (!CHECK(in_hand != NULL))
        return 0;
    n = come_home(k);
    talk_run(&t, 100 * STORY_MS);
    *felt = wire_status(&t.client) == 503;
    CHECK(*felt ? wire_has(&t.client, "gateway_exhausted") && !wire_has(&t.client, "so it ")
                : wire_status(&t.client) == 400 && wire_has(&t.client, "so it "));
    CHECK_INT(world_metric(t.w, METRIC_CALLS, stats_endpoint_outcome(0, OUTCOME_EXHAUSTED)), *felt);
    talk_end(&t);
    return n;
}

TEST(a_judgement_that_comes_home_to_no_memory_ends_as_exhausted)
{
    size_t felt_n = 0;

    CHECK(reserve_open());
    for (int fill = 0; fill < FILL_MAX; fill += FILL_STEP) {
        bool felt;
        uint64_t n = tell(fill, UINT64_MAX, &felt);

        CHECK(!felt);
        for (uint64_t k = 0; k < n; k++) {
            CHECK(reserve_fill());
            tell(fill, k, &felt);
            felt_n += felt;
        }
    }
    CHECK(felt_n > 0); /* what is allocated behind the judgement, for the way out, is not felt */
    reserve_close();
}
