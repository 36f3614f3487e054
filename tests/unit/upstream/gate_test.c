/* SPDX-License-Identifier: MIT */
/* The window of connections in the making, step by step. */
#include "upstream/gate.h"

#include "base/clock.h"
#include "tap.h"

struct turnstile {
    struct gate g;
    struct rng dice;
    int64_t now_us;
};

static void begin(struct turnstile *t)
{
    gate_init(&t->g);
    rng_seed(&t->dice, 7);
    t->now_us = CLOCK_SECOND_US;
}

static bool enter(struct turnstile *t)
{
    return gate_enter(&t->g, t->now_us);
}

static void leave(struct turnstile *t, enum gate_end end)
{
    gate_leave(&t->g, end, t->now_us, &t->dice);
}

static size_t enter_all(struct turnstile *t)
{
    size_t n = 0;

    while (enter(t))
        n++;
    return n;
}

TEST(a_healthy_endpoint_is_bounded_by_the_window_alone)
{
    struct turnstile t;

    begin(&t);
    CHECK_INT(enter_all(&t), GATE_WINDOW_MAX);
    CHECK_INT(gate_opens_us(&t.g), CLOCK_NEVER_US); /* only when one leaves */
    leave(&t, GATE_SUCCESS);
    CHECK_INT(enter_all(&t), 1);
}

TEST(a_single_failure_does_not_shut_it)
{
    struct turnstile t;

    begin(&t);
    for (int i = 0; i < 100; i++) { /* one in three fails */
        CHECK(enter(&t));
        leave(&t, i % 3 == 0 ? GATE_FAILURE : GATE_SUCCESS);
        CHECK(!gate_is_shut(&t.g));
        CHECK(t.g.window >= 4);
    }
}

TEST(a_cancelled_one_says_nothing)
{
    struct turnstile t;

    begin(&t);
    for (int i = 0; i < 10; i++) {
        CHECK(enter(&t));
        leave(&t, GATE_CANCELLED);
    }
    CHECK_INT(t.g.window, GATE_WINDOW_MAX);
    CHECK_INT(t.g.busy_n + t.g.failures_n, 0);
}

TEST(a_storm_of_failures_leaves_one_at_a_time_with_growing_pauses)
{
    struct turnstile t;
    int64_t longest_us = 0, began_us;
    size_t n = 0;

    begin(&t);
    CHECK_INT(enter_all(&t), GATE_WINDOW_MAX);
    for (int i = 0; i < GATE_WINDOW_MAX; i++)
        leave(&t, GATE_FAILURE);
    CHECK(gate_is_shut(&t.g) && !enter(&t));
    began_us = t.now_us;
    while (t.now_us < began_us + 10 * CLOCK_SECOND_US) {
        int64_t pause_us = gate_opens_us(&t.g) - t.now_us;

        longest_us = pause_us > longest_us ? pause_us : longest_us;
        CHECK(pause_us > 0);
        t.now_us += pause_us;
        CHECK(enter(&t));
        CHECK(!enter(&t)); /* one at a time */
        leave(&t, GATE_FAILURE);
        n++;
    }
    CHECK(longest_us <= 250 * CLOCK_MS_US && longest_us > 125 * CLOCK_MS_US);
    CHECK(n >= 40 && n <= 82); /* four to eight in a second */
}

TEST(the_first_pause_is_short)
{
    struct turnstile t;

    begin(&t);
    for (int i = 0; i < GATE_SHUT_N; i++) {
        CHECK(enter(&t));
        leave(&t, GATE_FAILURE);
    }
    CHECK(!enter(&t));
    CHECK(gate_opens_us(&t.g) - t.now_us <= 10 * CLOCK_MS_US);
}

TEST(the_first_success_opens_it_and_the_window_doubles)
{
    struct turnstile t;
    size_t rounds = 0;

    begin(&t);
    for (int i = 0; i < GATE_SHUT_N; i++) {
        CHECK(enter(&t));
        leave(&t, GATE_FAILURE);
    }
    t.now_us = gate_opens_us(&t.g);
    CHECK(enter(&t));
    leave(&t, GATE_SUCCESS);
    CHECK(!gate_is_shut(&t.g));
    while (t.g.window < GATE_WINDOW_MAX) {
        size_t n = enter_all(&t);

        CHECK_INT(n, t.g.window);
        for (size_t i = 0; i < n; i++)
            leave(&t, GATE_SUCCESS);
        rounds++;
    }
    CHECK(rounds <= 4); /* every one of a round doubles it */
}
