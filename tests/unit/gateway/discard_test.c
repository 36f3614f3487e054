/* SPDX-License-Identifier: MIT */
/* Large buffers go by way of a helper; small ones at once. */
#include "gateway/discard.h"

#include "support/story.h"
#include "tap.h"

static void fill(struct buf *b, size_t n, struct budget *budget)
{
    buf_init(b, n, budget);
    CHECK_INT(buf_reserve(b, n), ERR_OK);
    memset(b->p, 'x', n);
    b->n = n;
}

static struct world *begin(void)
{
    struct story s;

    story_init(&s, STORY_TWO);
    return story_begin(&s);
}

TEST(a_small_buffer_goes_at_once)
{
    struct world *w = begin();
    struct buf b;

    fill(&b, DISCARD_BYTES - 1, &w->app->budget);
    discard(w->workers[0], &b);
    CHECK(b.p == NULL && b.n == 0 && b.cap == 0);
    CHECK_INT((long long)budget_used(&w->app->budget), 0);
    CHECK(world_is_idle(w) && w->workers[0]->readings_n == 0);
    story_end(&w);
}

TEST(a_large_one_goes_by_way_of_a_helper_and_its_budget_with_it)
{
    struct world *w = begin();
    struct buf b;

    fill(&b, DISCARD_BYTES, &w->app->budget);
    discard(w->workers[0], &b);
    CHECK(b.p == NULL && b.n == 0 && b.cap == 0 && b.max == DISCARD_BYTES);
    CHECK(budget_used(&w->app->budget) >= DISCARD_BYTES);
    CHECK_INT((long long)w->workers[0]->readings_n, 1);
    world_run(w, STORY_S);
    CHECK_INT((long long)budget_used(&w->app->budget), 0);
    CHECK_INT((long long)w->workers[0]->readings_n, 0);
    story_end(&w);
}

TEST(a_drain_waits_for_it)
{
    struct world *w = begin();
    struct buf b;

    fill(&b, DISCARD_BYTES, &w->app->budget);
    discard(w->workers[0], &b);
    control_cut(w->control);
    CHECK(!w->drained);
    world_run_until(w, STORY_S, &w->drained);
    CHECK(w->drained && w->workers[0]->readings_n == 0);
    story_end(&w);
}
