/* SPDX-License-Identifier: MIT */
/* Reading and writing the time.
 *
 * Source of the calendar: "chrono-Compatible Low-Level Date Algorithms" by Howard Hinnant (civil_from_days).
 * It is used instead of gmtime_r and printf because every access line carries a time. */
#include "base/clock.h"

#include <string.h>
#include <time.h>

#include "base/assert.h"

#define DAY_S 86400
#define YEAR_10000_S INT64_C(253402300800)

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    int rc = clock_gettime(id, &t);

    ASSERT(rc == 0);
    return (int64_t)t.tv_sec * CLOCK_SECOND_US + t.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

/* Writes v with exactly n digits. */
static void put_digits(char *out, size_t n, int64_t v)
{
    while (n > 0) {
        out[--n] = (char)('0' + v % 10);
        v /= 10;
    }
}

void clock_format(int64_t wall_us, char out[32])
{
    if (wall_us < 0)
        wall_us = 0;
    if (wall_us >= YEAR_10000_S * CLOCK_SECOND_US)
        wall_us = YEAR_10000_S * CLOCK_SECOND_US - 1;
    int64_t s = wall_us / CLOCK_SECOND_US, in_day = s % DAY_S;
    int64_t days = s / DAY_S + 719468; /* since 0000-03-01, so that a leap day ends its year */
    int64_t era = days / 146097, doe = days % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9;

    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    put_digits(out, 4, era * 400 + yoe + (month <= 2));
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, doy - (153 * mp + 2) / 5 + 1);
    put_digits(out + 11, 2, in_day / 3600);
    put_digits(out + 14, 2, in_day / 60 % 60);
    put_digits(out + 17, 2, in_day % 60);
    put_digits(out + 20, 3, wall_us % CLOCK_SECOND_US / CLOCK_MS_US);
}

int64_t clock_add(int64_t a_us, int64_t b_us)
{
    return a_us > CLOCK_NEVER_US - b_us ? CLOCK_NEVER_US : a_us + b_us;
}
