/* SPDX-License-Identifier: MIT */
/* policy/breaker: every rule of it alone. breaker_random_test.c holds it against a model. */
#include "policy/breaker.h"

#include "base/rng.h"
#include "tap.h"

#define S CLOCK_SECOND_US

struct bench {
    struct breaker b;
    struct rng dice;
    int64_t now;
};

static void start(struct bench *x, uint64_t seed)
{
    breaker_init(&x->b, BREAKER_RUN);
    rng_seed(&x->dice, seed);
    x->now = 1000 * S;
}

static void give(struct bench *x, struct breaker_pass *p, enum outcome_breaker how)
{
    breaker_report(&x->b, p, how, x->now, &x->dice);
    breaker_check(&x->b);
}

/* A call that is over at once. Returns the kind of its pass. */
static int call(struct bench *x, enum outcome_breaker how)
{
    struct breaker_pass p = breaker_take(&x->b, x->now);
    int kind = p.kind;

    give(x, &p, how);
    return kind;
}

static void fail_until_open(struct bench *x)
{
    for (int i = 0; i < BREAKER_RUN; i++)
        CHECK_INT(call(x, BREAKER_FAILURE), PASS_NORMAL);
    CHECK_INT(x->b.state, BREAKER_OPEN);
}

/* To the moment when it may be asked again. */
static void wait_until_due(struct bench *x)
{
    int64_t due = breaker_next_us(&x->b, x->now);

    x->now = due - 1;
    CHECK(!breaker_may(&x->b, x->now));
    CHECK_INT(call(x, BREAKER_SUCCESS), PASS_NONE);
    x->now = due;
    CHECK(breaker_may(&x->b, x->now));
}

TEST(five_failures_in_a_row_open_it)
{
    struct bench x;

    start(&x, 1);
    for (int i = 0; i < 100; i++) /* so many successes that the share stays above the bound */
        call(&x, BREAKER_SUCCESS);
    for (int i = 0; i < BREAKER_RUN - 1; i++)
        call(&x, BREAKER_FAILURE);
    CHECK_INT(x.b.state, BREAKER_CLOSED);
    call(&x, BREAKER_SUCCESS); /* begins the count anew */
    for (int i = 0; i < BREAKER_RUN - 1; i++)
        call(&x, BREAKER_FAILURE);
    CHECK_INT(x.b.state, BREAKER_CLOSED);
    call(&x, BREAKER_FAILURE);
    CHECK_INT(x.b.state, BREAKER_OPEN);
}

TEST(less_than_four_in_five_within_30_s_opens_it)
{
    struct bench x;

    start(&x, 2);
    call(&x, BREAKER_FAILURE);
    for (int i = 0; i < 3; i++)
        call(&x, BREAKER_SUCCESS);
    CHECK_INT(x.b.state, BREAKER_CLOSED); /* one of four, but four are too few */
    call(&x, BREAKER_SUCCESS);            /* four of five: just enough */
    CHECK_INT(x.b.state, BREAKER_CLOSED);
    call(&x, BREAKER_FAILURE); /* four of six */
    CHECK_INT(x.b.state, BREAKER_OPEN);
}

TEST(what_is_30_s_old_does_not_count)
{
    struct bench x;

    start(&x, 3);
    for (int round = 0; round < 20; round++) { /* half fail, but never five within the window */
        call(&x, BREAKER_FAILURE);
        call(&x, BREAKER_SUCCESS);
        x.now += 15 * S;
        CHECK_INT(x.b.state, BREAKER_CLOSED);
    }
    for (int i = 0; i < 2; i++) {
        call(&x, BREAKER_SUCCESS);
        call(&x, BREAKER_FAILURE);
    }
    CHECK_INT(x.b.state, BREAKER_OPEN);
}

TEST(t12_busy_and_client_errors_neither_open_nor_close_it)
{
    struct bench x;

    start(&x, 4);
    for (int i = 0; i < 1000; i++)
        CHECK_INT(call(&x, BREAKER_NOTHING), PASS_NORMAL);
    CHECK_INT(x.b.state, BREAKER_CLOSED);
    for (int i = 0; i < BREAKER_RUN - 1; i++) {
        call(&x, BREAKER_FAILURE);
        call(&x, BREAKER_NOTHING); /* and do not interrupt a run of failures */
    }
    call(&x, BREAKER_FAILURE);
    CHECK_INT(x.b.state, BREAKER_OPEN);
    wait_until_due(&x);
    CHECK_INT(call(&x, BREAKER_NOTHING), PASS_PROBE); /* a 400 does not close it */
    CHECK_INT(x.b.state, BREAKER_PROBE);
}

TEST(openings_double_with_equal_jitter_up_to_the_longest)
{
    struct bench x;
    int64_t shortest[8], longest[8];

    for (int n = 0; n < 8; n++) {
        shortest[n] = INT64_MAX;
        longest[n] = 0;
    }
    for (uint64_t seed = 0; seed < 200; seed++) {
        start(&x, seed);
        fail_until_open(&x);
        for (int n = 0; n < 8; n++) {
            int64_t lasts = breaker_next_us(&x.b, x.now) - x.now;
            int64_t whole = BREAKER_FIRST_US << (n > 5 ? 5 : n);
            if (!CHECK(lasts >= whole / 2 && lasts <= whole))
                return;
            shortest[n] = lasts < shortest[n] ? lasts : shortest[n];
            longest[n] = lasts > longest[n] ? lasts : longest[n];
            wait_until_due(&x);
            CHECK_INT(call(&x, BREAKER_FAILURE), PASS_PROBE);
        }
    }
    for (int n = 0; n < 8; n++) { /* the dice use the whole span */
        int64_t whole = BREAKER_FIRST_US << (n > 5 ? 5 : n);
        CHECK(shortest[n] < whole * 11 / 20 && longest[n] > whole * 19 / 20);
    }
}

TEST(one_probe_at_a_time)
{
    struct bench x;

    start(&x, 5);
    fail_until_open(&x);
    wait_until_due(&x);
    struct breaker_pass probe = breaker_take(&x.b, x.now);
    CHECK_INT(probe.kind, PASS_PROBE);
    for (int i = 0; i < 100; i++)
        CHECK_INT(breaker_take(&x.b, x.now + i).kind, PASS_NONE);
    CHECK_INT(breaker_next_us(&x.b, x.now), x.now + BREAKER_LEASE_US);
    give(&x, &probe, BREAKER_SUCCESS);
    CHECK_INT(x.b.state, BREAKER_RAMP);
}

TEST(t29_load_comes_back_in_steps)
{
    struct bench x;
    struct breaker_pass out[BREAKER_WHOLE] = {{0}};

    start(&x, 6);
    fail_until_open(&x);
    wait_until_due(&x);
    CHECK_INT(call(&x, BREAKER_SUCCESS), PASS_PROBE);
    for (int allowed = 2; allowed < BREAKER_WHOLE; allowed *= 2) {
        CHECK_INT(x.b.state, BREAKER_RAMP);
        for (int i = 0; i < allowed; i++) {
            out[i] = breaker_take(&x.b, x.now);
            CHECK_INT(out[i].kind, PASS_RAMP);
        }
        CHECK_INT(breaker_take(&x.b, x.now).kind, PASS_NONE);
        for (int i = 1; i < allowed; i++)
            give(&x, &out[i], BREAKER_NOTHING);
        give(&x, &out[0], BREAKER_SUCCESS); /* one success is one step */
    }
    CHECK_INT(x.b.state, BREAKER_CLOSED);
    for (int i = 0; i < 1000; i++)
        CHECK_INT(breaker_take(&x.b, x.now).kind, PASS_NORMAL);
}

TEST(a_failure_in_the_ramp_opens_it_for_longer)
{
    struct bench x;

    start(&x, 7);
    fail_until_open(&x);
    wait_until_due(&x);
    call(&x, BREAKER_SUCCESS);
    CHECK_INT(call(&x, BREAKER_FAILURE), PASS_RAMP);
    CHECK_INT(x.b.state, BREAKER_OPEN);
    CHECK(breaker_next_us(&x.b, x.now) - x.now >= BREAKER_FIRST_US); /* half of the second opening */
}

TEST(a_first_payload_event_is_proof_enough)
{
    struct bench x;

    start(&x, 8);
    fail_until_open(&x);
    wait_until_due(&x);
    struct breaker_pass probe = breaker_take(&x.b, x.now);
    breaker_alive(&x.b, &probe, x.now);
    breaker_alive(&x.b, &probe, x.now);
    CHECK_INT(x.b.state, BREAKER_RAMP);
    CHECK_INT(x.b.allowed, 2);
    CHECK_INT(x.b.used, 1);
    give(&x, &probe, BREAKER_SUCCESS); /* the same success, told again: no second step */
    CHECK_INT(x.b.allowed, 2);
    CHECK_INT(x.b.used, 0);

    probe = breaker_take(&x.b, x.now);
    breaker_alive(&x.b, &probe, x.now);
    give(&x, &probe, BREAKER_FAILURE); /* it broke off later: still a failure */
    CHECK_INT(x.b.state, BREAKER_OPEN);
}

TEST(streams_that_begin_and_break_open_it)
{
    struct bench x;

    start(&x, 9);
    for (int i = 0; i < BREAKER_RUN; i++) {
        struct breaker_pass p = breaker_take(&x.b, x.now);
        breaker_alive(&x.b, &p, x.now);
        give(&x, &p, BREAKER_FAILURE);
    }
    CHECK_INT(x.b.state, BREAKER_OPEN);
}

TEST(t12_an_abandoned_probe_makes_room_for_the_next)
{
    struct bench x;

    start(&x, 10);
    fail_until_open(&x);
    wait_until_due(&x);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(call(&x, BREAKER_NOTHING), PASS_PROBE);
        CHECK_INT(breaker_next_us(&x.b, x.now), x.now + BREAKER_AGAIN_US);
        wait_until_due(&x);
    }
    CHECK_INT(call(&x, BREAKER_SUCCESS), PASS_PROBE);
    CHECK_INT(x.b.state, BREAKER_RAMP);
}

TEST(t12_a_forgotten_probe_does_not_hold_it_for_ever)
{
    struct bench x;

    start(&x, 11);
    fail_until_open(&x);
    wait_until_due(&x);
    struct breaker_pass lost = breaker_take(&x.b, x.now);
    wait_until_due(&x);
    struct breaker_pass probe = breaker_take(&x.b, x.now);
    CHECK_INT(probe.kind, PASS_PROBE);
    give(&x, &lost, BREAKER_FAILURE); /* what it met is old: the one that is out decides */
    CHECK_INT(x.b.state, BREAKER_PROBE);
    CHECK_INT(breaker_take(&x.b, x.now).kind, PASS_NONE);
    give(&x, &probe, BREAKER_SUCCESS);
    CHECK_INT(x.b.state, BREAKER_RAMP);
}

TEST(a_slow_endpoint_recovers_by_late_successes)
{
    struct bench x;

    start(&x, 12);
    fail_until_open(&x);
    wait_until_due(&x);
    struct breaker_pass slow = breaker_take(&x.b, x.now);
    wait_until_due(&x);
    struct breaker_pass next = breaker_take(&x.b, x.now);
    give(&x, &slow, BREAKER_SUCCESS);
    CHECK_INT(x.b.state, BREAKER_RAMP);
    CHECK_INT(x.b.used, 1);
    give(&x, &next, BREAKER_NOTHING);
    CHECK_INT(x.b.used, 0);
}

TEST(t29_forgotten_passes_do_not_hold_the_ramp)
{
    struct bench x;

    start(&x, 13);
    fail_until_open(&x);
    wait_until_due(&x);
    call(&x, BREAKER_SUCCESS);
    struct breaker_pass one = breaker_take(&x.b, x.now), two = breaker_take(&x.b, x.now);
    wait_until_due(&x);
    CHECK_INT(call(&x, BREAKER_SUCCESS), PASS_RAMP);
    CHECK_INT(x.b.allowed, 4);
    give(&x, &one, BREAKER_FAILURE);
    give(&x, &two, BREAKER_NOTHING);
    CHECK_INT(x.b.state, BREAKER_RAMP);
    CHECK_INT(x.b.used, 0);
}

TEST(a_pass_is_given_back_once)
{
    struct bench x;
    struct breaker_pass none = {0};

    start(&x, 14);
    for (int i = 0; i < 20; i++)
        give(&x, &none, BREAKER_FAILURE);
    struct breaker_pass p = breaker_take(&x.b, x.now);
    for (int i = 0; i < 20; i++)
        give(&x, &p, BREAKER_FAILURE);
    CHECK_INT(p.kind, PASS_NONE);
    CHECK_INT(x.b.run, 1);
}

TEST(passes_from_before_an_opening_tell_nothing)
{
    struct bench x;
    struct breaker_pass old[8];

    start(&x, 15);
    for (int i = 0; i < 8; i++)
        old[i] = breaker_take(&x.b, x.now);
    fail_until_open(&x);
    int64_t due = breaker_next_us(&x.b, x.now);
    give(&x, &old[0], BREAKER_SUCCESS);
    give(&x, &old[1], BREAKER_FAILURE);
    CHECK_INT(breaker_next_us(&x.b, x.now), due);
    wait_until_due(&x);
    struct breaker_pass probe = breaker_take(&x.b, x.now);
    give(&x, &old[2], BREAKER_SUCCESS);
    give(&x, &old[3], BREAKER_FAILURE);
    CHECK_INT(x.b.state, BREAKER_PROBE);
    give(&x, &probe, BREAKER_SUCCESS);
    give(&x, &old[4], BREAKER_FAILURE);
    CHECK_INT(x.b.state, BREAKER_RAMP);
}

/* From open to closed with nothing but successes. */
static void recover(struct bench *x)
{
    wait_until_due(x);
    for (int allowed = 1; allowed < BREAKER_WHOLE; allowed *= 2)
        call(x, BREAKER_SUCCESS);
    CHECK_INT(x->b.state, BREAKER_CLOSED);
}

TEST(flapping_makes_openings_longer_and_calm_makes_them_short)
{
    struct bench x;

    start(&x, 16);
    for (int n = 0; n < 4; n++) {
        fail_until_open(&x);
        CHECK(breaker_next_us(&x.b, x.now) - x.now >= (BREAKER_FIRST_US << n) / 2);
        recover(&x);
        x.now += BREAKER_CALM_US - 1;
    }
    x.now += 1;
    fail_until_open(&x);
    CHECK(breaker_next_us(&x.b, x.now) - x.now <= BREAKER_FIRST_US);
}

TEST(t9_retry_after_is_a_floor_in_every_state)
{
    struct bench x;

    start(&x, 17);
    breaker_cool(&x.b, x.now, 7 * S);
    CHECK_INT(breaker_next_us(&x.b, x.now), x.now + 7 * S);
    CHECK_INT(breaker_take_last(&x.b, x.now).kind, PASS_NONE); /* also for the last one */
    wait_until_due(&x);
    CHECK_INT(call(&x, BREAKER_NOTHING), PASS_NORMAL);
    CHECK_INT(x.b.state, BREAKER_CLOSED); /* busy is not broken */

    fail_until_open(&x);
    breaker_cool(&x.b, x.now, 20 * S);
    CHECK_INT(breaker_next_us(&x.b, x.now), x.now + 20 * S);
    wait_until_due(&x);
    CHECK_INT(call(&x, BREAKER_NOTHING), PASS_PROBE);
}

TEST(t9_an_end_is_never_earlier_nor_absurdly_late)
{
    struct bench x;

    start(&x, 18);
    int64_t end = x.now + 10 * S;
    breaker_cool(&x.b, x.now, 10 * S);
    breaker_cool(&x.b, x.now + 1, 2 * S);
    breaker_cool(&x.b, x.now + 2, 0);
    breaker_cool(&x.b, x.now + 3, -1);
    CHECK_INT(breaker_next_us(&x.b, x.now + 3), end);
    for (int i = 0; i < 1000; i++) /* asking during it, as clients that retry do, changes nothing */
        CHECK_INT(breaker_take(&x.b, x.now + 4 + i).kind, PASS_NONE);
    CHECK_INT(breaker_next_us(&x.b, x.now + 3), end);
    x.now = end;
    breaker_cool(&x.b, x.now, INT64_MAX);
    CHECK_INT(breaker_next_us(&x.b, x.now), x.now + BREAKER_COOL_MAX_US);
}

TEST(the_last_endpoint_always_has_a_pass)
{
    struct bench x;

    start(&x, 19);
    CHECK_INT(breaker_take_last(&x.b, x.now).kind, PASS_NORMAL);
    fail_until_open(&x);
    int64_t due = breaker_next_us(&x.b, x.now);
    for (int i = 0; i < 50; i++) {
        struct breaker_pass p = breaker_take_last(&x.b, x.now);
        CHECK_INT(p.kind, PASS_PACED);
        give(&x, &p, BREAKER_FAILURE); /* no longer an opening for it */
    }
    CHECK_INT(breaker_next_us(&x.b, x.now), due);
    CHECK_INT(breaker_take(&x.b, x.now).kind, PASS_NONE); /* who has others does not come here */
    struct breaker_pass p = breaker_take_last(&x.b, x.now);
    give(&x, &p, BREAKER_SUCCESS); /* as good as a probe */
    CHECK_INT(x.b.state, BREAKER_RAMP);
    CHECK_INT(breaker_take_last(&x.b, x.now).kind, PASS_PACED);
    CHECK_INT(breaker_take(&x.b, x.now).kind, PASS_RAMP);
}

TEST(an_earlier_time_is_taken_as_the_latest)
{
    struct bench x;

    start(&x, 20);
    fail_until_open(&x);
    wait_until_due(&x);
    struct breaker_pass probe = breaker_take(&x.b, x.now);
    breaker_report(&x.b, &probe, BREAKER_FAILURE, 5, &x.dice);
    CHECK(breaker_next_us(&x.b, x.now) >= x.now + BREAKER_FIRST_US);
    CHECK(!breaker_may(&x.b, 5));
}

TEST(states_have_names)
{
    CHECK_STR(breaker_state_name(BREAKER_CLOSED), "closed");
    CHECK_STR(breaker_state_name(BREAKER_OPEN), "open");
    CHECK_STR(breaker_state_name(BREAKER_PROBE), "probe");
    CHECK_STR(breaker_state_name(BREAKER_RAMP), "ramp");
}
