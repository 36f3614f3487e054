/* SPDX-License-Identifier: MIT */
/* The longest turn of the last minute, on a clock of the test's own, on virtual io and on a real loop. */
#include "io/stint.h"

#include <unistd.h>

#include "base/clock.h"
#include "io/virtual.h"
#include "real_kit.h"

#define S CLOCK_SECOND_US
#define MS CLOCK_MS_US

static void turn(struct stint *h, int64_t at_us, int64_t us)
{
    stint_begin(h, at_us);
    stint_end(h, at_us + us);
}

TEST(nothing_has_been_held_before_the_first_turn)
{
    struct stint h = {0};

    stint_end(&h, 5 * S); /* the loop looks at the clock before it has slept for the first time */
    CHECK_INT(stint_max_us(&h, 6 * S), 0);
    CHECK_INT(stint_long_n(&h), 0);
}

TEST(the_longest_turn_stays_for_a_minute_less_a_part)
{
    for (int64_t at = 100 * S; at < 120 * S; at += S) {
        struct stint h = {0};

        turn(&h, at, 7 * MS);
        turn(&h, at + 10 * MS, 2 * MS);
        CHECK_INT(stint_max_us(&h, at + 20 * MS), 7 * MS);
        CHECK_INT(stint_max_us(&h, at + 50 * S), 7 * MS);
        CHECK_INT(stint_max_us(&h, at + 60 * S), 0);
        turn(&h, at + 59 * S, 3 * MS);
        CHECK_INT(stint_max_us(&h, at + 60 * S), 3 * MS);
    }
}

TEST(a_part_that_comes_round_again_forgets_the_old_one)
{
    struct stint h = {0};

    turn(&h, 100 * S, 9 * MS);
    turn(&h, 160 * S, 1 * MS); /* the same place, six parts later */
    CHECK_INT(stint_max_us(&h, 160 * S + 2 * MS), 1 * MS);
    turn(&h, 161 * S, 4 * MS);
    turn(&h, 162 * S, 2 * MS);
    CHECK_INT(stint_max_us(&h, 163 * S), 4 * MS);
}

TEST(a_turn_that_runs_is_seen_and_a_sleeping_loop_is_not)
{
    struct stint h = {0};

    stint_begin(&h, 10 * S);
    CHECK_INT(stint_max_us(&h, 13 * S), 3 * S);
    stint_end(&h, 14 * S);
    CHECK_INT(stint_max_us(&h, 40 * S), 4 * S);
    CHECK_INT(stint_max_us(&h, 400 * S), 0);
}

TEST(a_reader_that_is_behind_sees_what_has_just_been_written)
{
    struct stint h = {0};

    turn(&h, 100 * S, 2 * MS);
    CHECK_INT(stint_max_us(&h, 99 * S), 2 * MS); /* its time is that of its own turn's beginning */
}

TEST(turns_beyond_five_milliseconds_are_counted)
{
    struct stint h = {0};

    turn(&h, 1 * S, STINT_LONG_US);
    CHECK_INT(stint_long_n(&h), 0);
    turn(&h, 2 * S, STINT_LONG_US + 1);
    turn(&h, 2 * S, 2 * 3600 * S); /* more than fits: the longest that does */
    CHECK_INT(stint_long_n(&h), 2);
    CHECK_INT(stint_max_us(&h, 2 * S + 2 * 3600 * S), UINT32_MAX);
}

TEST(a_clock_that_stands_or_goes_back_holds_nobody)
{
    struct stint h = {0};

    turn(&h, 2 * S, 0);
    turn(&h, 2 * S, -5 * MS);
    CHECK_INT(stint_max_us(&h, 2 * S), 0);
}

/* -- loops ------------------------------------------------------------------------------------- */

struct slow {
    struct timer timer;
    struct loop *loop;
    size_t fired_n;
};

static void on_drag(struct timer *t)
{
    struct slow *s = CONTAINER_OF(t, struct slow, timer);

    vnet_drag(s->loop, 8 * MS);
    vnet_drag(s->loop, 4 * MS);
}

static void on_nothing(struct timer *t)
{
    (void)t;
}

TEST(virtual_turns_are_as_long_as_they_are_said_to_be)
{
    struct vnet *v = vnet_new(&(struct vnet_opts){.seed = 1});
    struct slow s = {.loop = vnet_loop(v, NULL, 65536)};

    timer_init(&s.timer, on_drag);
    timer_set(&s.loop->wheel, &s.timer, vnet_now_us(v) + S);
    vnet_run(v, vnet_now_us(v) + 2 * S, NULL);
    CHECK_INT(stint_max_us(&s.loop->stint, vnet_now_us(v)), 12 * MS);
    CHECK_INT(stint_long_n(&s.loop->stint), 1);
    s.timer.fire = on_nothing;
    timer_set(&s.loop->wheel, &s.timer, vnet_now_us(v) + 61 * S);
    vnet_run(v, vnet_now_us(v) + 100 * S, NULL);
    CHECK_INT(stint_max_us(&s.loop->stint, vnet_now_us(v)), 0);
    loop_free(&s.loop);
    vnet_free(&v);
}

static void on_sleep(struct timer *t)
{
    struct slow *s = CONTAINER_OF(t, struct slow, timer);

    usleep(20000);
    s->fired_n++;
    loop_real_stop(s->loop);
}

/* What is asserted is no pace: a sleep never ends early. */
TEST(a_real_loop_knows_that_a_callback_slept)
{
    struct kit k;
    struct slow s = {.fired_n = 0};

    kit_init(&k);
    s.loop = k.l;
    timer_init(&s.timer, on_sleep);
    timer_set(&k.l->wheel, &s.timer, clock_mono_us());
    CHECK(kit_until(&k, &s.fired_n, 1));
    CHECK(stint_max_us(&k.l->stint, clock_mono_us()) >= 20 * MS);
    CHECK(stint_long_n(&k.l->stint) >= 1);
    kit_fini(&k);
}
