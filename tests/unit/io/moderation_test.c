/* SPDX-License-Identifier: MIT */
/* When a loop rests, on made-up turns. */
#include "io/moderation.h"

#include "base/clock.h"
#include "base/rng.h"
#include "tap.h"

struct story {
    struct moderation m;
    int64_t now_us;
    uint64_t events;
};

/* Turns of so many events, each that long after the one before, for `us`; how many of them asked for a rest.
 */
static uint64_t turns(struct story *s, size_t sources, size_t events, int64_t gap_us, int64_t us)
{
    uint64_t before = s->m.rests;

    for (int64_t until = s->now_us + us; s->now_us < until; s->now_us += gap_us) {
        uint64_t rests = s->m.rests;
        bool rest = moderation_turn(&s->m, sources, events, s->now_us);

        CHECK_INT((int)(s->m.rests - rests), rest);
        s->events += events;
    }
    return s->m.rests - before;
}

static struct story begin(void)
{
    return (struct story){.now_us = 1000 * CLOCK_SECOND_US};
}

TEST(rests_once_events_have_come_densely_for_a_window)
{
    struct story s = begin();

    CHECK_INT((int)turns(&s, 1, 1, 50, MODERATION_WINDOW_US), 0);
    CHECK_INT((int)turns(&s, 1, 1, 50, MODERATION_WINDOW_US), 200);
}

TEST(does_not_rest_where_a_rest_would_bring_nothing)
{
    struct story s = begin();

    CHECK_INT((int)turns(&s, 1, 1, 2 * MODERATION_DENSE_US, CLOCK_SECOND_US), 0);
}

TEST(does_not_rest_behind_anything_else_than_events)
{
    struct story s = begin();

    turns(&s, 2, 2, 50, 2 * MODERATION_WINDOW_US);
    CHECK_INT((int)turns(&s, 3, 2, 50, MODERATION_WINDOW_US), 0);     /* a request among them */
    CHECK_INT((int)turns(&s, 0, 0, 50, MODERATION_WINDOW_US / 2), 0); /* a timer or a message */
}

TEST(does_not_rest_with_enough_to_do)
{
    struct story s = begin();

    turns(&s, MODERATION_TURN_EVENTS, MODERATION_TURN_EVENTS, 200, 2 * MODERATION_WINDOW_US);
    CHECK(s.m.dense);
    CHECK_INT((int)turns(&s, MODERATION_TURN_EVENTS, MODERATION_TURN_EVENTS, 200, MODERATION_WINDOW_US), 0);
    CHECK(turns(&s, MODERATION_TURN_EVENTS - 1, MODERATION_TURN_EVENTS - 1, 200, MODERATION_WINDOW_US) > 0);
}

TEST(does_not_rest_any_more_soon_after_the_crowd_has_gone)
{
    struct story s = begin();

    turns(&s, 1, 1, 50, CLOCK_SECOND_US);
    CHECK(turns(&s, 1, 1, 1000, 2 * MODERATION_WINDOW_US) <= 2 * MODERATION_WINDOW_US / 1000);
    CHECK_INT((int)turns(&s, 1, 1, 1000, CLOCK_SECOND_US), 0);
    s.now_us += 3600 * CLOCK_SECOND_US; /* an hour of nothing */
    CHECK_INT((int)turns(&s, 1, 1, 1000, CLOCK_SECOND_US), 0);
}

/* Whatever happens: no rest but behind a turn of events alone, and none where the last whole window had fewer
 * events than rests fit into it. */
TEST(random_turns_keep_the_rules)
{
    struct rng dice;

    rng_seed(&dice, 7);
    for (int round = 0; round < 200; round++) {
        struct story s = begin();
        int64_t since_us = 0;
        uint64_t events = 0;
        bool dense = false;

        for (int i = 0; i < 2000; i++) {
            size_t sources = rng_below(&dice, 20), n = rng_below(&dice, sources + 1);

            s.now_us += (int64_t)rng_below(&dice, 1 + 20 * (uint64_t)(round + 1));
            events += n;
            if (s.now_us - since_us >= MODERATION_WINDOW_US) {
                dense = events >= (uint64_t)(s.now_us - since_us) / MODERATION_DENSE_US;
                events = 0;
                since_us = s.now_us;
            }
            if (moderation_turn(&s.m, sources, n, s.now_us))
                CHECK(dense && n > 0 && n == sources && n < MODERATION_TURN_EVENTS);
            else
                CHECK(!dense || n == 0 || n < sources || n >= MODERATION_TURN_EVENTS);
        }
    }
}
