/* SPDX-License-Identifier: MIT */
/* Crowds: random faults, leaving and slow clients by the ten thousand, and ten minutes of a real trace.
 * Everybody gets the whole truth or an honest error, and nothing is left behind (story_end asserts it). */
#include "support/crowd.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tap.h"

#define MIX_N 10000
#define TRACE "tests/data/azure2023_conv_10min.csv"
#define TRACE_MAX 20000

static void mixed_arrivals(struct arrival *a, size_t n, uint64_t seed)
{
    struct rng dice;
    int64_t at_us = 0;

    rng_seed(&dice, seed);
    for (size_t i = 0; i < n; i++) {
        at_us += (int64_t)rng_exp(&dice, 10000); /* 100 a second */
        a[i] = (struct arrival){.at_us = at_us,
                                .model = "any",
                                .stream = rng_below(&dice, 3) > 0,
                                .prompt_bytes = 20 + (int)rng_below(&dice, 400)};
        if (rng_below(&dice, 10) == 0)
            a[i].leave_after_us = 1 + (int64_t)rng_below(&dice, 200000);
        if (rng_below(&dice, 20) == 0)
            a[i].pause_at_bytes = 1 + rng_below(&dice, 3000);
    }
}

static void with_faults(struct sim_opts *o, uint64_t seed)
{
    for (int f = SIM_HANG; f < SIM_FAULT_N; f++)
        o->fault_p[f] = 0.02;
    o->seed = seed;
    o->slots = 40;
    o->account_limit = 60;
    o->keepalive_us = 50 * STORY_MS;
}

/* Faults of every kind at once, fewer slots than clients, three workers, bytes in pieces. */
static void run_mix(uint64_t seed)
{
    struct arrival *a = mem_zalloc(MIX_N * sizeof *a);
    const struct tally *t;
    struct story s;
    struct world *w;
    struct crowd *c;

    story_init(
        &s, "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
            "accounts: [{name: a, slots: {'*': 30}}, {name: b, slots: {'*': 30}}]\nendpoints:\n"
            "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: a}\n"
            "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none, account: b}\n"
            "models: [{name: '*', tiers: [[{endpoint: one, weight: 60}, {endpoint: two, weight: 40}]]}]\n");
    s.more = "timeouts: {transport: 1s, progress: 2s, deadline: 20s, hold: 300ms, comment: 200ms}\n"
             "limits: {pending: 8KiB, line: 500}\n";
    s.workers = 3;
    s.seed = seed;
    s.segment_max = 700;
    with_faults(&s.one, seed);
    with_faults(&s.two, seed + 100);
    w = story_begin(&s);
    mixed_arrivals(a, MIX_N, seed);
    c = crowd_new(w, a, MIX_N, seed);
    CHECK(crowd_run(c, 3600 * STORY_S));
    t = crowd_tally(c);
    printf("# seed %llu: whole %zu, error %zu, in-band %zu, left %zu, wrong %zu\n", (unsigned long long)seed,
           t->whole_n, t->error_n, t->in_band_n, t->left_n, t->wrong_n);
    if (!CHECK_INT((long long)t->wrong_n, 0))
        printf("# %s\n", t->first_wrong);
    CHECK_INT((long long)t->ended_n, MIX_N);
    CHECK(t->whole_n > MIX_N / 2 && t->in_band_n > 0 && t->left_n > 0);
    crowd_free(&c);
    world_run(w, 5 * STORY_S);
    CHECK_INT(world_metric(w, METRIC_EXCHANGES, 0), 0);
    CHECK_INT(world_metric(w, METRIC_CALLS_INFLIGHT, 0) + world_metric(w, METRIC_CALLS_INFLIGHT, 1), 0);
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), 0);
    CHECK_INT(world_metric(w, METRIC_CONNS, 0), 0);
    CHECK_INT((long long)budget_used(&w->app->budget), 0);
    story_end(&w);
    mem_free(a);
}

TEST(ten_thousand_requests_with_random_faults_leave_nothing_behind)
{
    run_mix(1);
}

TEST(the_same_with_another_seed)
{
    run_mix(20261122);
}

/* "2023-11-16 18:15:46.6805900": microseconds of the day. */
static int64_t time_of(const char *text)
{
    int h = 0, m = 0;
    double s = 0;

    return sscanf(text, "%*d-%*d-%*d %d:%d:%lf", &h, &m, &s) == 3
               ? (h * 60 + m) * 60 * CLOCK_SECOND_US + (int64_t)(s * 1e6)
               : -1;
}

static size_t read_trace(struct arrival *a, size_t max)
{
    FILE *f = fopen(TRACE, "r");
    char line[256];
    int64_t first_us = -1;
    size_t n = 0;

    while (f != NULL && n < max && fgets(line, sizeof line, f) != NULL) {
        char *comma = strchr(line, ',');
        int context, generated;
        int64_t at_us = time_of(line);

        if (at_us < 0 || comma == NULL || sscanf(comma, ",%d,%d", &context, &generated) != 2)
            continue; /* the attribution and the header */
        if (first_us < 0)
            first_us = at_us;
        a[n++] = (struct arrival){.at_us = at_us - first_us,
                                  .model = "any",
                                  .stream = true,
                                  .prompt_bytes = context * 4,
                                  .tokens = generated > 0 ? generated : 1};
    }
    if (f != NULL)
        fclose(f);
    return n;
}

TEST(ten_minutes_of_the_azure_chat_trace_every_stream_complete)
{
    struct arrival *a = mem_zalloc(TRACE_MAX * sizeof *a);
    size_t n = read_trace(a, TRACE_MAX);
    struct story s;
    struct world *w;
    struct crowd *c;
    const struct tally *t;

    CHECK(n > 2000);
    story_init(&s, STORY_TWO);
    s.workers = 2;
    s.one.ttft = (struct sim_time){400 * STORY_MS, 0.5};
    s.one.gap = (struct sim_time){30 * STORY_MS, 0.3};
    w = story_begin(&s);
    c = crowd_new(w, a, n, 3);
    CHECK(crowd_run(c, 3600 * STORY_S));
    t = crowd_tally(c);
    printf("# %zu requests, %zu streams whole\n", n, t->whole_n);
    CHECK_INT((long long)t->whole_n, (long long)n);
    CHECK_INT((long long)t->wrong_n, 0);
    crowd_free(&c);
    story_end(&w);
    mem_free(a);
}
