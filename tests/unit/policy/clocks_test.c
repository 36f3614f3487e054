/* SPDX-License-Identifier: MIT */
/* policy/clocks: which clock runs when, and how far a client's patience is trusted. */
#include "policy/clocks.h"

#include <math.h>

#include "base/clock.h"
#include "tap.h"

#define S(n) ((n)*CLOCK_SECOND_US)

/* Sent at 100 s; transport 60 s, progress 150 s, deadline 600 s later, stream_max 3600 s later. */
static struct clocks example(bool streaming)
{
    return (struct clocks){
        .streaming = streaming,
        .transport_us = S(60),
        .progress_us = S(150),
        .deadline_at_us = S(700),
        .stream_max_at_us = S(3700),
        .last_byte_us = S(100),
    };
}

/* The clock with this outcome runs out at due and not a microsecond before. */
static void check_due(const struct clocks *c, int64_t due_us, enum outcome o)
{
    CHECK_INT(clocks_due(c), due_us);
    CHECK_INT(clocks_check(c, due_us - 1, false), OUTCOME_OK);
    CHECK_INT(clocks_check(c, due_us, false), o);
    CHECK_INT(clocks_check(c, due_us + 1, false), o);
}

TEST(a_plain_call_has_only_the_deadline)
{
    struct clocks c = example(false);

    check_due(&c, S(700), OUTCOME_DEADLINE);
    c.last_payload_us = S(101);
    check_due(&c, S(700), OUTCOME_DEADLINE);
}

TEST(transport_counts_from_the_last_byte)
{
    struct clocks c = example(true);

    check_due(&c, S(160), OUTCOME_TRANSPORT_TIMEOUT);
    c.last_byte_us = S(155);
    check_due(&c, S(215), OUTCOME_TRANSPORT_TIMEOUT);
}

TEST(comments_alone_end_at_the_deadline)
{
    struct clocks c = example(true);

    c.last_byte_us = S(699); /* no payload yet: progress does not run, however long it takes */
    check_due(&c, S(700), OUTCOME_DEADLINE);
}

TEST(after_the_first_payload_progress_and_stream_max_rule)
{
    struct clocks c = example(true);

    c.last_payload_us = S(600);
    c.last_byte_us = S(740); /* comments go on: the deadline has passed and counts no more */
    check_due(&c, S(750), OUTCOME_STALLED);
    c.last_payload_us = c.last_byte_us = S(3690);
    check_due(&c, S(3700), OUTCOME_DEADLINE);
}

TEST(the_first_clock_to_run_out_is_the_cause)
{
    struct clocks c = example(true);

    CHECK_INT(clocks_check(&c, S(9000), false), OUTCOME_TRANSPORT_TIMEOUT);
    c.transport_us = S(600);
    CHECK_INT(clocks_check(&c, S(9000), false), OUTCOME_DEADLINE); /* at the same point it blames nobody */
    c.last_payload_us = S(100);
    CHECK_INT(clocks_check(&c, S(9000), false), OUTCOME_STALLED);
}

TEST(a_pause_stops_the_silences_but_not_the_end)
{
    struct clocks c = example(true);

    CHECK_INT(clocks_check(&c, S(699), true), OUTCOME_OK);
    CHECK_INT(clocks_check(&c, S(700), true), OUTCOME_DEADLINE);
    CHECK_INT(clocks_due_paused(&c), S(700));
    c.last_payload_us = S(110);
    CHECK_INT(clocks_check(&c, S(3699), true), OUTCOME_OK);
    CHECK_INT(clocks_check(&c, S(3700), true), OUTCOME_DEADLINE);
    CHECK_INT(clocks_due_paused(&c), S(3700));
}

TEST(after_a_pause_the_silences_start_anew)
{
    struct clocks c = example(true);

    clocks_resume(&c, S(500));
    CHECK_INT(c.last_payload_us, 0); /* a pause is no payload */
    check_due(&c, S(560), OUTCOME_TRANSPORT_TIMEOUT);
    c.last_payload_us = S(510);
    c.transport_us = S(1000);
    clocks_resume(&c, S(800));
    check_due(&c, S(950), OUTCOME_STALLED);
}

TEST(bounds_without_end_never_run_out)
{
    struct clocks c = example(true);

    c.transport_us = c.progress_us = c.deadline_at_us = c.stream_max_at_us = CLOCK_NEVER_US;
    CHECK_INT(clocks_due(&c), CLOCK_NEVER_US);
    CHECK_INT(clocks_check(&c, CLOCK_NEVER_US - 1, false), OUTCOME_OK);
    c.last_payload_us = S(200);
    CHECK_INT(clocks_due(&c), CLOCK_NEVER_US);
}

TEST(the_deadline_is_the_smallest_of_three)
{
    CHECK_INT(clocks_deadline(S(10), S(600), 0, 0), S(610));
    CHECK_INT(clocks_deadline(S(10), S(600), 5000, 0), S(15));
    CHECK_INT(clocks_deadline(S(10), S(600), 5000, 2), S(10) + S(2) - 100 * CLOCK_MS_US);
    CHECK_INT(clocks_deadline(S(10), S(1), 5000, 20), S(11));
    CHECK_INT(clocks_deadline(S(10), S(600), 1, 0), S(10) + CLOCK_MS_US);
    CHECK_INT(clocks_deadline(S(10), S(600), 600000, 0), S(610));
}

TEST(a_client_s_patience_keeps_a_margin)
{
    CHECK_INT(clocks_deadline(0, S(6000), 0, 600), S(588));                 /* 2 % */
    CHECK_INT(clocks_deadline(0, S(6000), 0, 5), S(5) - 100 * CLOCK_MS_US); /* at least 100 ms */
    CHECK_INT(clocks_deadline(0, S(6000), 0, 0.3), 200 * CLOCK_MS_US);
    CHECK_INT(clocks_deadline(0, S(6000), 0, 0.12), 50 * CLOCK_MS_US); /* never below 50 ms */
    CHECK_INT(clocks_deadline(0, S(6000), 0, 1e-9), 50 * CLOCK_MS_US);
}

TEST(absurd_patience_is_ignored)
{
    static const double absurd[] = {NAN, -NAN, INFINITY, -INFINITY, -1, -1e300, 1e300, 1e10, 0, -0.0};

    for (size_t i = 0; i < sizeof(absurd) / sizeof(absurd[0]); i++)
        CHECK_INT(clocks_deadline(S(1), S(600), 0, absurd[i]), S(601));
    CHECK_INT(clocks_deadline(S(1), S(600), INT64_MAX, 0), S(601));
    CHECK_INT(clocks_deadline(S(1), S(600), -5, 0), S(601));
    CHECK_INT(clocks_deadline(S(1), S(600), INT64_MIN, 0), S(601));
}

TEST(no_sum_overflows)
{
    CHECK_INT(clocks_deadline(S(1), CLOCK_NEVER_US, INT64_MAX, 0), CLOCK_NEVER_US);
    CHECK_INT(clocks_deadline(INT64_MAX - 5, S(600), 0, 0), CLOCK_NEVER_US);
}
