/* SPDX-License-Identifier: MIT */
/* The clocks, and the calendar against the C library's. */
#include "base/clock.h"

#include <time.h>

#include "base/assert.h"
#include "base/rng.h"
#include "tap.h"

TEST(monotonic_time_never_goes_back)
{
    int64_t last = clock_mono_us(), back_n = 0;

    for (int i = 0; i < 10000; i++) {
        int64_t now = clock_mono_us();
        back_n += now < last;
        last = now;
    }
    CHECK_INT(back_n, 0);
}

TEST(wall_time_is_this_century)
{
    int64_t now = clock_wall_us();

    CHECK(now > INT64_C(1700000000) * CLOCK_SECOND_US);
    CHECK(now < INT64_C(4102444800) * CLOCK_SECOND_US);
}

static void check_against_library(int64_t us)
{
    char got[32], want[64];
    time_t s = (time_t)(us / CLOCK_SECOND_US);
    struct tm tm;

    gmtime_r(&s, &tm);
    size_t n = strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(want + n, sizeof(want) - n, ".%03dZ", (int)(us % CLOCK_SECOND_US / CLOCK_MS_US));
    clock_format(us, got);
    CHECK_STR(got, want);
}

TEST(dates_agree_with_the_library)
{
    static const int64_t seconds[] = {0,          951782399,  951782400,  951868800,
                                      1709164800, 1709251199, 1709251200, 4107542400,
                                      4107456000, 1767225599, 1767225600, 253402300799};
    struct rng r;

    for (size_t i = 0; i < COUNT_OF(seconds); i++)
        check_against_library(seconds[i] * CLOCK_SECOND_US + 999999);
    rng_seed(&r, 3);
    for (int i = 0; i < 2000; i++)
        check_against_library((int64_t)rng_below(&r, UINT64_C(253402300800) * 1000000));
}

TEST(times_out_of_range_are_clamped)
{
    char out[32];

    clock_format(-5, out);
    CHECK_STR(out, "1970-01-01T00:00:00.000Z");
    clock_format(INT64_MAX, out);
    CHECK_STR(out, "9999-12-31T23:59:59.999Z");
}

TEST(sums_stop_at_never)
{
    CHECK_INT(clock_add(2, 3), 5);
    CHECK_INT(clock_add(CLOCK_NEVER_US, 0), CLOCK_NEVER_US);
    CHECK_INT(clock_add(CLOCK_NEVER_US, CLOCK_NEVER_US), CLOCK_NEVER_US);
    CHECK_INT(clock_add(CLOCK_NEVER_US - 5, 5), CLOCK_NEVER_US);
    CHECK_INT(clock_add(CLOCK_NEVER_US - 5, 4), CLOCK_NEVER_US - 1);
    CHECK_INT(clock_add(1, CLOCK_NEVER_US), CLOCK_NEVER_US);
}
