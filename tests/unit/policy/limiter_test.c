/* SPDX-License-Identifier: MIT */
/* The rules of the learned limit one by one, and its parts against plain models. What it gives under
 * overload: limiter_overload_test.c. */
#include "policy/limiter.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "tap.h"

#define SECOND CLOCK_SECOND_US
#define FAST (SECOND / 5)
#define CROWD 64

struct world {
    struct limiter l;
    int64_t now_us;
};

static struct world made(int cap, int start)
{
    struct world w = {.now_us = SECOND};

    limiter_init(&w.l, &(struct limiter_opts){.cap = cap, .start = start});
    return w;
}

static int start_of(int cap, int start)
{
    struct world w = made(cap, start);

    return limiter_limit(&w.l);
}

/* A window in which n calls begin beside as many that the limit is full, each with this first token. */
static void crowd(struct world *w, int n, int prompt, int64_t ttft_us)
{
    struct limiter_call c[CROWD];
    int full = limiter_limit(&w->l);

    w->now_us++; /* what began in the microsecond of a cut counts as older than it */
    for (int i = 0; i < n; i++)
        limiter_begin(&w->l, &c[i], full, w->now_us);
    w->now_us += ttft_us;
    for (int i = 0; i < n; i++)
        limiter_first(&w->l, &c[i], prompt, w->now_us);
    if (ttft_us < LIMITER_WINDOW_US)
        w->now_us += LIMITER_WINDOW_US - ttft_us;
    limiter_begin(&w->l, &c[0], 1, w->now_us);
    limiter_first(&w->l, &c[0], prompt, w->now_us); /* the next window begins with a sample */
}

/* One call is refused with so many others in flight. */
static void refuse(struct world *w, int others)
{
    struct limiter_call c;

    limiter_begin(&w->l, &c, others + 1, w->now_us);
    limiter_refused(&w->l, &c, others, 0, w->now_us++);
}

/* Calls that are accepted at levels 1 to n, without any time. */
static void accept_to(struct world *w, int n)
{
    for (int i = 1; i <= n; i++)
        refusals_add(&w->l.refusals, i, false);
}

TEST(a_limiter_starts_at_its_cap_or_low)
{
    CHECK_INT(start_of(0, 0), LIMITER_START);
    CHECK_INT(start_of(500, 0), 500);
    CHECK_INT(start_of(500, 20), 20);
    CHECK_INT(start_of(5, 20), 5);
    CHECK_INT(start_of(0, 3), 3);
}

TEST(the_limit_doubles_per_window_up_to_the_cap)
{
    struct world w = made(50, 10);

    crowd(&w, 10, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 20);
    crowd(&w, 20, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 40);
    crowd(&w, 40, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 50);
    crowd(&w, 40, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 50);
}

TEST(while_doubling_few_slots_need_few_samples_and_all_must_be_seen)
{
    struct world w = made(0, 4);
    struct limiter_call c[16];

    crowd(&w, 4, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 8);
    for (int i = 0; i < 8; i++)
        limiter_begin(&w.l, &c[i], 8, w.now_us);
    for (int i = 0; i < 5; i++)
        limiter_first(&w.l, &c[i], 100, w.now_us + FAST);
    limiter_begin(&w.l, &c[8], 8, w.now_us + 2 * LIMITER_WINDOW_US);
    CHECK_INT(limiter_limit(&w.l),
              8); /* three are still waiting for their first token: it may be a slow one */
    for (int i = 5; i < 8; i++)
        limiter_first(&w.l, &c[i], 100, w.now_us + 2 * LIMITER_WINDOW_US + 1);
    CHECK(limiter_limit(&w.l) < 8); /* and so it was */
}

TEST(refusals_while_doubling_set_the_limit_to_what_was_accepted)
{
    struct world w = made(0, 32);
    struct limiter_call c[32];

    for (int i = 0; i < 32; i++)
        limiter_begin(&w.l, &c[i], i + 1, w.now_us);
    for (int i = 0; i < 20; i++)
        limiter_first(&w.l, &c[i], 100, w.now_us + FAST);
    for (int i = 0; i < 12; i++) /* in flight falls as they come back */
        limiter_refused(&w.l, &c[20 + i], 31 - i, 0, w.now_us + FAST + i);
    CHECK_INT(limiter_limit(&w.l), 20);
    w.now_us += LIMITER_HOLD_US + SECOND;
    crowd(&w, 20, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 20); /* no more doubling, and a rest at the knee */
    for (int i = 0; i < 3; i++)
        crowd(&w, 20, 100, FAST);
    CHECK(limiter_limit(&w.l) > 20 && limiter_limit(&w.l) < 26);
}

/* A limiter that doubles no more. */
static struct world settled(int limit)
{
    struct world w = made(0, limit);

    accept_to(&w, limit);
    refuse(&w, limit);
    w.now_us += LIMITER_HOLD_US + SECOND;
    return w;
}

TEST(a_later_refusal_cuts_to_nine_tenths_of_what_was_accepted_once_in_5_s)
{
    struct world w = settled(100);

    CHECK_INT(limiter_limit(&w.l), 100);
    accept_to(&w, 60);
    refuse(&w, 100);
    CHECK_INT(limiter_limit(&w.l), 90);
    w.now_us += LIMITER_HOLD_US - 2;
    refuse(&w, 90);
    CHECK_INT(limiter_limit(&w.l), 90);
    accept_to(&w, 60);
    refuse(&w, 80);
    CHECK_INT(limiter_limit(&w.l), 72); /* of what was in flight */
}

TEST(the_way_back_is_fast_to_the_knee_rests_there_and_goes_on_slowly)
{
    struct world w = settled(100);
    int rests = 0;

    accept_to(&w, 60);
    refuse(&w, 100);
    crowd(&w, 20, 100, FAST);
    crowd(&w, 20, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 90); /* not within 5 s of the cut */
    crowd(&w, 20, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 95);
    crowd(&w, 20, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 97);
    while (limiter_limit(&w.l) <= 100 && rests++ < 20)
        crowd(&w, 20, 100, FAST);
    CHECK(rests >= 4 && rests <= 6);
    CHECK_INT(limiter_limit(&w.l), 101); /* one more, then two, then sqrt(limit) / 4 */
    crowd(&w, 20, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 103);
    crowd(&w, 20, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 105);
}

TEST(refusals_that_come_whatever_is_in_flight_cut_nothing)
{
    struct world w = settled(100);

    for (int i = 0; i < 300; i++)
        refusals_add(&w.l.refusals, 20 + i % 60, i % 2);
    for (int i = 0; i < 50; i++) {
        refuse(&w, 20 + i);
        refusals_add(&w.l.refusals, 20 + i, false);
        w.now_us += SECOND;
    }
    CHECK_INT(limiter_limit(&w.l), 100);
}

TEST(a_cut_that_does_not_help_is_the_last)
{
    struct world w = settled(64);
    int least = 64;

    refusals_init(&w.l.refusals);
    for (int i = 0; i < 2400; i++) { /* one of two is refused, and the slots are always full */
        struct limiter_call c;
        int full = limiter_limit(&w.l);

        limiter_begin(&w.l, &c, full, w.now_us);
        if (i % 2)
            limiter_refused(&w.l, &c, full - 1, 0, w.now_us);
        else
            limiter_first(&w.l, &c, 100, w.now_us + FAST);
        w.now_us += SECOND / 8;
        least = limiter_limit(&w.l) < least ? limiter_limit(&w.l) : least;
    }
    CHECK(least >= 45 && least < 64);
    CHECK(limiter_limit(&w.l) > 64);
}

/* The first call of all is refused at random: then twenty begin at once. */
TEST(one_refused_among_the_first_does_not_end_the_doubling)
{
    struct world w = made(0, 8);
    struct limiter_call c;

    for (int i = 0; i < 4; i++)
        limiter_begin(&w.l, &c, i + 1, w.now_us);
    refuse(&w, 4);
    CHECK_INT(limiter_limit(&w.l), 4);
    w.now_us += LIMITER_HOLD_US;
    for (int i = 0; i < 3; i++)
        crowd(&w, 30, 100, FAST);
    CHECK_INT(limiter_limit(&w.l), 32);
}

TEST(many_refusals_in_a_row_cut_far_below_the_limit_too)
{
    struct world w = made(0, 8);

    for (int i = 0; i < 2 * LIMITER_RUN - 1; i++)
        refuse(&w, 1);
    CHECK_INT(limiter_limit(&w.l), 8);
    refuse(&w, 1);
    CHECK_INT(limiter_limit(&w.l), 1);
}

TEST(few_slots_are_cut_to_what_was_accepted)
{
    struct world w = settled(4);

    for (int i = 0; i < 10; i++)
        accept_to(&w, 4);
    w.l.limit = 5;
    refuse(&w, 4);
    CHECK_INT(limiter_limit(&w.l), 4);
}

/* In flight when a refusal comes back, not when the call began: others were refused meanwhile. */
TEST(the_level_of_a_refusal_is_the_lower_of_two)
{
    struct world w = settled(100);
    struct limiter_call c = {.begun_us = w.now_us, .level = 90};

    for (int i = 0; i < 20; i++)
        refusals_add(&w.l.refusals, 60, false);
    w.now_us++;
    limiter_refused(&w.l, &c, 50, 0, w.now_us);
    CHECK_INT(w.l.refusals.ring[w.l.refusals.next - 1], 2 * 51 + 1);
}

TEST(far_past_the_knee_steps_grow)
{
    struct world w = settled(20);

    for (int i = 0; i < 10; i++)
        crowd(&w, 20, 100, FAST);
    CHECK(limiter_limit(&w.l) >= 40 && limiter_limit(&w.l) <= 56);
}

TEST(what_is_refused_with_nothing_else_in_flight_was_not_one_too_many)
{
    struct world w = made(0, 8);

    for (int i = 0; i < 20; i++) {
        refuse(&w, 0);
        w.now_us += LIMITER_HOLD_US;
    }
    CHECK_INT(limiter_limit(&w.l), 8);
}

TEST(a_slow_window_cuts_by_target_over_p90_and_not_below_0_7)
{
    struct world w = settled(100);

    crowd(&w, 20, 100, 2500000);
    CHECK(limiter_limit(&w.l) >= 78 && limiter_limit(&w.l) <= 80);
    crowd(&w, 20, 100, 20 * SECOND);
    CHECK(limiter_limit(&w.l) >= 54 && limiter_limit(&w.l) <= 56);
}

TEST(one_window_cuts_once_and_older_calls_say_nothing)
{
    struct world w = settled(100);
    struct limiter_call old[40];

    for (int i = 0; i < 40; i++)
        limiter_begin(&w.l, &old[i], 100, w.now_us);
    for (int i = 0; i < 40; i++)
        limiter_first(&w.l, &old[i], 100, w.now_us + 4 * SECOND + i * SECOND / 4);
    CHECK_INT(limiter_limit(&w.l), 70);
}

TEST(too_few_samples_keep_the_limit)
{
    struct world w = settled(100);

    for (int i = 0; i < TTFT_SLOPE_MIN_N; i++)
        ttft_learn(&w.l.slope, 100, FAST);
    for (int i = 0; i < 4; i++) {
        struct limiter_call c;

        limiter_begin(&w.l, &c, 100, w.now_us);
        w.now_us += 4 * SECOND;
        limiter_first(&w.l, &c, 100, w.now_us);
    }
    CHECK_INT(limiter_limit(&w.l), 100);
    for (int i = 0; i < 3; i++) { /* a few are enough when they are all that half a minute gives */
        struct limiter_call c;

        limiter_begin(&w.l, &c, 100, w.now_us);
        w.now_us += 4 * SECOND;
        limiter_first(&w.l, &c, 100, w.now_us);
    }
    CHECK_INT(limiter_limit(&w.l), 70);
}

TEST(a_limit_that_is_not_used_does_not_grow)
{
    struct world w = made(0, 50);

    for (int k = 0; k < 10; k++) {
        struct limiter_call c;

        for (int i = 0; i < 20; i++) {
            limiter_begin(&w.l, &c, 39, w.now_us);
            w.now_us += SECOND / 8;
            limiter_first(&w.l, &c, 100, w.now_us);
        }
    }
    CHECK_INT(limiter_limit(&w.l), 50);
}

TEST(long_prompts_do_not_look_like_overload)
{
    struct world w = settled(100);
    struct rng dice;
    struct limiter_call c;

    rng_seed(&dice, 1);
    for (int i = 0; i < 500; i++) { /* 1 ms a token, up to 4 s */
        int64_t tokens = (int64_t)rng_below(&dice, 4000);

        limiter_begin(&w.l, &c, 10, w.now_us);
        limiter_first(&w.l, &c, tokens, w.now_us + FAST + 1000 * tokens);
        w.now_us += SECOND / 20;
    }
    CHECK(ttft_slope_us(&w.l.slope) > 990 && ttft_slope_us(&w.l.slope) < 1010);
    for (int k = 0; k < 5; k++)
        crowd(&w, 20, 4000, FAST + 4 * SECOND);
    CHECK(limiter_limit(&w.l) >= 100);
    for (int k = 0; k < 2; k++)
        crowd(&w, 20, 4000, 8 * SECOND); /* this does */
    CHECK(limiter_limit(&w.l) < 100);
}

TEST(cuts_that_make_nothing_faster_are_taken_back)
{
    struct world w = settled(100);
    int least = 100;

    for (int k = 0; k < 12; k++) { /* others have filled the provider: 3 s whatever we do */
        crowd(&w, 20, 100, 3 * SECOND);
        least = limiter_limit(&w.l) < least ? limiter_limit(&w.l) : least;
    }
    CHECK(least >= 30 && least < 60);
    for (int k = 0; k < 10; k++) {
        CHECK_INT(limiter_limit(&w.l), 100);
        crowd(&w, 20, 100, 3 * SECOND);
    }
    w.now_us += LIMITER_DEAF_US;
    for (int k = 0; k < 2; k++)
        crowd(&w, 20, 100, 3 * SECOND);
    CHECK(limiter_limit(&w.l) < 100); /* but it is asked again */
}

TEST(a_run_of_refusals_lets_one_begin_at_a_time_after_a_pause)
{
    struct world w = settled(100);
    struct limiter_call c;

    refuse(&w, 100); /* within 5 s of a cut nothing else is cut */
    limiter_begin(&w.l, &c, 1, w.now_us);
    limiter_answered(&w.l, &c, w.now_us);
    for (int i = 0; i < LIMITER_RUN; i++) {
        CHECK(limiter_has_room(&w.l, 40, w.now_us));
        refuse(&w, 40 - i);
    }
    CHECK(!limiter_has_room(&w.l, 10, w.now_us));
    CHECK_INT(limiter_opens_us(&w.l) - w.now_us + 1, LIMITER_PAUSE_US);
    w.now_us = limiter_opens_us(&w.l);
    CHECK(limiter_has_room(&w.l, 33, w.now_us));
    CHECK(!limiter_has_room(&w.l, 34, w.now_us));
    refuse(&w, 33);
    CHECK_INT(limiter_opens_us(&w.l) - w.now_us + 1, 2 * LIMITER_PAUSE_US);
    for (int i = 0; i < 100; i++)
        refuse(&w, 33);
    CHECK_INT(limiter_opens_us(&w.l) - w.now_us + 1, LIMITER_PAUSE_MAX_US);
    w.now_us = limiter_opens_us(&w.l);
    limiter_begin(&w.l, &c, 34, w.now_us);
    limiter_answered(&w.l, &c, w.now_us);
    CHECK(limiter_has_room(&w.l, 34, w.now_us));
}

TEST(a_retry_after_is_honoured_within_reason)
{
    struct world w = settled(100);
    struct limiter_call c;

    limiter_begin(&w.l, &c, 5, w.now_us);
    limiter_refused(&w.l, &c, 4, 3 * SECOND, w.now_us);
    CHECK(!limiter_has_room(&w.l, 0, w.now_us + 3 * SECOND - 1));
    CHECK(limiter_has_room(&w.l, 0, w.now_us + 3 * SECOND));
    limiter_begin(&w.l, &c, 5, w.now_us);
    limiter_refused(&w.l, &c, 4, SECOND, w.now_us);
    CHECK_INT(limiter_opens_us(&w.l), w.now_us + 3 * SECOND); /* the later one */
    limiter_begin(&w.l, &c, 5, w.now_us);
    limiter_refused(&w.l, &c, 4, INT64_MAX, w.now_us);
    CHECK_INT(limiter_opens_us(&w.l), w.now_us + LIMITER_RETRY_MAX_US);
}

TEST(an_engine_is_believed_about_its_slots_and_its_queue)
{
    struct world w = made(0, 0);

    limiter_hint(&w.l, 16, 0, 4, w.now_us);
    CHECK_INT(limiter_limit(&w.l), 16);
    limiter_hint(&w.l, 4, 0, 4, w.now_us);
    CHECK_INT(limiter_limit(&w.l), 4);
    limiter_hint(&w.l, 32, -1, 4, w.now_us);
    CHECK_INT(limiter_limit(&w.l), 32);
    limiter_hint(&w.l, 0, 3, 32, w.now_us);
    CHECK_INT(limiter_limit(&w.l), 32); /* a short queue keeps an engine busy */
    limiter_hint(&w.l, 0, 12, 32, w.now_us);
    CHECK_INT(limiter_limit(&w.l), 20);
    limiter_hint(&w.l, 0, 12, 20, w.now_us + SECOND);
    CHECK_INT(limiter_limit(&w.l), 20); /* once in 5 s */
    w.now_us += LIMITER_HOLD_US;
    limiter_hint(&w.l, 0, 50, 20, w.now_us);
    CHECK_INT(limiter_limit(&w.l), 1);
    w = made(10, 0);
    limiter_hint(&w.l, 16, 0, 4, w.now_us);
    CHECK_INT(limiter_limit(&w.l), 10); /* the cap stays the ceiling */
}

TEST(a_reload_carries_what_was_learned_under_another_cap)
{
    struct world w = settled(100);
    struct limiter copy = w.l;

    limiter_set_cap(&copy, 60);
    CHECK_INT(limiter_limit(&copy), 60);
    limiter_set_cap(&copy, 80);
    CHECK_INT(limiter_limit(&copy), 80); /* it was at its cap, and nothing told that less is right */
    copy = w.l;
    limiter_set_cap(&copy, 500);
    CHECK_INT(limiter_limit(&copy), 100);
    limiter_set_cap(&copy, 0);
    CHECK_INT(limiter_limit(&copy), 100);
}

TEST(answers_in_one_piece_raise_the_limit_only_so_far)
{
    struct world w = made(0, 0);

    for (int k = 0; k < 600; k++) {
        struct limiter_call c;

        limiter_begin(&w.l, &c, limiter_limit(&w.l), w.now_us);
        w.now_us += SECOND / 6;
        limiter_answered(&w.l, &c, w.now_us);
    }
    CHECK_INT(limiter_limit(&w.l), LIMITER_BLIND);
}
