/* SPDX-License-Identifier: MIT */
/* Times and probabilities as options write them. */
#include "sim/times.h"

#include "tap.h"

TEST(times_are_read)
{
    static const struct {
        const char *text;
        int64_t us;
        double sigma;
    } FINE[] = {
        {"200ms", 200000, 0},   {"2s", 2000000, 0},   {"1.5s", 1500000, 0}, {"0", 0, 0},
        {"7us", 7, 0},          {"3m", 180000000, 0}, {"0.25ms", 250, 0},   {"200ms:0.5", 200000, .5},
        {"1s:10", 1000000, 10},
    };
    static const char *const BAD[] = {"",       "5",         "ms",   "5 ms",   "-5ms",   "5h",
                                      "5ms ",   "1.s",       "5ms:", "5ms:x",  "5ms:11", ".5s",
                                      "99999m", "5ms:0.5:1", "inf",  "0x10ms", "1e3ms",  "5MS"};
    struct sim_time t;

    for (size_t i = 0; i < sizeof FINE / sizeof FINE[0]; i++) {
        CHECK(sim_time_parse(slice_of(FINE[i].text), &t));
        CHECK_INT(t.median_us, FINE[i].us);
        CHECK(t.sigma == FINE[i].sigma);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        if (!CHECK(!sim_time_parse(slice_of(BAD[i]), &t)))
            printf("# accepted: %s\n", BAD[i]);
    }
}

TEST(drawn_times_have_their_median)
{
    struct sim_time t = {100000, 0.5};
    struct rng dice;
    int below_n = 0;

    rng_seed(&dice, 7);
    for (int i = 0; i < 10000; i++)
        below_n += sim_time_draw(&t, &dice) < t.median_us;
    CHECK(below_n > 4800 && below_n < 5200);
    t.sigma = 0;
    CHECK_INT(sim_time_draw(&t, &dice), 100000);
}

TEST(durations_have_no_sigma)
{
    int64_t us = 0;

    CHECK(sim_duration_parse(SLICE("1.5s"), &us));
    CHECK_INT(us, 1500000);
    CHECK(!sim_duration_parse(SLICE("1s:0.5"), &us));
    CHECK(!sim_duration_parse(SLICE("soon"), &us));
    CHECK(!sim_duration_parse(SLICE_NONE, &us));
}

TEST(probabilities_are_decimal_and_at_most_one)
{
    static const char *const BAD[] = {"", "1.1", "-0.5", ".5", "1e-3", "0.5x", "50%"};
    double p = -1;

    CHECK(sim_share_parse(SLICE("0"), &p) && p == 0);
    CHECK(sim_share_parse(SLICE("0.25"), &p) && p == 0.25);
    CHECK(sim_share_parse(SLICE("1"), &p) && p == 1);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        CHECK(!sim_share_parse(slice_of(BAD[i]), &p));
}
