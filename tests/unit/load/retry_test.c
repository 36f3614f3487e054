/* SPDX-License-Identifier: MIT */
/* The SDK's retries: the rules one by one, and whole in virtual time. */
#include "load/retry.h"

#include "base/assert.h"
#include "unit/load/load_kit.h"

struct retry_case {
    int status;
    bool events;
    enum err why;
    int should_retry;
    int64_t after_us; /* Retry-After; -1: none */
    unsigned attempts_n;
    int64_t least_us, most_us; /* -1: it gives up */
};

#define BACKOFF(s) (int64_t)((s)*0.75 * CLOCK_SECOND_US), (int64_t)((s)*CLOCK_SECOND_US)
#define NEVER -1, -1

static const struct retry_case CASES[] = {
    {503, false, ERR_OK, -1, -1, 1, BACKOFF(0.5)},
    {503, false, ERR_OK, -1, -1, 2, BACKOFF(1)},
    {503, false, ERR_OK, -1, -1, 3, NEVER},
    {429, false, ERR_OK, -1, 5 * SECOND, 1, 5 * SECOND, 5 * SECOND},
    {429, false, ERR_OK, -1, 120 * SECOND, 1, 120 * SECOND, 120 * SECOND},
    {429, false, ERR_OK, -1, 121 * SECOND, 1, NEVER},
    {429, false, ERR_OK, -1, 0, 1, BACKOFF(0.5)},
    {408, false, ERR_OK, -1, -1, 1, BACKOFF(0.5)},
    {409, false, ERR_OK, -1, -1, 1, BACKOFF(0.5)},
    {500, false, ERR_OK, 0, 5 * SECOND, 1, NEVER},
    {400, false, ERR_OK, -1, -1, 1, NEVER},
    {400, false, ERR_OK, 1, -1, 1, BACKOFF(0.5)},
    {404, false, ERR_OK, -1, -1, 1, NEVER},
    {302, false, ERR_OK, -1, -1, 1, NEVER},
    {0, false, ERR_REFUSED, -1, -1, 1, BACKOFF(0.5)},
    {0, false, ERR_TIMEOUT, -1, -1, 2, BACKOFF(1)},
    {200, false, ERR_EOF, -1, -1, 1, BACKOFF(0.5)}, /* a plain answer that broke off */
    {200, false, ERR_OK, -1, -1, 1, NEVER},         /* one that is not what was hoped for */
    {200, true, ERR_EOF, -1, -1, 1, NEVER},         /* a stream that broke off */
};

TEST(who_asks_again_and_when)
{
    struct rng dice;

    rng_seed(&dice, 6);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const struct retry_case *c = &CASES[i];
        struct judge j = {.status = c->status,
                          .events = c->events,
                          .should_retry = c->should_retry,
                          .retry_after_us = c->after_us};

        for (int k = 0; k < 100; k++) {
            int64_t us = retry_wait_us(&j, c->why, c->attempts_n, &dice);

            if (!CHECK(us >= c->least_us && us <= c->most_us))
                printf("# case %zu: %lld\n", i, (long long)us);
        }
    }
}

/* The simulator's 429 says Retry-After: 1. */
TEST(a_limit_is_asked_three_times_a_second_apart)
{
    struct sim_opts so;
    struct range r;

    sim_opts_default(&so);
    range_init(&r, &so);
    r.o.prompts.model = SLICE("any~429");
    r.o.sdk = true;
    r.so.limit = 1;
    range_run(&r, 60 * SECOND);
    CHECK_INT(r.done_us, r.began_us + 2 * SECOND);
    CHECK_INT(range_all(&r)->attempts_n, 3);
    CHECK_INT(range_all(&r)->sent_n, 1);
    CHECK_INT(range_reason(&r, "rate_limit_exceeded", 429), 1);
    CHECK_INT(sim_stats(r.sim)->refused_n, 3);
    range_fini(&r);
}

TEST(what_a_retry_wins_counts_from_the_first_intention)
{
    struct sim_opts so;
    struct range r;

    sim_opts_default(&so);
    so.account_limit = 1;
    so.ttft = (struct sim_time){300 * MS, 0};
    so.gap = (struct sim_time){0, 0};
    range_init(&r, &so);
    r.o.sdk = true;
    r.so.limit = 2;
    r.so.rate = 1000; /* the second meets the limit, and comes again a second later */
    range_run(&r, 60 * SECOND);
    CHECK_INT(range_all(&r)->ended_n[END_FULL], 2);
    CHECK_INT(range_all(&r)->attempts_n, 3);
    CHECK_INT(range_all(&r)->total.max_us, 1300 * MS);
    CHECK_INT(range_all(&r)->late.max_us, 0);
    range_fini(&r);
}

TEST(bounds_hold_while_it_backs_off)
{
    struct sim_opts so;
    struct range r;

    sim_opts_default(&so);
    range_init(&r, &so);
    r.o.prompts.model = SLICE("any~429");
    r.o.sdk = true;
    r.o.total_us = 500 * MS;
    r.so.limit = 1;
    range_run(&r, 60 * SECOND);
    CHECK_INT(r.done_us, r.began_us + 500 * MS);
    CHECK_INT(range_reason(&r, "timeout_total", 429), 1);
    CHECK_INT(range_all(&r)->attempts_n, 1);
    range_fini(&r);
}

TEST(stopping_ends_a_backoff)
{
    struct sim_opts so;
    struct range r;

    sim_opts_default(&so);
    range_init(&r, &so);
    r.o.prompts.model = SLICE("any~429");
    r.o.sdk = true;
    r.so.limit = 1;
    range_begin(&r);
    scene_run(&r.sc, 500 * MS);
    CHECK_INT(load_in_flight(r.load), 1);
    load_stop(r.load);
    CHECK_INT(range_all(&r)->ended_n[END_CANCELLED], 1);
    range_fini(&r);
}
