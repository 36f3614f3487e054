/* SPDX-License-Identifier: MIT */
/* Prices by the time of the week. */
#include "policy/price.h"

#include "base/clock.h"
#include "tap.h"

#define MIN_US (60 * CLOCK_SECOND_US)
#define HOUR_US (60 * MIN_US)
#define DAY_US (24 * HOUR_US)
/* Monday, 2 November 2026, 00:00 UTC. */
#define MONDAY_US (INT64_C(1793577600) * CLOCK_SECOND_US)
#define WORKDAYS 0x1fu
#define EVERY_DAY 0x7fu

/* DeepSeek's of 2026: twice as much in two spans of its workdays. */
static const struct config_price_window PEAKS[] = {
    {WORKDAYS, 60, 240, {300000, 1200000}},
    {WORKDAYS, 360, 600, {300000, 1200000}},
};
static const struct config_price PEAKED = {{150000, 600000}, PEAKS, 2};

static int64_t input_at(const struct config_price *p, int64_t wall_us)
{
    return price_rate(p, wall_us, NULL).input;
}

TEST(a_window_has_its_first_minute_and_not_its_last)
{
    CHECK_INT(input_at(&PEAKED, MONDAY_US + HOUR_US - 1), 150000);
    CHECK_INT(input_at(&PEAKED, MONDAY_US + HOUR_US), 300000);
    CHECK_INT(input_at(&PEAKED, MONDAY_US + 4 * HOUR_US - 1), 300000);
    CHECK_INT(input_at(&PEAKED, MONDAY_US + 4 * HOUR_US), 150000);
    CHECK_INT(input_at(&PEAKED, MONDAY_US + 7 * HOUR_US), 300000);
}

TEST(days_are_those_of_the_calendar)
{
    for (int day = 0; day < 14; day++)
        CHECK_INT(input_at(&PEAKED, MONDAY_US + day * DAY_US + 2 * HOUR_US), day % 7 < 5 ? 300000 : 150000);
    CHECK_INT(input_at(&PEAKED, 2 * HOUR_US), 300000); /* 1 January 1970 was a Thursday */
}

TEST(a_window_may_go_past_midnight)
{
    static const struct config_price_window nights[] = {{1u << 6, 990, 30, {1, 1}},
                                                        {EVERY_DAY, 0, 1440, {2, 2}}};
    static const struct config_price p = {{3, 3}, nights, 2};
    int64_t sunday_us = MONDAY_US + 6 * DAY_US;

    CHECK_INT(input_at(&p, sunday_us), 2); /* Saturday has no night, the day is all day */
    CHECK_INT(input_at(&p, sunday_us + 990 * MIN_US), 1);
    CHECK_INT(input_at(&p, sunday_us + DAY_US + 29 * MIN_US), 1);
    CHECK_INT(input_at(&p, sunday_us + DAY_US + 30 * MIN_US), 2);
    CHECK_INT(input_at(&p, MONDAY_US + 29 * MIN_US), 1); /* the Sunday before */
}

/* Nobody looks between two of these times. */
TEST(nothing_changes_before_it_says_so)
{
    static const struct config_price_window nights[] = {{5, 990, 30, {1, 1}}, {EVERY_DAY, 480, 500, {2, 2}}};
    const struct config_price all[] = {PEAKED, {{3, 3}, nights, 2}, {{7, 7}, NULL, 0}};

    for (int i = 0; i < 3; i++) {
        int64_t until_us = 0, last = -1;
        int changes_n = 0, wrong_n = 0;

        for (int64_t t = MONDAY_US; t < MONDAY_US + 8 * DAY_US; t += MIN_US) {
            int64_t now = price_now(&all[i], t, NULL);

            wrong_n += last >= 0 && now != last && t < until_us;
            changes_n += last >= 0 && now != last;
            if (t >= until_us)
                (void)price_now(&all[i], t, &until_us);
            wrong_n += until_us <= t;
            last = now;
        }
        CHECK_INT(wrong_n, 0);
        CHECK(i == 2 ? changes_n == 0 : changes_n > 10);
    }
}

TEST(one_number_to_compare)
{
    int64_t until_us;

    CHECK_INT(price_now(&PEAKED, MONDAY_US, NULL), (3 * 150000 + 600000) / 4);
    CHECK_INT(price_now(NULL, MONDAY_US, &until_us), 0);
    CHECK(until_us == CLOCK_NEVER_US);
}
