/* SPDX-License-Identifier: MIT */
/* Drills: the engine that plays them, and what the scenarios promise. */
#include "rehearse/drill.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rehearse/drill_report.h"
#include "tap.h"

#define S CLOCK_SECOND_US
#define MS CLOCK_MS_US

/* Long scenarios take minutes under a sanitizer, and find there what the short ones find. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LONGEST_S 160
#else
#define LONGEST_S 4000
#endif

static struct drill_result r;

static void play(const struct drill_scenario *s, uint64_t seed, bool direct)
{
    struct drill_opts o = {.seed = seed, .direct = direct};

    if (!CHECK(drill_run(s, &o, &r)))
        fprintf(stderr, "# %s: %s\n", s->name, r.why);
}

static const struct drill_verdict *verdict(enum drill_measure what)
{
    for (size_t i = 0; i < drill_bounds_n(r.scenario); i++) {
        if (r.scenario->bounds[i].what == what)
            return &r.verdicts[i];
    }
    ASSERT(!"the scenario does not bound that");
    return NULL;
}

/* -- the engine, with a scenario whose figures can be worked out ------------------------------------------
 */

/* Ten requests a second for 20 s, each an answer of 200 + 9 * 20 ms; in the middle two seconds of 500. */
static struct drill_scenario small(void)
{
    return (struct drill_scenario){
        .name = "small",
        .what = "A small one.",
        .providers = {{.name = "one",
                       .slots = 8,
                       .account = DRILL_KNOWN,
                       .ttft_us = 200 * MS,
                       .gap_us = 20 * MS,
                       .events = {{10, 2, "500"}}},
                      {.name = "two",
                       .tier = 1,
                       .slots = 8,
                       .account = DRILL_KNOWN,
                       .ttft_us = 300 * MS,
                       .gap_us = 20 * MS}},
        .crowds = {{.name = "a",
                    .priority = PRIORITY_HIGH,
                    .steps = {{0, 4}},
                    .prompt = {10, 0},
                    .answer = {10, 0},
                    .deadline_us = 10 * S},
                   {.name = "b",
                    .priority = PRIORITY_BULK,
                    .steps = {{5, 6}, {15, 0}},
                    .prompt = {10, 0},
                    .answer = {10, 0},
                    .deadline_us = 10 * S,
                    .plain = true}},
        .duration_s = 20,
        .trouble_s = 10,
        .calm_s = 12,
        .troubled = 1,
        .slow_us = 2 * S,
        .bounds = {{DRILL_FULL, 1, 0}, {DRILL_FAILOVER_MS, 1000, 0}, {DRILL_RECOVERY_MS, 0, 0}},
    };
}

TEST(what_becomes_of_every_request_is_counted)
{
    struct drill_scenario s = small();
    const struct drill_figures *g = &r.gateway, *d = &r.direct;
    uint64_t in_trouble;

    play(&s, 1, true);
    in_trouble = g->trouble_n;
    CHECK_INT(g->requests_n, 20 * 4 + 10 * 6);
    CHECK_INT(g->ended_n[END_FULL], g->requests_n);
    CHECK_INT(g->attempts_n, g->requests_n);
    CHECK_INT(g->received_n, g->requests_n);
    CHECK(in_trouble > 8 && in_trouble < 40);
    CHECK(g->calls_n > g->requests_n && g->calls_n <= g->requests_n + in_trouble);
    CHECK_INT(g->calm_answered_n, g->calm_counted_n);
    CHECK(g->calm_counted_n + in_trouble < g->requests_n); /* who came just before it counts for neither */
    CHECK(r.kept && verdict(DRILL_FULL)->value == 1);
    /* the second provider answers a streamed request after 300 ms, a plain one after 480 */
    CHECK(g->failover_ms > 290 && g->failover_ms < 520);
    CHECK(g->recovery_ms == 0);
    /* without the gateway the same requests come, and some are lost */
    CHECK_INT(d->requests_n, g->requests_n);
    CHECK(d->ended_n[END_FULL] < d->requests_n && d->calls_n == d->attempts_n);
    CHECK(d->attempts_n > d->requests_n);
}

TEST(times_are_told_by_class)
{
    struct drill_scenario s = small();
    double high, bulk;

    s.providers[0].events[0].fault = NULL;
    play(&s, 2, false);
    high = drill_class_p99_ms(&s, r.gateway.ttft, PRIORITY_HIGH);
    bulk = drill_class_p99_ms(&s, r.gateway.ttft, PRIORITY_BULK);
    CHECK(high > 200 && high < 230); /* a stream's first token */
    CHECK(bulk > 380 && bulk < 420); /* a whole answer */
    CHECK(isnan(drill_class_p99_ms(&s, r.gateway.ttft, PRIORITY_NORMAL)));
    CHECK(drill_class_p99_ms(&s, r.gateway.wait, PRIORITY_HIGH) == 0);
    CHECK(isnan(r.gateway.failover_ms)); /* nothing was bad */
    CHECK(!verdict(DRILL_FAILOVER_MS)->kept && !r.kept);
}

TEST(a_seed_repeats_a_drill)
{
    struct drill_scenario s = small();
    struct buf first, again, other;

    buf_init(&first, DRILL_REPORT_MAX_BYTES, NULL);
    buf_init(&again, DRILL_REPORT_MAX_BYTES, NULL);
    buf_init(&other, DRILL_REPORT_MAX_BYTES, NULL);
    play(&s, 3, true);
    drill_report_json(&r, &first);
    play(&s, 3, true);
    drill_report_json(&r, &again);
    play(&s, 4, true);
    drill_report_json(&r, &other);
    CHECK_MEM(again.p, again.n, first.p, first.n);
    CHECK(first.n != other.n || memcmp(first.p, other.p, first.n) != 0);
    buf_fini(&first);
    buf_fini(&again);
    buf_fini(&other);
}

/* What is wrong goes on for two seconds behind the end of the trouble, as it is told. */
TEST(recovery_is_told_by_the_last_who_fared_badly)
{
    struct drill_scenario s = small();

    s.providers[0].events[0] = (struct drill_event){10, 4, "400", 0}; /* nobody retries that */
    s.crowds[0].steps[0].rate = 20;
    play(&s, 8, false);
    CHECK(r.gateway.recovery_ms > 1700 && r.gateway.recovery_ms <= 2000);
    CHECK(!verdict(DRILL_RECOVERY_MS)->kept && !r.kept);
    CHECK_INT(r.gateway.trouble_slow_n, r.gateway.trouble_n);
    CHECK(r.gateway.calm_answered_n < r.gateway.calm_counted_n);
    CHECK(r.gateway.ended_n[END_FAILED] > 60 && r.gateway.ended_n[END_REFUSED] == 0);
}

/* A provider that is busy half of the time, by what it answered. */
TEST(goodput_and_use_are_shares_of_what_can_be_done)
{
    struct drill_scenario s = small();

    s.providers[0].slots = 4; /* 4 slots do 10.5 answers of 380 ms a second */
    s.crowds[0].steps[0].rate = 5;
    s.crowds[1] = (struct drill_crowd){.name = NULL};
    s.providers[1].name = NULL;
    s.providers[0].events[0].fault = NULL;
    s.duration_s = 60;
    s.from_s = 5;
    s.to_s = 55;
    play(&s, 5, false);
    CHECK(r.gateway.goodput > 0.97 && r.gateway.goodput < 1.03); /* of what came */
    CHECK(r.gateway.used[0] > 0.4 && r.gateway.used[0] < 0.55);
    CHECK(r.gateway.refused_per_s == 0);
    s.crowds[0].steps[0].rate = 50; /* five times what can be done; the line is short */
    s.more = "limits: {line: 8}\n";
    s.slow_us = 10 * S; /* clients are refused and come again */
    play(&s, 5, false);
    CHECK(r.gateway.goodput > 0.9 && r.gateway.goodput < 1.01);
    CHECK(r.gateway.used[0] > 0.9 && r.gateway.used[0] <= 1.01);
    CHECK(r.gateway.ended_n[END_FAILED] > r.gateway.requests_n / 2);
}

TEST(a_flood_is_measured_against_the_same_hour_without_it)
{
    struct drill_scenario s = small();

    s.providers[1].name = NULL;
    s.providers[0].events[0].fault = NULL;
    s.crowds[1].floods = true;
    s.crowds[1].priority = PRIORITY_HIGH; /* first come, first served: the flood is felt */
    s.crowds[1].steps[0].rate = 60;
    s.crowds[1].plain = false;
    s.bounds[0] = (struct drill_bound){DRILL_MOVED_MS, 100, 0};
    s.bounds[1] = (struct drill_bound){DRILL_OTHERS, 1, 0};
    s.bounds[2].what = DRILL_NOTHING;
    play(&s, 6, false);
    CHECK(r.has_quiet);
    CHECK_INT(r.quiet.requests_n, 80);
    CHECK_INT(r.gateway.others_counted_n, 80);
    CHECK(r.gateway.requests_n > 600);
    CHECK(verdict(DRILL_MOVED_MS)->value > 100 && !r.kept);
}

TEST(what_is_learned_of_an_account_is_seen)
{
    struct drill_scenario s = small();

    s.providers[1].name = NULL;
    s.providers[0] = (struct drill_provider){
        .name = "one", .slots = 20, .account = DRILL_LEARNED, .ttft_us = 500 * MS, .gap_us = 50 * MS};
    s.crowds[0].steps[0].rate = 80; /* four times what 20 slots do */
    s.crowds[1].name = NULL;
    s.more = "limits: {line: 20}\n";
    s.duration_s = 40;
    s.from_s = 20;
    s.to_s = 40;
    play(&s, 7, false);
    CHECK(r.gateway.found[0] > 0.8 && r.gateway.found[0] < 1.2);
    CHECK(r.gateway.refused_per_s > 0 && r.gateway.refused_per_s < 5);
}

/* -- the scenarios --------------------------------------------------------------------------------------- */

/* Those whose promises all hold. */
static const char *const KEPT[] = {
    "account-limit", "queued-keepalives", "random-503", "outage-3s",   "outage-10m",
    "flapping",      "brown-out",         "stalls",     "region-gone", "partition",
    "key-revoked",   "balance-gone",      "tide",       "herd",        "flooding-tenant",
    "main-gone",     "overload-10x",
};

TEST(scenarios_keep_their_promises)
{
    for (size_t i = 0; i < COUNT_OF(KEPT); i++) {
        const struct drill_scenario *s = drill_scenario_find(KEPT[i]);
        struct buf page;

        if (!CHECK(s != NULL) || s->duration_s > LONGEST_S)
            continue;
        play(s, 1, false);
        if (CHECK(r.kept))
            continue;
        buf_init(&page, DRILL_REPORT_MAX_BYTES, NULL);
        drill_report_text(&r, &page);
        fprintf(stderr, "# %.*s\n", (int)page.n, page.p);
        buf_fini(&page);
    }
}

/* Played with less patience, so that fewer wait, and over sooner. */
TEST(whoever_is_high_hardly_waits_in_an_overload)
{
    const struct drill_scenario *found = drill_scenario_find("overload-10x");
    struct drill_scenario s;

    if (!CHECK(found != NULL))
        return;
    s = *found;
    s.crowds[1].deadline_us = 5 * S;
    s.slow_us = 5 * S;
    s.duration_s = 100;
    play(&s, 1, false);
    CHECK(verdict(DRILL_WAIT_P99_MS)->kept && verdict(DRILL_RECOVERY_MS)->kept);
}

TEST(every_scenario_has_a_name_of_its_own_and_bounds)
{
    for (size_t i = 0; i < drill_scenarios_n(); i++) {
        const struct drill_scenario *s = drill_scenario_at(i);

        CHECK(drill_scenario_find(s->name) == s);
        CHECK(drill_providers_n(s) > 0 && drill_crowds_n(s) > 0 && drill_bounds_n(s) > 0);
        CHECK(s->duration_s > 0 && s->slow_us > 0 && s->what[0] != '\0');
    }
    CHECK(drill_scenario_find("nowhere") == NULL);
}
