/* SPDX-License-Identifier: MIT */
/* Every row of the table of faults: asked for in every way that its phase allows, it happens, is counted
 * once, and leaves nothing behind. The shapes themselves are in sim_test.c, work_wire_test.c and door_test.c.
 */
#include "sim/plan.h"
#include "sim_kit.h"

static bool is_asked(int f)
{
    return sim_fault_is_asked((enum sim_fault)f);
}

static const char *label(int f)
{
    return sim_fault_row((enum sim_fault)f)->label;
}

/* Runs one call against a simulator of these options and checks that the fault has happened. */
static void judge(const struct sim_opts *o, const char *rule, const char *model, int f, bool stream)
{
    struct sim_listen_opts listen = {.name = "a", .rule = rule};
    struct vnet_opts net = {.seed = 3, .wall_us = 1000000 * CLOCK_SECOND_US};
    uint64_t hits;
    struct kit k;

    kit_init_at(&k, o, &net, &listen);
    (void)kit_chat(&k, model, stream, "x", "");
    kit_run(&k, 50 * CLOCK_SECOND_US);
    hits = sim_stats(k.sim)->faults_n[f];
    if (!CHECK_INT((long long)hits, 1))
        printf("# %s, %s\n", label(f), stream ? "stream" : "plain");
    kit_fini(&k);
}

TEST(a_row_can_be_asked_for_by_suffix_unless_it_comes_before_the_request)
{
    struct sim_opts o;
    char model[64];

    sim_opts_default(&o);
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        struct sim_case c = {.opts = &o};
        struct sim_plan plan;
        struct arena arena;
        struct rng dice;
        const char *why;

        snprintf(model, sizeof model, "any~%s", label(f));
        arena_init(&arena, NULL, 0, 1024);
        rng_seed(&dice, 1);
        c.model = slice_of(model);
        CHECK(sim_plan_make(&c, &dice, &arena, &plan, &why) == is_asked(f));
        CHECK(!is_asked(f) || (int)plan.fault == f);
        arena_fini(&arena);
        for (int stream = 0; is_asked(f) && stream < 2; stream++)
            judge(&o, NULL, model, f, stream);
    }
}

TEST(a_row_can_be_asked_for_by_listener)
{
    struct sim_opts o;

    sim_opts_default(&o);
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        if (sim_fault_row((enum sim_fault)f)->phase != SIM_PHASE_TLS) /* those need TLS: door_test.c */
            judge(&o, label(f), "any", f, true);
    }
}

TEST(a_row_can_be_asked_for_by_timeline)
{
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        struct sim_timeline_error error;
        struct sim_timeline timeline;
        struct arena arena;
        struct sim_opts o;
        char text[64];

        if (sim_fault_row((enum sim_fault)f)->phase == SIM_PHASE_TLS)
            continue;
        arena_init(&arena, NULL, 0, 1024);
        snprintf(text, sizeof text, "at=0s for=20s fault=%s listener=a\n", label(f));
        CHECK(sim_timeline_parse(slice_of(text), &arena, &timeline, &error));
        sim_opts_default(&o);
        o.timeline = &timeline;
        judge(&o, NULL, "any", f, false);
        arena_fini(&arena);
    }
}

TEST(a_row_can_be_asked_for_by_probability)
{
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        struct sim_opts o;

        if (sim_fault_row((enum sim_fault)f)->phase == SIM_PHASE_TLS)
            continue;
        sim_opts_default(&o);
        o.fault_p[f] = 1;
        judge(&o, NULL, "any", f, true);
    }
}

TEST(rows_have_labels_and_words_of_their_own)
{
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        CHECK_INT(sim_fault_of(slice_of(label(f))), f);
        CHECK(strlen(sim_fault_row((enum sim_fault)f)->doc) > 10);
    }
    CHECK_INT(sim_fault_of(SLICE("")), SIM_NONE);
    CHECK_INT(sim_fault_of(SLICE("CUT")), SIM_NONE);
}
