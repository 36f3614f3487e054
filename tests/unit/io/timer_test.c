/* SPDX-License-Identifier: MIT */
/* The timer wheel against a plain sorted model, and its promises one by one. */
#include "io/timer.h"

#include "base/clock.h"
#include "base/rng.h"
#include "io/turn.h"
#include "tap.h"

#define TIMERS_N 300

struct probe {
    struct timer timer;
    struct wheel *wheel;
    int64_t fired_at_us; /* -1: not yet */
    int64_t due_us;
    int64_t *now_us;
    int64_t again_us;     /* arms itself again when > 0 */
    struct timer *victim; /* stopped by this one */
};

static void on_fire(struct timer *t)
{
    struct probe *p = CONTAINER_OF(t, struct probe, timer);

    p->fired_at_us = *p->now_us;
    if (p->victim != NULL)
        timer_stop(p->wheel, p->victim);
    if (p->again_us > 0) {
        p->due_us = *p->now_us + p->again_us;
        p->again_us = 0;
        timer_set(p->wheel, t, p->due_us);
    }
}

static void arm(struct probe *p, struct wheel *w, int64_t *now_us, int64_t due_us)
{
    *p = (struct probe){.wheel = w, .fired_at_us = -1, .due_us = due_us, .now_us = now_us};
    timer_init(&p->timer, on_fire);
    timer_set(w, &p->timer, due_us);
}

TEST(never_early_and_at_most_a_tick_late_over_all_levels)
{
    static struct probe probes[TIMERS_N];
    struct rng dice;
    struct wheel w;
    int64_t now_us = 123456789, wrong = 0;

    rng_seed(&dice, 7);
    wheel_init(&w, now_us);
    for (int i = 0; i < TIMERS_N; i++) {
        int64_t span = INT64_C(1) << rng_below(&dice, 46);

        arm(&probes[i], &w, &now_us, now_us + (int64_t)rng_below(&dice, (uint64_t)span));
    }
    while (w.n > 0) {
        int64_t next = wheel_next_us(&w);

        CHECK(next != CLOCK_NEVER_US);
        now_us = next > now_us ? next : now_us;
        wheel_advance(&w, now_us);
    }
    for (int i = 0; i < TIMERS_N; i++) {
        int64_t late = probes[i].fired_at_us - probes[i].due_us;

        wrong += probes[i].fired_at_us < 0 || late < 0 || late > CLOCK_MS_US;
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(wheel_next_us(&w), CLOCK_NEVER_US);
}

TEST(random_sets_and_stops_agree_with_a_model)
{
    static struct probe probes[TIMERS_N];
    struct rng dice;
    struct wheel w;
    int64_t now_us = 0, wrong = 0;

    rng_seed(&dice, 11);
    wheel_init(&w, now_us);
    for (int i = 0; i < TIMERS_N; i++)
        arm(&probes[i], &w, &now_us, CLOCK_NEVER_US);
    for (int step = 0; step < 200000; step++) {
        struct probe *p = &probes[rng_below(&dice, TIMERS_N)];
        uint64_t what = rng_below(&dice, 10);

        if (what < 5) {
            p->due_us = now_us + (int64_t)rng_below(&dice, UINT64_C(1) << (10 + rng_below(&dice, 25)));
            p->fired_at_us = -1;
            timer_set(&w, &p->timer, p->due_us);
        } else if (what < 7) {
            timer_stop(&w, &p->timer);
            p->due_us = CLOCK_NEVER_US;
            wrong += timer_is_set(&p->timer);
        } else {
            now_us += (int64_t)rng_below(&dice, UINT64_C(1) << rng_below(&dice, 24));
            wheel_advance(&w, now_us);
        }
    }
    for (int i = 0; i < TIMERS_N; i++) {
        bool due = probes[i].due_us != CLOCK_NEVER_US && probes[i].due_us + CLOCK_MS_US <= now_us;
        bool set = timer_is_set(&probes[i].timer);

        if (probes[i].due_us != CLOCK_NEVER_US)
            wrong += due ? set : !set && probes[i].fired_at_us < 0;
    }
    CHECK_INT(wrong, 0);
}

TEST(a_past_time_fires_at_the_next_turn_and_not_before)
{
    struct probe p;
    struct wheel w;
    int64_t now_us = 5 * CLOCK_SECOND_US;

    wheel_init(&w, now_us);
    arm(&p, &w, &now_us, now_us - 1);
    CHECK_INT(p.fired_at_us, -1);
    CHECK(wheel_next_us(&w) <= now_us);
    CHECK_INT((long long)wheel_advance(&w, now_us), 1);
    CHECK_INT(p.fired_at_us, now_us);
}

TEST(a_callback_may_arm_itself_and_stop_another_that_is_due)
{
    struct probe a, b;
    struct wheel w;
    int64_t now_us = 0;

    wheel_init(&w, now_us);
    arm(&a, &w, &now_us, 1000);
    arm(&b, &w, &now_us, 1000);
    a.again_us = 5000;
    a.victim = &b.timer;
    now_us = 1000;
    CHECK_INT((long long)wheel_advance(&w, now_us), 1);
    CHECK_INT(b.fired_at_us, -1);
    CHECK(timer_is_set(&a.timer));
    now_us = 6000;
    CHECK_INT((long long)wheel_advance(&w, now_us), 1);
    CHECK_INT(a.fired_at_us, 6000);
}

TEST(a_time_beyond_the_span_is_clamped_and_still_not_lost)
{
    struct probe p;
    struct wheel w;
    int64_t now_us = 0;

    wheel_init(&w, now_us);
    arm(&p, &w, &now_us, INT64_MAX - 1);
    CHECK(timer_is_set(&p.timer));
    CHECK(wheel_next_us(&w) < CLOCK_NEVER_US);
    timer_stop(&w, &p.timer);
    CHECK(!timer_is_set(&p.timer));
    CHECK_INT(wheel_next_us(&w), CLOCK_NEVER_US);
}

TEST(a_turn_fires_a_bounded_number_and_the_rest_goes_on_in_its_order)
{
    enum { N = 2 * TURN_TIMERS + TURN_TIMERS / 3 };
    static struct probe probes[N];
    struct wheel w;
    int64_t now_us = CLOCK_SECOND_US;

    wheel_init(&w, now_us);
    for (int i = 0; i < N; i++)
        arm(&probes[i], &w, &now_us, now_us + 5 * CLOCK_MS_US);
    probes[0].again_us = -1;
    probes[1].victim = &probes[TURN_TIMERS + 1].timer; /* due, but of a later turn */
    now_us += 5 * CLOCK_MS_US;
    CHECK_INT(wheel_advance(&w, now_us), TURN_TIMERS);
    CHECK(wheel_next_us(&w) <= now_us); /* nobody sleeps while timers are due */
    CHECK(probes[TURN_TIMERS - 1].fired_at_us == now_us && probes[TURN_TIMERS].fired_at_us == -1);
    timer_set(&w, &probes[0].timer, 0); /* again: behind those that are due already */
    probes[0].fired_at_us = -1;
    CHECK_INT(wheel_advance(&w, now_us), TURN_TIMERS);
    CHECK_INT(probes[0].fired_at_us, -1);
    CHECK_INT(wheel_advance(&w, now_us), N - 2 * TURN_TIMERS - 1 + 1);
    CHECK_INT(probes[0].fired_at_us, now_us);
    CHECK_INT(probes[TURN_TIMERS + 1].fired_at_us, -1);
    CHECK_INT(w.n, 0);
}
