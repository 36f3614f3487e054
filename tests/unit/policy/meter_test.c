/* SPDX-License-Identifier: MIT */
/* A set of limits: which one is named, what settling gives back, and what a change of the numbers keeps. */
#include "policy/meter.h"

#include "base/clock.h"
#include "tap.h"

#define SECOND CLOCK_SECOND_US

#define LIMITS(...) (&(struct config_limits){.n = {__VA_ARGS__}})

static enum limit refused_by(struct meter *m, int64_t now_us, int64_t tokens, int64_t *wait_us)
{
    struct meter_refusal why;

    if (meter_ask(m, now_us, tokens, &why))
        return LIMIT_N;
    *wait_us = why.wait_us;
    return why.limit;
}

TEST(each_limit_refuses_with_its_own_wait)
{
    struct meter m;
    int64_t wait = 0;

    meter_init(&m, LIMITS([LIMIT_RPS] = 2, [LIMIT_RPM] = 3, [LIMIT_TPM] = 100, [LIMIT_INFLIGHT] = 3));
    meter_reserve(&m, 0, 10);
    CHECK_INT(refused_by(&m, 0, 91, &wait), LIMIT_TPM);
    CHECK_INT(wait, 60 * SECOND);
    CHECK_INT(refused_by(&m, 0, 101, &wait), LIMIT_TPM);
    CHECK_INT(wait, CLOCK_NEVER_US);
    CHECK_INT(refused_by(&m, 0, 90, &wait), LIMIT_N);
    meter_reserve(&m, 0, 10);
    CHECK_INT(refused_by(&m, 1000, 1, &wait), LIMIT_RPS);
    CHECK_INT(wait, SECOND - 1000);
    CHECK_INT(refused_by(&m, 1000, 90, &wait), LIMIT_TPM); /* the longer wait is the one that counts */
    meter_reserve(&m, SECOND, 10);
    CHECK_INT(refused_by(&m, SECOND, 1, &wait), LIMIT_RPM);
    CHECK_INT(wait, 59 * SECOND);
    CHECK_INT(refused_by(&m, 60 * SECOND, 1, &wait), LIMIT_INFLIGHT);
    CHECK_INT(wait, 0);
    meter_fini(&m);
}

TEST(tokens_are_settled_to_what_was_used)
{
    struct meter m;

    meter_init(&m, LIMITS([LIMIT_TPM] = 100));
    meter_reserve(&m, 0, 80);
    CHECK_INT(meter_tokens(&m, 0).left, 20);
    meter_settle(&m, SECOND, &(struct meter_use){0, 80, 30, true});
    CHECK_INT(meter_tokens(&m, SECOND).left, 70);
    CHECK_INT(meter_tokens(&m, SECOND).reset_us,
              59 * SECOND); /* they count from when they were let through */
    meter_reserve(&m, 2 * SECOND, 10);
    meter_settle(&m, 3 * SECOND, &(struct meter_use){2 * SECOND, 10, 90, true});
    CHECK_INT(meter_tokens(&m, 3 * SECOND).left, 0); /* 120 of 100: never below 0 */
    CHECK_INT(meter_tokens(&m, 60 * SECOND).left, 10);
    CHECK_INT(meter_tokens(&m, 62 * SECOND).left, 20); /* what went beyond counts from when that was known */
    CHECK_INT(meter_tokens(&m, 63 * SECOND).left, 100);
    meter_fini(&m);
}

TEST(what_was_never_sent_counts_for_nothing)
{
    struct meter m;

    meter_init(&m, LIMITS([LIMIT_RPM] = 1, [LIMIT_RPH] = 1, [LIMIT_TPM] = 100, [LIMIT_INFLIGHT] = 1));
    meter_reserve(&m, 0, 50);
    CHECK_INT(meter_requests(&m, 1).left, 0);
    meter_settle(&m, SECOND, &(struct meter_use){0, 50, 999, false});
    CHECK_INT(meter_requests(&m, SECOND).left, 1);
    CHECK_INT(meter_tokens(&m, SECOND).left, 100);
    CHECK_INT(m.inflight, 0);
    meter_fini(&m);
}

TEST(the_tightest_window_is_shown)
{
    struct meter m;

    meter_init(&m, LIMITS([LIMIT_RPS] = 2, [LIMIT_RPM] = 3));
    CHECK_INT(meter_requests(&m, 0).n, 2);
    for (int i = 0; i < 2; i++)
        meter_reserve(&m, i * SECOND, 0);
    CHECK_INT(meter_requests(&m, SECOND).n, 3); /* one left in each: the one that takes longer */
    CHECK_INT(meter_requests(&m, SECOND).left, 1);
    CHECK_INT(meter_requests(&m, SECOND).reset_us, 60 * SECOND);
    CHECK_INT(meter_tokens(&m, SECOND).n, 0);
    meter_fini(&m);
}

TEST(other_numbers_keep_what_was_counted_where_the_kind_stays)
{
    struct meter m;

    meter_init(&m, LIMITS([LIMIT_RPM] = 5, [LIMIT_TPM] = 100));
    meter_reserve(&m, 0, 40);
    meter_reserve(&m, 0, 40);
    meter_set_limits(&m, LIMITS([LIMIT_RPM] = 3, [LIMIT_RPH] = 9));
    CHECK_INT(meter_requests(&m, 1).left, 1);
    CHECK_INT(meter_tokens(&m, 1).n, 0);
    meter_settle(&m, 1, &(struct meter_use){0, 40, 10, true});
    meter_set_limits(&m, LIMITS([LIMIT_TPM] = 50, [LIMIT_INFLIGHT] = 1));
    CHECK_INT(meter_tokens(&m, 2).left, 50); /* a new window: it knows of nothing before it */
    meter_settle(&m, 3, &(struct meter_use){0, 40, 10, true});
    CHECK_INT(meter_tokens(&m, 3).left, 50);
    CHECK_INT(m.inflight, 0);
    meter_fini(&m);
}
