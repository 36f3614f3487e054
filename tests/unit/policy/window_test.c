/* SPDX-License-Identifier: MIT */
/* The sliding window: exactly N in any span, against a model that remembers every unit. */
#include "policy/window.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

#define SECOND CLOCK_SECOND_US
#define UNITS_MAX 20000

static bool let_through(struct window *w, int64_t now_us, int64_t cost)
{
    if (window_wait_us(w, now_us, cost) > 0)
        return false;
    window_add(w, now_us, cost);
    return true;
}

TEST(n_at_once_pass_and_the_next_waits_for_the_first)
{
    struct window w;

    window_init(&w, SECOND, 3);
    CHECK(let_through(&w, 100, 1));
    CHECK(let_through(&w, 200, 1));
    CHECK(let_through(&w, 300, 1));
    CHECK_INT(window_left(&w, 300), 0);
    CHECK_INT(window_wait_us(&w, 300, 1), SECOND - 200);
    CHECK_INT(window_wait_us(&w, 300, 3), SECOND);
    CHECK_INT(window_wait_us(&w, SECOND + 99, 1), 1);
    CHECK_INT(window_wait_us(&w, SECOND + 100, 1), 0);
    CHECK_INT(window_left(&w, SECOND + 200), 2);
    CHECK_INT(window_reset_us(&w, SECOND + 200), 100);
    CHECK_INT(window_reset_us(&w, 2 * SECOND), 0);
    window_fini(&w);
}

TEST(more_than_the_limit_never_fits)
{
    struct window w;

    window_init(&w, SECOND, 3);
    CHECK_INT(window_wait_us(&w, 0, 4), CLOCK_NEVER_US);
    CHECK_INT(window_wait_us(&w, 0, 3), 0);
    window_fini(&w);
}

TEST(asking_without_adding_changes_nothing)
{
    struct window w;

    window_init(&w, SECOND, 2);
    window_add(&w, 10, 2);
    for (int64_t now = 10; now < SECOND + 10; now += 1000)
        CHECK_INT(window_wait_us(&w, now, 1), SECOND + 10 - now);
    CHECK_INT(window_wait_us(&w, SECOND + 10, 2), 0);
    window_fini(&w);
}

TEST(no_span_across_a_boundary_holds_twice_the_limit)
{
    struct window w;
    int64_t passed_n = 0;

    window_init(&w, SECOND, 100);
    for (int64_t now = SECOND - 1000; now < SECOND + 1000; now += 10)
        passed_n += let_through(&w, now, 1);
    CHECK_INT(passed_n, 100);
    window_fini(&w);
}

TEST(a_steady_client_at_the_limit_is_never_refused)
{
    struct window w;
    int refused_n = 0;

    window_init(&w, 60 * SECOND, 60);
    for (int64_t i = 0; i < 600; i++)
        refused_n += !let_through(&w, i * SECOND, 1);
    CHECK_INT(refused_n, 0);
    window_fini(&w);
}

TEST(a_clock_that_goes_back_frees_and_blocks_nothing)
{
    struct window w;

    window_init(&w, SECOND, 2);
    CHECK(let_through(&w, 5 * SECOND, 1));
    CHECK(let_through(&w, 4 * SECOND, 1)); /* remembered as of second 5 */
    CHECK(!let_through(&w, 0, 1));
    CHECK(!let_through(&w, 6 * SECOND - 1, 1));
    CHECK(let_through(&w, 6 * SECOND, 2));
    window_fini(&w);
}

TEST(what_another_clock_sees_late_is_not_remembered_as_earlier)
{
    struct window w;

    window_init(&w, SECOND, 1);
    CHECK(let_through(&w, 0, 1));
    CHECK(let_through(&w, SECOND, 1));
    window_fini(&w);
    window_init(&w, SECOND, 1);
    CHECK(let_through(&w, 0, 1));
    CHECK_INT(window_wait_us(&w, SECOND, 1), 0); /* one worker looks */
    CHECK(let_through(&w, SECOND - 5, 1));       /* and another, which is behind, takes */
    CHECK_INT(window_wait_us(&w, 2 * SECOND - 1, 1), 1);
    window_fini(&w);
}

TEST(sums_and_times_do_not_overflow)
{
    struct window w;

    window_init(&w, 3600 * SECOND, INT64_MAX);
    window_add(&w, 0, INT64_MAX);
    window_add(&w, 1, INT64_MAX);
    CHECK_INT(w.used, INT64_MAX);
    CHECK_INT(window_left(&w, 1), 0);
    CHECK_INT(window_wait_us(&w, 1, INT64_MAX), 3600 * SECOND - 1);
    window_fini(&w);
    window_init(&w, 3600 * SECOND, 1);
    window_add(&w, INT64_MAX - 10, 1);
    CHECK_INT(window_wait_us(&w, INT64_MAX - 5, 1), 5); /* there is no later time */
    window_fini(&w);
}

TEST(what_was_given_back_fits_again_and_only_while_it_counts)
{
    struct window w;
    int64_t first, second;

    window_init(&w, SECOND, 10);
    first = window_add(&w, 0, 6);
    second = window_add(&w, 500, 4);
    window_give_back(&w, 600, first, 5);
    CHECK_INT(window_left(&w, 600), 5);
    window_give_back(&w, SECOND, first, 1); /* forgotten: must not be taken from the second */
    CHECK_INT(window_left(&w, SECOND), 6);
    window_give_back(&w, SECOND, second, 100);
    CHECK_INT(window_left(&w, SECOND), 10);
    CHECK_INT(window_reset_us(&w, SECOND), 0);
    window_fini(&w);
}

TEST(what_was_let_through_before_the_window_began_is_not_taken_from_others)
{
    struct window w;

    window_init(&w, SECOND, 10);
    window_add(&w, 500, 4);
    window_give_back(&w, 600, 499, 3);
    CHECK_INT(window_left(&w, 600), 6);
    window_fini(&w);
}

TEST(giving_back_again_and_again_needs_no_more_memory)
{
    struct window w;

    window_init(&w, 60 * SECOND, 2);
    for (int64_t i = 0; i < 100000; i++) {
        int64_t then = window_add(&w, i, 1);
        if (i % 2 == 0)
            window_add(&w, i, 1);
        window_give_back(&w, i, then, 2);
    }
    CHECK(w.cap <= WINDOW_GRAINS);
    CHECK_INT(window_left(&w, 100000), 2);
    window_fini(&w);
}

TEST(a_changed_limit_keeps_what_was_counted)
{
    struct window w;

    window_init(&w, SECOND, 10);
    window_add(&w, 0, 8);
    window_set_limit(&w, 5);
    CHECK_INT(window_left(&w, 1), 0);
    CHECK_INT(window_wait_us(&w, 1, 1), SECOND - 1);
    window_set_limit(&w, 9);
    CHECK_INT(window_left(&w, 1), 1);
    window_fini(&w);
}

/* -- against a model that remembers every unit ----------------------------------------------------------- */

struct unit {
    int64_t at_us, cost;
    bool back;
};

struct model {
    struct unit units[UNITS_MAX];
    size_t n, oldest;
    int64_t span_us;
};

static int64_t model_used(struct model *m, int64_t now_us, int64_t slack_us)
{
    int64_t used = 0;

    while (m->oldest < m->n && now_us - m->units[m->oldest].at_us >= m->span_us + slack_us)
        m->oldest++;
    for (size_t i = m->oldest; i < m->n; i++)
        used += m->units[i].back || now_us - m->units[i].at_us >= m->span_us ? 0 : m->units[i].cost;
    return used;
}

/* Whether every unit that the window still may count is within the slack. */
static int64_t model_used_late(const struct model *m, int64_t now_us, int64_t slack_us)
{
    int64_t used = 0;

    for (size_t i = m->oldest; i < m->n; i++)
        used +=
            m->units[i].back || now_us - m->units[i].at_us >= m->span_us + slack_us ? 0 : m->units[i].cost;
    return used;
}

/* Random arrivals, bursts and pauses; never more than the limit in a span that ends now, and never refused
 * when even all that came within the slack before it would leave room. */
static void drive(uint64_t seed, int64_t limit, int64_t cost_max, bool gives_back)
{
    struct model *m = MEM_NEW(struct model);
    int64_t now = 0, slack, passed_n = 0, refused_n = 0, wrong_n = 0;
    struct window w;
    struct rng dice;

    rng_seed(&dice, seed);
    m->span_us = 60 * SECOND;
    slack = limit > WINDOW_GRAINS ? m->span_us / 250 : 0;
    window_init(&w, m->span_us, limit);
    while (m->n < UNITS_MAX) {
        int64_t cost = 1 + (int64_t)rng_below(&dice, (uint64_t)cost_max), wait;

        if (rng_below(&dice, 50 + 4 * (uint64_t)(limit / cost_max)) == 0)
            now += (int64_t)rng_below(&dice, 60 * SECOND);
        else if (rng_below(&dice, 3) == 0)
            now += (int64_t)rng_below(&dice, (uint64_t)(60 * SECOND / limit * cost_max / 2 + 1));
        wait = window_wait_us(&w, now, cost);
        if (wait == 0) {
            wrong_n += model_used(m, now, slack) + cost > limit;
            m->units[m->n++] = (struct unit){window_add(&w, now, cost), cost, false};
            passed_n++;
        } else {
            model_used(m, now, slack);
            wrong_n += model_used_late(m, now, slack) + cost <= limit;
            wrong_n += window_wait_us(&w, now + wait - 1, cost) == 0; /* the wait is the shortest */
            now += wait;
            wrong_n += window_wait_us(&w, now, cost) != 0; /* and long enough */
            refused_n++;
        }
        if (gives_back && m->n > 0 && rng_below(&dice, 4) == 0) {
            struct unit *u = &m->units[m->oldest + rng_below(&dice, m->n - m->oldest)];

            if (!u->back)
                window_give_back(&w, now, u->at_us, u->cost);
            u->back = true;
        }
        wrong_n += w.n > WINDOW_GRAINS || w.cap > WINDOW_GRAINS;
    }
    CHECK_INT(wrong_n, 0);
    CHECK(passed_n > 1000 && refused_n > 100);
    window_fini(&w);
    mem_free(m);
}

TEST(exactly_n_in_any_span_small_limits)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        drive(seed, 1, 1, false);
        drive(seed, 7, 1, true);
        drive(seed, 60, 3, true);
        drive(seed, WINDOW_GRAINS, 1, true);
    }
}

TEST(never_more_than_n_in_any_span_large_limits)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        drive(seed, WINDOW_GRAINS + 1, 1, false);
        drive(seed, 2000, 3, true);
        drive(seed, 200000, 3000, true);
    }
}
