/* SPDX-License-Identifier: MIT */
/* Times, the suffixes of model names, and faults by probability. */
#include "sim/faults.h"

#include "base/clock.h"
#include "tap.h"

static bool plan(const struct sim_opts *o, const char *model, struct sim_plan *out)
{
    const char *why = NULL;
    struct arena arena;
    struct rng dice;
    bool fine;

    rng_seed(&dice, 1);
    arena_init(&arena, NULL, 0, 1024);
    fine = sim_plan_make(o, slice_of(model), &dice, &arena, out, &why);
    CHECK(fine == (why == NULL));
    if (!fine) /* it lists what it knows */
        CHECK(slice_find(slice_of(why), SLICE("ttft=TIME, gap=TIME")) >= 0);
    arena_fini(&arena);
    return fine;
}

TEST(names_of_faults_are_found_again)
{
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++)
        CHECK_INT(sim_fault_of(slice_of(sim_fault_name((enum sim_fault)f))), f);
    CHECK_INT(sim_fault_of(SLICE("")), SIM_NONE);
    CHECK_INT(sim_fault_of(SLICE("CUT")), SIM_NONE);
}

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

TEST(a_name_without_suffix_changes_nothing)
{
    struct sim_opts o;
    struct sim_plan p;

    sim_opts_default(&o);
    CHECK(plan(&o, "any", &p));
    CHECK_INT(p.ttft.median_us, o.ttft.median_us);
    CHECK_INT(p.gap.median_us, o.gap.median_us);
    CHECK_INT(p.fault, SIM_NONE);
    CHECK_INT(p.tokens, -1);
    CHECK_INT(p.queue_us, 0);
    CHECK_INT(p.size, 0);
}

TEST(items_of_a_suffix_add_up)
{
    struct sim_opts o;
    struct sim_plan p;

    sim_opts_default(&o);
    CHECK(plan(&o, "any~ttft=2s,gap=5ms:1,tokens=50,queue=3s,size=900,stall=4", &p));
    CHECK_INT(p.ttft.median_us, 2000000);
    CHECK_INT(p.gap.median_us, 5000);
    CHECK(p.gap.sigma == 1);
    CHECK_INT(p.tokens, 50);
    CHECK_INT(p.queue_us, 3000000);
    CHECK_INT(p.size, 900);
    CHECK_INT(p.fault, SIM_STALL);
    CHECK_INT(p.k, 4);
}

TEST(a_fault_without_k_takes_that_of_the_options_or_draws_one)
{
    struct sim_opts o;
    struct sim_plan p;

    sim_opts_default(&o);
    CHECK(plan(&o, "any~cut", &p));
    CHECK(p.k >= 1 && p.k <= 20);
    o.fault_after = 33;
    CHECK(plan(&o, "any~cut", &p));
    CHECK_INT(p.k, 33);
    CHECK(plan(&o, "any~cut=0", &p));
    CHECK_INT(p.k, 0);
}

TEST(unknown_suffixes_are_refused)
{
    static const char *const BAD[] = {"a~",
                                      "a~x",
                                      "a~cut=",
                                      "a~cut=-1",
                                      "a~cut=x",
                                      "a~cut,",
                                      "a~hang=1",
                                      "a~429=1",
                                      "a~ttft",
                                      "a~ttft=5",
                                      "a~tokens",
                                      "a~tokens=0",
                                      "a~tokens=100001",
                                      "a~size=8388609",
                                      "a~cut,stall",
                                      "a~gap=1ms,,cut",
                                      "a~cut=1~stall=2"};
    struct sim_opts o;
    struct sim_plan p;

    sim_opts_default(&o);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        if (!CHECK(!plan(&o, BAD[i], &p)))
            printf("# accepted: %s\n", BAD[i]);
    }
}

TEST(probabilities_hold_and_a_suffix_comes_first)
{
    const char *why;
    struct sim_opts o;
    struct sim_plan p;
    struct arena arena;
    struct rng dice;
    int n[SIM_FAULT_N] = {0};

    sim_opts_default(&o);
    o.fault_p[SIM_CUT] = 0.2;
    o.fault_p[SIM_EMPTY] = 0.1;
    rng_seed(&dice, 3);
    arena_init(&arena, NULL, 0, 1024);
    for (int i = 0; i < 10000; i++) {
        CHECK(sim_plan_make(&o, SLICE("any"), &dice, &arena, &p, &why));
        n[p.fault]++;
    }
    CHECK(n[SIM_CUT] > 1850 && n[SIM_CUT] < 2150);
    CHECK(n[SIM_EMPTY] > 890 && n[SIM_EMPTY] < 1110);
    CHECK_INT(n[SIM_NONE] + n[SIM_CUT] + n[SIM_EMPTY], 10000);
    o.fault_p[SIM_CUT] = 1;
    CHECK(sim_plan_make(&o, SLICE("any~hang"), &dice, &arena, &p, &why));
    CHECK_INT(p.fault, SIM_HANG);
    arena_fini(&arena);
}
