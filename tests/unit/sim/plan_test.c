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

TEST(layers_override_each_other_and_rules_are_read)
{
    struct sim_timeline_row row = {0, CLOCK_NEVER_US, {SIM_NONE, SLICE("503,ttft=7s")},
                                   1, SLICE("any"),   {NULL, 0}};
    struct sim_timeline timeline = {&row, 1};
    struct sim_case c = {.listener = SLICE("a")};
    struct sim_rule rule;
    struct sim_opts o;
    struct sim_plan p;
    struct arena arena;
    const char *why;
    struct rng dice;

    arena_init(&arena, NULL, 0, 1024);
    rng_seed(&dice, 1);
    sim_opts_default(&o);
    o.fault_p[SIM_CUT] = 1;
    c.opts = &o;
    c.model = SLICE("any~gap=1ms");
    CHECK(sim_plan_make(&c, &dice, &arena, &p, &why));
    CHECK_INT(p.fault, SIM_CUT);
    o.timeline = &timeline;
    CHECK(sim_plan_make(&c, &dice, &arena, &p, &why));
    CHECK(p.fault == SIM_503 && p.ttft.median_us == 7 * CLOCK_SECOND_US && p.gap.median_us == CLOCK_MS_US);
    CHECK(sim_rule_parse(SLICE("429,retry_after=3"), &rule));
    c.rule = &rule;
    CHECK(sim_plan_make(&c, &dice, &arena, &p, &why));
    CHECK(p.fault == SIM_429 && slice_eq(p.retry_after, SLICE("3")) &&
          p.ttft.median_us == 7 * CLOCK_SECOND_US);
    c.model = SLICE("any~stall=4");
    CHECK(sim_plan_make(&c, &dice, &arena, &p, &why));
    CHECK(p.fault == SIM_STALL && p.k == 4);
    c.rule = NULL;
    c.model = SLICE("other");
    CHECK(sim_plan_make(&c, &dice, &arena, &p, &why));
    CHECK_INT(p.fault, SIM_CUT);
    CHECK(sim_rule_parse(SLICE("refuse"), &rule) && rule.early == SIM_REFUSE);
    CHECK(!sim_rule_parse(SLICE(""), &rule) && !sim_rule_parse(SLICE("refuse,cut"), &rule));
    arena_fini(&arena);
}

TEST(values_of_retry_after_and_comments_are_checked)
{
    static const char *const BAD[] = {"a~retry_after",
                                      "a~retry_after=",
                                      "a~retry_after=soon",
                                      "a~retry_after=--1",
                                      "a~retry_after=1.5",
                                      "a~retry_after=date",
                                      "a~retry_after=date:",
                                      "a~comments",
                                      "a~comments=everywhere",
                                      "a~tool=1",
                                      "a~continue=yes",
                                      "a~slow_head=fast",
                                      "a~refuse",
                                      "a~tls_hang",
                                      "a~503=1"};
    struct sim_opts o;
    struct sim_plan p;

    sim_opts_default(&o);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        if (!CHECK(!plan(&o, BAD[i], &p)))
            printf("# accepted: %s\n", BAD[i]);
    }
    CHECK(plan(&o, "a~comments=first,comments=done,slow_head=2s,retry_after=date:5s", &p));
    CHECK_INT(p.comments, SIM_COMMENT_FIRST | SIM_COMMENT_DONE);
    CHECK_INT(p.fault_us, 2 * CLOCK_SECOND_US);
}
