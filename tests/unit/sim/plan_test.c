/* SPDX-License-Identifier: MIT */
/* The suffixes of model names, faults by probability, and which layer overrides which. */
#include "sim/plan.h"

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
    fine = sim_plan_make(&(struct sim_case){.opts = o, .model = slice_of(model)}, &dice, &arena, out, &why);
    CHECK(fine == (why == NULL));
    if (!fine) /* it lists what it knows */
        CHECK(slice_find(slice_of(why), SLICE("ttft=TIME, gap=TIME")) >= 0);
    arena_fini(&arena);
    return fine;
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
        CHECK(sim_plan_make(&(struct sim_case){.opts = &o, .model = SLICE("any")}, &dice, &arena, &p, &why));
        n[p.fault]++;
    }
    CHECK(n[SIM_CUT] > 1850 && n[SIM_CUT] < 2150);
    CHECK(n[SIM_EMPTY] > 890 && n[SIM_EMPTY] < 1110);
    CHECK_INT(n[SIM_NONE] + n[SIM_CUT] + n[SIM_EMPTY], 10000);
    o.fault_p[SIM_CUT] = 1;
    CHECK(sim_plan_make(&(struct sim_case){.opts = &o, .model = SLICE("any~hang")}, &dice, &arena, &p, &why));
    CHECK_INT(p.fault, SIM_HANG);
    arena_fini(&arena);
}
