/* SPDX-License-Identifier: MIT */
/* Nothing is lost and nothing is counted twice: what the clients saw, what the gateway counted and what the
 * endpoints counted are the same numbers, whatever fails. */
#include "base/clock.h"
#include "base/mem.h"
#include "shared/admission.h"
#include "support/crowd.h"
#include "tap.h"

#define CROWD_N 300

static const char YAML[] =
    "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
    "accounts: [{name: a, slots: {'*': 20}}, {name: b, slots: {'*': 15}}]\nendpoints:\n"
    "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: a}\n"
    "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none, account: b}\n"
    "models: [{name: '*', tiers: [[{endpoint: one, weight: 60}, {endpoint: two, weight: 40}]]}]\n";

/* A crowd, the world it went through, and how it all ended. */
struct trial {
    struct world *w;
    struct arrival *arrivals;
    struct tally tally;
};

static void with_faults(struct sim_opts *o, uint64_t seed)
{
    for (int f = SIM_HANG; f < SIM_FAULT_N; f++) {
        /* What ends without a byte may be asked again within the same call (upstream/call.c). */
        if (f != SIM_DROP && f != SIM_HALF_CLOSE)
            o->fault_p[f] = 0.012;
    }
    o->seed = seed;
    o->slots = 12;
    o->account_limit = 25;
}

static void arrive(struct trial *t, uint64_t seed, bool leaving)
{
    struct rng dice;
    int64_t at_us = 0;

    rng_seed(&dice, seed);
    t->arrivals = mem_zalloc(CROWD_N * sizeof *t->arrivals);
    for (size_t i = 0; i < CROWD_N; i++) {
        struct arrival *a = &t->arrivals[i];

        at_us += (int64_t)rng_exp(&dice, 3000);
        *a = (struct arrival){.at_us = at_us,
                              .model = "any",
                              .stream = rng_below(&dice, 3) > 0,
                              .prompt_bytes = 20 + (int)rng_below(&dice, 400)};
        if (leaving && rng_below(&dice, 4) == 0) /* not before the request has arrived */
            a->leave_after_us = 2 * STORY_MS + (int64_t)rng_below(&dice, 60000);
        if (rng_below(&dice, 10) == 0)
            a->pause_at_bytes = 1 + rng_below(&dice, 3000);
    }
}

static void begin(struct trial *t, uint64_t seed, bool leaving)
{
    struct story s;
    struct crowd *c;

    story_init(&s, YAML);
    s.more = "timeouts: {transport: 1s, progress: 2s, deadline: 20s, hold: 300ms, comment: 200ms}\n"
             "limits: {pending: 8KiB, line: 60}\n";
    s.workers = 1 + (int)(seed % 4);
    s.seed = seed;
    s.segment_max = seed % 3 == 0 ? 0 : 50 * (size_t)(seed % 20 + 1);
    with_faults(&s.one, seed);
    with_faults(&s.two, seed + 1000);
    t->w = story_begin(&s);
    arrive(t, seed, leaving);
    c = crowd_new(t->w, t->arrivals, CROWD_N, seed);
    CHECK(crowd_run(c, 3600 * STORY_S));
    t->tally = *crowd_tally(c);
    if (!CHECK_INT(t->tally.wrong_n, 0))
        printf("# seed %llu: %s\n", (unsigned long long)seed, t->tally.first_wrong);
    CHECK_INT(t->tally.ended_n, CROWD_N);
    crowd_free(&c);
    world_run(t->w, 30 * STORY_S); /* hanging calls of those who left, and every timer behind them */
}

static void end(struct trial *t)
{
    story_end(&t->w);
    mem_free(t->arrivals);
}

static int64_t sum(const struct world *w, enum metric id, size_t from, size_t n)
{
    int64_t total = 0;

    for (size_t i = from; i < from + n; i++)
        total += world_metric(w, id, i);
    return total;
}

static int64_t results(const struct world *w, enum result r)
{
    return world_metric(w, METRIC_REQUESTS, stats_route_result(ROUTE_CHAT, r));
}

static int64_t calls(const struct world *w, int endpoint)
{
    return sum(w, METRIC_CALLS, stats_endpoint_outcome(endpoint, 0), OUTCOME_N);
}

/* Everything that goes up and down is down. */
static void check_zeros(const struct world *w)
{
    CHECK_INT(world_metric(w, METRIC_EXCHANGES, 0), 0);
    CHECK_INT(world_metric(w, METRIC_CONNS, 0), 0);
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), 0);
    CHECK_INT(sum(w, METRIC_CALLS_INFLIGHT, 0, 2), 0);
    CHECK_INT(admission_used(w->app->edition->admission), 0);
    CHECK_INT(admission_depth(w->app->edition->admission, 0), 0);
    CHECK_INT(budget_used(&w->app->budget), 0);
}

/* Each request that reached an endpoint has one end there. */
static void check_endpoints(const struct world *w)
{
    for (size_t i = 0; i < w->sims_n; i++) {
        const struct sim_stats *s = sim_stats(w->sims[i]);

        CHECK_INT(s->requests_n, s->answered_n + s->refused_n + s->cut_n + s->cancelled_n);
        CHECK_INT(s->working_n + s->queued_n, 0);
        CHECK(s->requests_n > 0);
    }
}

TEST(clients_gateway_and_endpoints_agree_when_nobody_leaves)
{
    size_t errors_n = 0, in_band_n = 0;

    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct trial t;
        const struct world *w;
        int64_t refused;

        begin(&t, seed, false);
        w = t.w;
        refused = results(w, RESULT_FAILED) + results(w, RESULT_REFUSED);
        CHECK_INT(t.tally.left_n, 0);
        CHECK_INT(results(w, RESULT_FULL), t.tally.whole_n);
        CHECK_INT(refused, t.tally.error_n + t.tally.in_band_n);
        CHECK_INT(results(w, RESULT_CANCELLED), 0);
        CHECK_INT(sum(w, METRIC_ERRORS, 0, ERR_N), refused);
        CHECK_INT(world_metric(w, METRIC_RESPONSES, stats_code(200)), t.tally.whole_n + t.tally.in_band_n);
        CHECK_INT(sum(w, METRIC_RESPONSES, 0, w->app->edition->stats.layout.rows_n[LABELS_CODE]), CROWD_N);
        CHECK_INT(world_metric(w, METRIC_CONNS_ACCEPTED, 0), CROWD_N);
        for (int i = 0; i < 2; i++)
            CHECK_INT(calls(w, i), sim_stats(w->sims[i])->requests_n);
        check_endpoints(w);
        check_zeros(w);
        errors_n += t.tally.error_n;
        in_band_n += t.tally.in_band_n;
        end(&t);
    }
    CHECK(errors_n > 0 && in_band_n > 0); /* else it was too easy */
}

TEST(every_request_has_one_end_when_clients_leave)
{
    int64_t cancelled_n = 0;

    for (uint64_t seed = 21; seed <= 32; seed++) {
        struct trial t;
        const struct world *w;

        begin(&t, seed, true);
        w = t.w;
        CHECK(t.tally.left_n > 0);
        CHECK_INT(sum(w, METRIC_REQUESTS, stats_route_result(ROUTE_CHAT, 0), RESULT_N), CROWD_N);
        /* Who left may have been answered already, in full or not. */
        CHECK(results(w, RESULT_CANCELLED) <= (int64_t)t.tally.left_n);
        CHECK(results(w, RESULT_FULL) >= (int64_t)t.tally.whole_n);
        CHECK(results(w, RESULT_FAILED) + results(w, RESULT_REFUSED) >=
              (int64_t)(t.tally.error_n + t.tally.in_band_n));
        CHECK_INT(world_metric(w, METRIC_CONNS_ACCEPTED, 0), CROWD_N);
        for (int i = 0; i < 2; i++) /* a call may be given up before its request has arrived */
            CHECK(calls(w, i) >= (int64_t)sim_stats(w->sims[i])->requests_n);
        check_endpoints(w);
        check_zeros(w);
        cancelled_n += results(w, RESULT_CANCELLED);
        end(&t);
    }
    CHECK(cancelled_n > 0);
}
