/* SPDX-License-Identifier: MIT */
/* For tests of the generator in virtual time: it calls a scripted endpoint at 10.0.0.1:80 or a simulator at
 * 10.0.0.2:80, over a network without latency. */
#ifndef TESTS_UNIT_LOAD_LOAD_KIT_H
#define TESTS_UNIT_LOAD_LOAD_KIT_H

#include "load/load.h"
#include "sim/sim.h"
#include "unit/upstream/upstream_kit.h"

#define SECOND CLOCK_SECOND_US

struct range {
    struct scene sc;
    struct sim *sim;
    struct source_opts so;
    struct load_opts o;
    struct source *source;
    struct load *load;
    int64_t began_us, done_us; /* done 0: not yet */
};

static inline void range_init(struct range *r, const struct sim_opts *sim)
{
    struct vnet_opts net = {.seed = 1, .wall_us = 1000000 * SECOND};
    struct addr at;

    memset(r, 0, sizeof *r);
    scene_init_with(&r->sc, &net, &POOL_OPTS);
    if (sim != NULL) {
        r->sim = sim_new(r->sc.at.l, sim);
        CHECK_INT(addr_parse(SLICE("10.0.0.2:80"), &at), ERR_OK);
        CHECK_INT(sim_listen(r->sim, &at, NULL), ERR_OK);
    }
    r->so = (struct source_opts){.seed = 7,
                                 .speed = 1,
                                 .scale = 1,
                                 .process = PROCESS_CONSTANT,
                                 .rate = 10,
                                 .prompt = {16, 0},
                                 .prompt_max = 100000,
                                 .duration_us = CLOCK_NEVER_US,
                                 .limit = 10,
                                 .shared_kinds = 1};
    r->o = (struct load_opts){
        .target = {.host = sim != NULL ? "10.0.0.2" : "10.0.0.1",
                   .port = 80,
                   .base_path = SLICE("/v1"),
                   .authority = SLICE("range.test")},
        .prompts = {.seed = 7, .model = SLICE("any"), .length_field = "max_tokens", .shared_tokens = 64},
        .class_names = {"critical", "high", "normal", "bulk"},
        .connections = 1000,
        .waiting_max = LOAD_WAITING_MAX,
        .connect_us = 5 * SECOND,
        .first_us = 600 * SECOND,
        .gap_us = 150 * SECOND,
        .total_us = 600 * SECOND,
        .seed = 7,
    };
}

static inline void range_on_done(void *ud)
{
    struct range *r = ud;

    CHECK_INT(r->done_us, 0);
    r->done_us = r->sc.l->now_us;
}

static inline void range_begin(struct range *r)
{
    const char *why = "";

    r->source = source_new(&r->so, &why);
    CHECK(r->source != NULL);
    r->o.source = r->source;
    r->o.on_done = range_on_done;
    r->o.ud = r;
    scene_run(&r->sc, SECOND); /* begins on a whole second */
    r->began_us = r->sc.l->now_us;
    r->load = load_new(r->sc.l, &r->o);
}

static inline const struct tally_group *range_all(struct range *r)
{
    return &load_tally(r->load)->all;
}

/* Begins, and runs until all is over or `us` have passed. */
static inline void range_run(struct range *r, int64_t us)
{
    range_begin(r);
    scene_run(&r->sc, us);
}

static inline uint64_t range_ended(struct range *r)
{
    uint64_t n = 0;

    for (int e = 0; e < END_N; e++)
        n += range_all(r)->ended_n[e];
    return n;
}

static inline uint64_t range_reason(struct range *r, const char *code, int status)
{
    const struct tally_group *g = range_all(r);

    for (size_t i = 0; i < g->reasons_n; i++) {
        if (strcmp(g->reasons[i].code, code) == 0 && g->reasons[i].status == status)
            return g->reasons[i].n;
    }
    return 0;
}

/* Stops what still runs and checks that nothing is left. */
static inline void range_fini(struct range *r)
{
    if (r->done_us == 0)
        load_stop(r->load);
    scene_run(&r->sc, SECOND);
    CHECK(r->done_us != 0);
    CHECK_INT(range_ended(r), range_all(r)->intended_n);
    CHECK_INT(load_in_flight(r->load) + load_waiting(r->load), 0);
    load_free(&r->load);
    source_free(&r->source);
    if (r->sim != NULL) {
        scene_run(&r->sc, SECOND);
        CHECK_INT(sim_stats(r->sim)->working_n + sim_stats(r->sim)->queued_n, 0);
        sim_free(&r->sim);
    }
    scene_fini(&r->sc);
}

#endif
