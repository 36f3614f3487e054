/* SPDX-License-Identifier: MIT */
/* policy/health: who may be asked when, and what the ends of calls change of it. */
#include "policy/health.h"

#include "base/rng.h"
#include "tap.h"

#define S CLOCK_SECOND_US

struct bench {
    struct config_endpoint endpoint;
    struct choose_target load;
    struct health h;
    struct rng dice;
    int64_t now;
};

static void begin(struct bench *b, int failures)
{
    *b = (struct bench){.now = 1000 * S};
    rng_seed(&b->dice, 1);
    health_init(&b->h, &b->load, failures);
    b->h.endpoint = &b->endpoint;
}

static bool may(struct bench *b, bool is_last)
{
    return health_next_us(&b->h, b->now, is_last) <= b->now;
}

static void call(struct bench *b, enum outcome o, int64_t retry_after_us)
{
    struct call_report r = {o, retry_after_us, 0, 0};
    struct health_call c = {.taken = false};

    health_take(&b->h, &c, 1000, b->now, b->h.breaker.state != BREAKER_CLOSED);
    health_settle(&b->h, &c, &r, b->now, &b->dice);
    CHECK(c.pass.kind == PASS_NONE && !c.charge.open);
    CHECK_INT(b->load.queued, 0);
}

TEST(failures_running_leave_it_alone_and_zero_means_never)
{
    struct bench b;

    begin(&b, 3);
    for (int i = 0; i < 3; i++)
        call(&b, OUTCOME_SERVER_ERROR, -1);
    CHECK(!health_is_well(&b.h, b.now) && !may(&b, false));
    begin(&b, 0);
    for (int i = 0; i < 300; i++)
        call(&b, OUTCOME_SERVER_ERROR, -1);
    CHECK(health_is_well(&b.h, b.now) && may(&b, false));
}

TEST(the_last_one_is_asked_twice_a_second_until_it_takes_something)
{
    struct bench b;
    int asked_n = 0;

    begin(&b, 5);
    for (int i = 0; i < 5; i++)
        call(&b, OUTCOME_REFUSED, -1);
    for (int i = 0; i < 1000; i++, b.now += 10 * CLOCK_MS_US) { /* ten seconds */
        if (may(&b, true)) {
            call(&b, OUTCOME_REFUSED, -1);
            asked_n++;
        }
    }
    CHECK(asked_n >= 18 && asked_n <= 22);
    while (!may(&b, true))
        b.now += CLOCK_MS_US;
    call(&b, OUTCOME_OK, -1);
    for (int i = 0; i < 5; i++) { /* what it takes pays for more, at once */
        CHECK(may(&b, true));
        call(&b, OUTCOME_OK, -1);
    }
    CHECK(health_is_well(&b.h, b.now));
}

/* It fails two calls of three, by chance, and there is no other: shutting it would only make the third fail
 * as well. */
TEST(the_last_one_that_fails_often_goes_on_at_the_pace_of_what_it_takes)
{
    struct bench b;
    int asked_n = 0;

    begin(&b, 5);
    for (int i = 0; i < 6000; i++, b.now += 10 * CLOCK_MS_US) { /* a minute */
        bool is_last = !health_is_well(&b.h, b.now);

        if (may(&b, is_last)) {
            call(&b, rng_below(&b.dice, 3) == 0 ? OUTCOME_OK : OUTCOME_SERVER_ERROR, -1);
            asked_n++;
        }
    }
    CHECK(asked_n > 4500);
}

TEST(t09_retry_after_is_a_floor_where_it_takes_nobody)
{
    struct bench b;

    begin(&b, 5);
    call(&b, OUTCOME_SERVER_BUSY, 7 * S);
    b.now += 7 * S - 1;
    CHECK(!may(&b, false) && !may(&b, true));
    b.now++;
    CHECK(may(&b, false));
    call(&b, OUTCOME_OK, -1);
    call(&b, OUTCOME_SERVER_BUSY, 7 * S); /* one among many that it takes */
    CHECK(may(&b, false));
}

TEST(a_loading_engine_is_left_alone_for_a_second)
{
    struct bench b;

    begin(&b, 5);
    call(&b, OUTCOME_LOADING, -1);
    CHECK(!may(&b, false));
    b.now += HEALTH_LOADING_US;
    CHECK(may(&b, false));
}

TEST(a_refused_credential_parks_it_longer_each_time_until_it_is_accepted)
{
    struct bench b;

    begin(&b, 5);
    for (int64_t lasts = HEALTH_PARK_US; lasts < HEALTH_PARK_MAX_US; lasts *= 2) {
        call(&b, OUTCOME_CREDENTIAL, -1);
        CHECK_INT(b.h.parked_us - b.now, lasts);
        CHECK(health_is_parked(&b.h, b.now) && !may(&b, true));
        b.now = b.h.parked_us;
        CHECK(may(&b, false));
    }
    CHECK_INT(b.h.park_why, OUTCOME_CREDENTIAL);
    call(&b, OUTCOME_SERVER_BUSY, -1); /* it knows us again */
    CHECK(!health_is_parked(&b.h, b.now) && b.h.park_level == 0);
}

TEST(one_call_tries_at_the_end_of_a_park)
{
    struct bench b;
    struct health_call c = {.taken = false};
    struct call_report r = {OUTCOME_CANCELLED, -1, 0, 0};

    begin(&b, 5);
    call(&b, OUTCOME_BALANCE, -1);
    b.now = b.h.parked_us;
    health_take(&b.h, &c, 10, b.now, false);
    CHECK(!may(&b, false));
    health_settle(&b.h, &c, &r, b.now, &b.dice); /* it told nothing: the next one comes later */
    CHECK(!may(&b, false));
    b.now += HEALTH_TRIAL_US;
    CHECK(may(&b, false));
}

TEST(a_reload_forgets_nothing_but_the_park_of_another_key)
{
    struct bench a, b;

    begin(&a, 5);
    begin(&b, 9);
    a.endpoint.secret = b.endpoint.secret = SLICE("sk-one");
    for (int i = 0; i < 5; i++)
        call(&a, OUTCOME_STALLED, -1);
    call(&a, OUTCOME_CREDENTIAL, -1);
    health_inherit(&b.h, &a.h);
    CHECK(b.h.breaker.state == BREAKER_OPEN && b.h.breaker.run_max == 9);
    CHECK(health_is_parked(&b.h, a.now));
    begin(&b, 5);
    b.endpoint.secret = SLICE("sk-two");
    health_inherit(&b.h, &a.h);
    CHECK(b.h.breaker.state == BREAKER_OPEN && !health_is_parked(&b.h, a.now));
}
