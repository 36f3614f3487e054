/* SPDX-License-Identifier: MIT */
/* Memory goes back when a crowd has left, once, and not for few or for a crowd that only breathes. */
#include <malloc.h>

#include "base/mem.h"
#include "support/crowd.h"
#include "tap.h"

#define CROWD_N 600

static size_t ebbs(const struct world *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->workers_n; i++)
        n += w->workers[i]->ebb.done_n;
    return n;
}

/* Streams that come together and end together, `tides` times; how often memory went back in so much time. */
static size_t come_and_go(size_t crowd_n, int tides, int64_t wait_us)
{
    struct arrival *a = mem_zalloc(crowd_n * sizeof *a);
    struct story s;
    struct world *w;
    size_t n;

    for (size_t i = 0; i < crowd_n; i++)
        a[i] = (struct arrival){.at_us = 0, .model = "x", .stream = true, .prompt_bytes = 10, .tokens = 20};
    story_init(&s, STORY_TWO);
    w = story_begin(&s);
    for (int i = 0; i < tides; i++) {
        struct crowd *c = crowd_new(w, a, crowd_n, 1);

        CHECK(crowd_run(c, 60 * STORY_S));
        CHECK_INT((long long)crowd_tally(c)->whole_n, (long long)crowd_n);
        crowd_free(&c);
        world_run(w, wait_us);
    }
    n = ebbs(w);
    CHECK(w->workers[0]->ebb.shed.blocks == NULL);
    mem_free(a);
    story_end(&w);
    return n;
}

TEST(memory_goes_back_once_when_a_crowd_has_left)
{
    CHECK_INT((long long)come_and_go(CROWD_N, 1, 10 * STORY_S), 1);
}

TEST(each_tide_has_its_ebb)
{
    CHECK_INT((long long)come_and_go(CROWD_N, 3, 10 * STORY_S), 3);
}

TEST(few_are_no_crowd)
{
    CHECK_INT((long long)come_and_go(50, 2, 10 * STORY_S), 0);
}

/* Their connections to endpoints rest for a minute more: pool_idle. */
TEST(what_rested_behind_them_has_an_ebb_of_its_own)
{
    CHECK_INT((long long)come_and_go(CROWD_N, 1, 100 * STORY_S), 2);
    CHECK_INT((long long)come_and_go(50, 1, 100 * STORY_S), 0);
}

/* A walk takes its steps in turns of their own: nobody waits for more than one of them. */
TEST(a_walk_that_is_cut_short_leaves_nothing)
{
    struct arrival a[CROWD_N];
    struct story s;
    struct world *w;
    struct crowd *c;

    for (size_t i = 0; i < CROWD_N; i++)
        a[i] = (struct arrival){.at_us = 0, .model = "x", .stream = true, .prompt_bytes = 10, .tokens = 20};
    story_init(&s, STORY_TWO);
    w = story_begin(&s);
    c = crowd_new(w, a, CROWD_N, 1);
    CHECK(crowd_run(c, 60 * STORY_S));
    crowd_free(&c);
    for (int i = 0; i < 10000 && w->workers[0]->ebb.steps_left == 0; i++)
        world_run(w, STORY_MS);
    CHECK(w->workers[0]->ebb.steps_left > 10);
    CHECK_INT((long long)ebbs(w), 0);
    story_end(&w);
}
