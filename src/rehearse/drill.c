/* SPDX-License-Identifier: MIT */
/* Playing drills in virtual time.
 *
 * The gateway writes its access log into memory that only this process sees, and it is read back behind the
 * play: what the line did to a request stands there, whoever the client was. */
#include "rehearse/drill.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "gateway/stats.h"
#include "rehearse/drill_figures.h"
#include "rehearse/drill_stage.h"
#include "rehearse/world.h"
#include "shared/admission.h"
#include "sim/timeline.h"

#define LATENCY_US 2000 /* one way, of clients as of providers */
#define WALL_US (INT64_C(1793318400) * CLOCK_SECOND_US)
#define FILE_MAX ((size_t)64 * 1024)
#define LOG_MAX ((size_t)4 << 30)
#define BEHIND_S 900 /* the last request ends by its clocks, sooner than that behind the last arrival */
#define WORKERS "workers: 2\n"

enum version { WHOLE, QUIET, DIRECT };

struct play {
    const struct drill_scenario *scenario;
    enum version version;
    uint64_t seed;
    struct arena arena;
    struct sim_timeline timelines[DRILL_PROVIDERS_MAX];
    struct world_sim sims[DRILL_PROVIDERS_MAX];
    char at[DRILL_PROVIDERS_MAX][32];
    int log_fd;
    struct world *world;
    struct drill_take *take;
    bool done;
};

/* -- the stage ------------------------------------------------------------------------------------------- */

static void make_sims(struct play *p)
{
    struct sim_timeline_error error;

    for (size_t i = 0; i < drill_providers_n(p->scenario); i++) {
        struct buf text;
        bool fine;

        buf_init(&text, FILE_MAX, NULL);
        drill_stage_timeline(&p->scenario->providers[i], 0, &text);
        fine =
            sim_timeline_parse(arena_dup(&p->arena, buf_slice(&text)), &p->arena, &p->timelines[i], &error);
        ASSERT(fine); /* scenarios are part of the program */
        buf_fini(&text);
        snprintf(p->at[i], sizeof p->at[i], "10.0.0.%zu:80", i + 1);
        p->sims[i].at = p->at[i];
        drill_stage_sim(&p->scenario->providers[i], p->seed + i, &p->sims[i].opts);
        p->sims[i].opts.timeline = &p->timelines[i];
    }
}

static bool make_world(struct play *p, struct drill_result *out)
{
    struct drill_places places = {.listen = "10.0.0.9:80", .more = WORKERS};
    struct config_report report = {.text = ""};
    struct world_opts o = {.net = {.seed = p->seed, .latency_us = LATENCY_US, .wall_us = WALL_US},
                           .sims = p->sims,
                           .sims_n = drill_providers_n(p->scenario),
                           .access_fd = p->log_fd};
    struct buf yaml;

    for (size_t i = 0; i < o.sims_n; i++)
        places.providers[i] = p->at[i];
    buf_init(&yaml, FILE_MAX, NULL);
    drill_stage_file(p->scenario, &places, &yaml);
    o.yaml = arena_dup(&p->arena, buf_slice(&yaml)).p;
    buf_fini(&yaml);
    p->world = world_new(&o, &report);
    snprintf(out->why, sizeof out->why, "%.500s", report.text);
    return p->world != NULL;
}

/* -- looking --------------------------------------------------------------------------------------------- */

struct limits_look {
    const struct drill_scenario *scenario;
    struct drill_sight *sights;
};

static void look_at_counter(void *ud, const struct slots_counter *c)
{
    struct limits_look *l = ud;

    for (size_t i = 0; i < drill_providers_n(l->scenario); i++) {
        if (slice_eq(slice_of(c->account->name), slice_of(l->scenario->providers[i].name)))
            l->sights[i].limit = slots_limit(c);
    }
}

static int64_t calls_of(struct metrics **blocks, size_t n, size_t endpoint, enum outcome o)
{
    return metrics_get(blocks, n, METRIC_CALLS, stats_endpoint_outcome((int)endpoint, o));
}

static void on_look(void *ud, struct drill_sight *sights)
{
    struct play *p = ud;
    struct app *app = p->world->app;
    struct limits_look l = {p->scenario, sights};
    struct metrics *blocks[16];
    size_t n;

    ASSERT(app->desks_n < COUNT_OF(blocks));
    n = app_metrics(app, blocks);
    for (size_t i = 0; i < drill_providers_n(p->scenario); i++) {
        for (int o = 0; o < OUTCOME_N; o++)
            sights[i].failed_n += drill_is_bad((enum outcome)o) ? calls_of(blocks, n, i, (enum outcome)o) : 0;
        sights[i].refused_n = calls_of(blocks, n, i, OUTCOME_ACCOUNT_BUSY);
        sights[i].limit = -1;
    }
    admission_counters(app->edition->admission, look_at_counter, &l);
}

/* -- playing --------------------------------------------------------------------------------------------- */

static void on_done(void *ud)
{
    ((struct play *)ud)->done = true;
}

static void play_take(struct play *p)
{
    struct drill_take_opts o = {.target = {.host = p->version == DIRECT ? "10.0.0.1" : "10.0.0.9",
                                           .port = 80,
                                           .base_path = SLICE("/v1"),
                                           .authority = SLICE("drill.test")},
                                .seed = p->seed,
                                .quiet = p->version == QUIET,
                                .look = p->version == DIRECT ? NULL : on_look,
                                .on_done = on_done,
                                .ud = p};
    int64_t most_us = (int64_t)(p->scenario->duration_s + BEHIND_S) * CLOCK_SECOND_US;

    p->take = drill_take_new(p->world->client_loop, p->scenario, &o);
    world_run_until(p->world, most_us, &p->done);
    if (p->done)
        return;
    drill_take_stop(p->take);
    world_run_until(p->world, BEHIND_S * CLOCK_SECOND_US, &p->done);
    ASSERT(p->done);
}

static void read_log(struct play *p, struct drill_figures *out)
{
    off_t size = lseek(p->log_fd, 0, SEEK_END);
    void *map = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, p->log_fd, 0) : MAP_FAILED;

    ASSERT(size == 0 || map != MAP_FAILED);
    drill_figures_of_log(p->scenario, p->take, (struct slice){map, (size_t)size}, WALL_US, out);
    if (size > 0)
        munmap(map, (size_t)size);
}

static void measure(struct play *p, struct drill_figures *out)
{
    drill_figures_of_clients(p->scenario, p->take, out);
    if (p->version == DIRECT)
        return;
    drill_figures_of_watch(p->scenario, p->take, out);
    world_run(p->world, CLOCK_SECOND_US); /* the last lines of the log */
    read_log(p, out);
}

static bool play(struct drill_result *r, enum version version, struct drill_figures *out)
{
    struct play p = {.scenario = r->scenario, .version = version, .seed = r->seed};
    bool fine;

    p.log_fd = memfd_create("access_log", MFD_CLOEXEC);
    if (p.log_fd < 0) {
        snprintf(r->why, sizeof r->why, "the system gives no memory for the access log");
        return false;
    }
    arena_init(&p.arena, NULL, 0, 4096);
    make_sims(&p);
    fine = make_world(&p, r);
    if (fine) {
        play_take(&p);
        measure(&p, out);
        drill_take_free(&p.take);
        world_free(&p.world);
    }
    close(p.log_fd);
    arena_fini(&p.arena);
    return fine;
}

bool drill_run(const struct drill_scenario *s, const struct drill_opts *o, struct drill_result *out)
{
    memset(out, 0, sizeof *out);
    out->scenario = s;
    out->seed = o->seed;
    out->has_quiet = drill_has_floods(s);
    out->has_direct = o->direct;
    if (!play(out, WHOLE, &out->gateway) || (out->has_quiet && !play(out, QUIET, &out->quiet)) ||
        (out->has_direct && !play(out, DIRECT, &out->direct)))
        return false;
    drill_judge(out);
    return true;
}
