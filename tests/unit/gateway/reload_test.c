/* SPDX-License-Identifier: MIT */
/* Reloading in a virtual world: what has begun goes on as it began, what comes after belongs to the new
 * edition, slots are exact over both, figures never go backwards, and nothing is left behind. */
#include "gateway/reload.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/desk.h"
#include "shared/admission.h"
#include "support/crowd.h"
#include "tap.h"

#define HEAD "listen: 10.0.0.9:80\n"
#define KEYS "keys: [{name: tester, key: key-for-tests}]\n"
#define ONE "{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}"
#define TWO "{name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}"
#define TO_ONE HEAD KEYS "endpoints: [" ONE "]\nmodels: [{name: '*', tiers: [[{endpoint: one}]]}]\n"
#define TO_TWO HEAD KEYS "endpoints: [" TWO "]\nmodels: [{name: '*', tiers: [[{endpoint: two}]]}]\n"

static void reload(struct world *w, const char *yaml)
{
    struct config_report report = {.text = ""};

    if (!CHECK_INT(world_reload(w, yaml, &report), ERR_OK))
        printf("# %s\n", report.text);
}

/* Desks of one edition, one for each worker, are what is left when old ones have gone. */
static bool only_one_edition_is_left(const struct world *w)
{
    bool same = w->app->desks_n == w->workers_n;

    LIST_EACH (n, &w->app->desks)
        same = same && CONTAINER_OF(n, struct desk, node)->edition == w->app->edition;
    return same;
}

TEST(what_has_begun_goes_on_and_what_comes_after_is_of_the_new_edition)
{
    struct story s;
    struct world *w;
    struct caller *stream, *after;

    story_init(&s, TO_ONE);
    w = story_begin(&s);
    stream = story_ask(w, story_body("any", true, "begun", NULL));
    world_run(w, 15 * STORY_MS); /* some tokens have come */
    CHECK(stream->events_n > 0 && stream->ended_us == 0);
    reload(w, TO_TWO "workers: 1\n");
    world_run(w, STORY_MS);
    CHECK_INT((long long)w->app->desks_n, 2);
    after = story_ask(w, story_body("any", true, "after", NULL));
    CHECK(story_wait(w, stream, STORY_S) && story_wait(w, after, STORY_S));
    CHECK(stream->complete && stream->done);
    CHECK_STR(stream->endpoint, "one");
    CHECK(after->complete && after->done);
    CHECK_STR(after->endpoint, "two");
    caller_free(&stream);
    caller_free(&after);
    world_run(w, 2 * STORY_S); /* the tail of the first call */
    CHECK(only_one_edition_is_left(w));
    CHECK_INT(sim_stats(w->sims[0])->conns_n, 0); /* its connection at rest has been closed with the desk */
    CHECK_INT(world_metric(w, METRIC_RELOADS, STATS_RELOAD_DONE), 1);
    story_end(&w);
}

TEST(a_key_that_is_taken_away_ends_nothing_that_has_begun)
{
    struct story s;
    struct world *w;
    struct caller *stream, *after;

    story_init(&s, TO_ONE);
    w = story_begin(&s);
    stream = story_ask(w, story_body("any", true, "begun", NULL));
    world_run(w, 15 * STORY_MS);
    reload(w, HEAD "keys: [{name: other, key: another-key}]\nendpoints: [" ONE
                   "]\nmodels: [{name: '*', tiers: [[{endpoint: one}]]}]\nworkers: 1\n");
    world_run(w, STORY_MS);
    after = story_ask(w, story_body("any", true, "after", NULL));
    CHECK(story_wait(w, stream, STORY_S) && story_wait(w, after, STORY_S));
    CHECK(stream->complete && stream->done);
    CHECK_INT(after->status, 401);
    caller_free(&stream);
    caller_free(&after);
    story_end(&w);
}

TEST(a_configuration_that_cannot_be_built_changes_nothing)
{
    char path[] = "/tmp/tidegate-reload-test-XXXXXX", yaml[1024];
    int fd = mkstemp(path);
    struct config_report report = {.text = ""};
    struct edition *before;
    struct story s;
    struct world *w;
    struct caller *c;

    CHECK(fd >= 0 && write(fd, "no PEM\n", 7) == 7);
    snprintf(yaml, sizeof yaml,
             HEAD KEYS "endpoints: [{name: one, provider: openai, url: 'https://10.0.0.1/v1', key: none, "
                       "ca_file: %s}]\nmodels: [{name: '*', tiers: [[{endpoint: one}]]}]\nworkers: 1\n",
             path);
    story_init(&s, TO_ONE);
    w = story_begin(&s);
    before = w->app->edition;
    CHECK_INT(world_reload(w, yaml, &report), ERR_CONFIG_REFUSED);
    CHECK_INT(world_reload(w, "nonsense: 1\n", &report), ERR_CONFIG);
    CHECK(w->app->edition == before);
    CHECK_INT((long long)w->app->desks_n, 1);
    CHECK_INT(world_metric(w, METRIC_RELOADS, STATS_RELOAD_REFUSED), 1);
    CHECK_INT(world_metric(w, METRIC_RELOAD_OK, 0), 0);
    c = story_ask(w, story_body("any", false, "still", NULL));
    CHECK(story_wait(w, c, STORY_S) && c->complete);
    CHECK_INT(c->status, 200);
    caller_free(&c);
    reload(w, TO_ONE "workers: 1\n");
    CHECK_INT(world_metric(w, METRIC_RELOAD_OK, 0), 1);
    story_end(&w);
    close(fd);
    unlink(path);
}

/* -- slots ----------------------------------------------------------------------------------------------- */

static const char *slots_yaml(char *out, size_t n, int slots, const char *endpoint)
{
    snprintf(out, n,
             HEAD KEYS "accounts: [{name: a, slots: {'*': %d}}]\n"
                       "endpoints: [{name: %s, provider: openai, url: 'http://10.0.0.1/v1', key: none, "
                       "account: a}]\nmodels: [{name: '*', tiers: [[{endpoint: %s}]]}]\n"
                       "limits: {line: 1000}\n",
             slots, endpoint, endpoint);
    return out;
}

/* Tickets that wait for the one model, over all editions in use. */
static size_t waiting_n(const struct world *w)
{
    const struct edition *last = NULL;
    size_t n = 0;

    LIST_EACH (node, &w->app->desks) {
        const struct edition *e = CONTAINER_OF(node, struct desk, node)->edition;

        if (e != last && e != w->app->edition) /* desks of one edition stand side by side */
            n += admission_depth(e->admission, 0);
        last = e;
    }
    return n + admission_depth(w->app->edition->admission, 0);
}

/* At every moment: nobody is let in past the newest limit, and nobody waits beside a free slot. */
static void run_slots(uint64_t seed)
{
    static struct arrival a[400];
    char yaml[1024];
    struct rng dice;
    struct story s;
    struct world *w;
    struct crowd *c;
    int limit = 5, before = 0, reloads_n = 0;

    rng_seed(&dice, seed);
    story_init(&s, slots_yaml(yaml, sizeof yaml, limit, "one"));
    s.workers = 3;
    s.seed = seed;
    w = story_begin(&s);
    for (size_t i = 0; i < COUNT_OF(a); i++)
        a[i] = (struct arrival){.at_us = (int64_t)i * 2 * STORY_MS,
                                .model = i % 3 != 0 ? "m" : "n",
                                .stream = i % 2 == 0,
                                .prompt_bytes = 20};
    c = crowd_new(w, a, COUNT_OF(a), seed);
    for (int ms = 0; ms < 60000 && crowd_tally(c)->ended_n < COUNT_OF(a); ms++) {
        if (rng_below(&dice, 12) == 0) {
            limit = 1 + (int)rng_below(&dice, 8);
            reload(w, slots_yaml(yaml, sizeof yaml, limit, rng_below(&dice, 2) == 0 ? "one" : "uno"));
            reloads_n++;
        }
        world_run(w, STORY_MS);
        int now = sim_stats(w->sims[0])->working_n + sim_stats(w->sims[0])->queued_n;
        size_t waiting = waiting_n(w), used = admission_used(w->app->edition->admission) - waiting;
        CHECK(now <= limit || now <= before);
        CHECK(waiting == 0 || used >= (size_t)limit);
        before = now;
    }
    printf("# seed %llu: %d reloads, whole %zu of %zu\n", (unsigned long long)seed, reloads_n,
           crowd_tally(c)->whole_n, COUNT_OF(a));
    CHECK_INT((long long)crowd_tally(c)->whole_n, (long long)COUNT_OF(a));
    CHECK(reloads_n > 20);
    crowd_free(&c);
    world_run(w, 5 * STORY_S);
    CHECK(only_one_edition_is_left(w));
    story_end(&w);
}

TEST(slots_are_exact_over_editions)
{
    for (uint64_t seed = 1; seed <= 5; seed++)
        run_slots(seed);
}

/* -- crowds ---------------------------------------------------------------------------------------------- */

static void with_faults(struct sim_opts *o, uint64_t seed)
{
    for (int f = SIM_HANG; f < SIM_FAULT_N; f++)
        o->fault_p[f] = 0.01;
    o->seed = seed;
    o->slots = 40;
    o->keepalive_us = 50 * STORY_MS;
}

static void mixed_arrivals(struct arrival *a, size_t n, struct rng *dice)
{
    int64_t at_us = 0;

    for (size_t i = 0; i < n; i++) {
        at_us += (int64_t)rng_exp(dice, 8000);
        a[i] = (struct arrival){.at_us = at_us,
                                .model = "any",
                                .stream = rng_below(dice, 3) > 0,
                                .prompt_bytes = 20 + (int)rng_below(dice, 400)};
        if (rng_below(dice, 10) == 0)
            a[i].leave_after_us = 1 + (int64_t)rng_below(dice, 200000);
        if (rng_below(dice, 20) == 0)
            a[i].pause_at_bytes = 1 + rng_below(dice, 3000);
    }
}

#define MIX_MORE                                                                            \
    "timeouts: {transport: 1s, progress: 2s, deadline: 20s, hold: 300ms, comment: 200ms}\n" \
    "limits: {pending: 8KiB, line: 500}\nworkers: 3\n"

/* The same endpoints in another order, other weights and limits, an endpoint gone, another name. */
static const char *const MIXES[] = {
    HEAD KEYS "accounts: [{name: a, slots: {'*': 20}}, {name: b, slots: {'*': 20}}]\nendpoints:\n"
              "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: a}\n"
              "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none, account: b}\n"
              "models: [{name: '*', tiers: [[{endpoint: one, weight: 60}, {endpoint: two, weight: 40}]]}]\n",
    HEAD KEYS "accounts: [{name: b, slots: {'*': 5}}, {name: a, slots: {'*': 40}}]\nendpoints:\n"
              "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none, account: b}\n"
              "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: a}\n"
              "models: [{name: any, tiers: [[{endpoint: two}], [{endpoint: one}]]}]\n",
    HEAD KEYS "accounts: [{name: a, slots: {any: 30}}]\nendpoints:\n"
              "  - {name: uno, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: a}\n"
              "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none, account: a}\n"
              "models: [{name: '*', tiers: [[{endpoint: uno}, {endpoint: two}]]}]\n",
};

static void run_crowd(uint64_t seed)
{
    enum { N = 3000 };
    struct arrival *a = mem_zalloc(N * sizeof *a);
    int64_t requests = 0;
    char yaml[2048];
    struct rng dice;
    struct story s;
    struct world *w;
    struct crowd *c;

    rng_seed(&dice, seed);
    story_init(&s, MIXES[0]);
    s.workers = 3;
    s.seed = seed;
    s.segment_max = 700;
    with_faults(&s.one, seed);
    with_faults(&s.two, seed + 100);
    snprintf(yaml, sizeof yaml, "%s", MIX_MORE);
    *strstr(yaml, "workers:") = '\0'; /* story_begin says it */
    s.more = yaml;
    w = story_begin(&s);
    mixed_arrivals(a, N, &dice);
    c = crowd_new(w, a, N, seed);
    while (crowd_tally(c)->ended_n < N) {
        char next[2048];

        snprintf(next, sizeof next, "%s%s", MIXES[rng_below(&dice, COUNT_OF(MIXES))], MIX_MORE);
        world_run(w, (int64_t)rng_below(&dice, 200) * STORY_MS);
        reload(w, next);
        CHECK(world_metric(w, METRIC_RESPONSES, stats_code(200)) >= requests);
        requests = world_metric(w, METRIC_RESPONSES, stats_code(200));
    }
    printf("# seed %llu: %lld reloads, whole %zu, error %zu, in-band %zu, left %zu, wrong %zu\n",
           (unsigned long long)seed, (long long)world_metric(w, METRIC_RELOADS, STATS_RELOAD_DONE),
           crowd_tally(c)->whole_n, crowd_tally(c)->error_n, crowd_tally(c)->in_band_n,
           crowd_tally(c)->left_n, crowd_tally(c)->wrong_n);
    if (!CHECK_INT((long long)crowd_tally(c)->wrong_n, 0))
        printf("# %s\n", crowd_tally(c)->first_wrong);
    CHECK(crowd_tally(c)->whole_n > N / 2);
    crowd_free(&c);
    world_run(w, 5 * STORY_S);
    CHECK(only_one_edition_is_left(w));
    CHECK_INT(world_metric(w, METRIC_EXCHANGES, 0), 0);
    CHECK_INT(world_metric(w, METRIC_CONNS, 0), 0);
    story_end(&w);
    mem_free(a);
}

TEST(crowds_among_faults_and_reloads_get_the_truth_and_leave_nothing_behind)
{
    run_crowd(1);
    run_crowd(20261127);
}

TEST(t25_a_thousand_reloads_drop_nothing)
{
    struct arrival *a = mem_zalloc(2000 * sizeof *a);
    char yaml[2048];
    struct story s;
    struct world *w;
    struct crowd *c;

    for (size_t i = 0; i < 2000; i++)
        a[i] = (struct arrival){
            .at_us = (int64_t)i * 5 * STORY_MS, .model = "any", .stream = i % 4 != 0, .prompt_bytes = 40};
    story_init(&s, MIXES[0]);
    s.workers = 2;
    w = story_begin(&s);
    c = crowd_new(w, a, 2000, 1);
    for (int i = 0; i < 1000; i++) {
        snprintf(yaml, sizeof yaml, "%sworkers: 2\n", MIXES[i % COUNT_OF(MIXES)]);
        world_run(w, 10 * STORY_MS);
        reload(w, yaml);
    }
    CHECK(crowd_run(c, 60 * STORY_S));
    CHECK_INT((long long)crowd_tally(c)->whole_n, 2000);
    CHECK_INT(world_metric(w, METRIC_RELOADS, STATS_RELOAD_DONE), 1000);
    crowd_free(&c);
    world_run(w, 5 * STORY_S);
    CHECK(only_one_edition_is_left(w));
    story_end(&w);
    mem_free(a);
}

/* -- figures and memory ---------------------------------------------------------------------------------- */

static int64_t figure(const struct world *w, enum metric id, const char *labels, enum metric_labels set)
{
    const struct metrics_layout *l = &w->app->edition->stats.layout;

    for (size_t i = 0; i < l->rows_n[set]; i++) {
        if (strcmp(l->rows[set][i], labels) == 0)
            return world_metric(w, id, i);
    }
    return -1;
}

TEST(figures_go_on_under_the_names_that_stay)
{
    struct story s;
    struct world *w;
    struct caller *c;

    story_init(&s, TO_ONE);
    w = story_begin(&s);
    c = story_ask(w, story_body("any", true, "count me", NULL));
    CHECK(story_wait(w, c, STORY_S));
    caller_free(&c);
    CHECK_INT(figure(w, METRIC_CONNECTS, "endpoint=\"one\"", LABELS_ENDPOINT), 1);
    reload(w, HEAD KEYS "endpoints: [" TWO ", " ONE
                        "]\nmodels: [{name: x, tiers: [[{endpoint: two}]]}, {name: '*', tiers: [[{endpoint: "
                        "one}]]}]\nworkers: 1\n");
    CHECK_INT(figure(w, METRIC_CONNECTS, "endpoint=\"one\"", LABELS_ENDPOINT), 1); /* both are alive */
    CHECK_INT(figure(w, METRIC_TTFT, "model=\"*\"", LABELS_MODEL), 1);
    world_run(w, 5 * STORY_S); /* the old desk has gone */
    CHECK(only_one_edition_is_left(w));
    CHECK_INT(figure(w, METRIC_CONNECTS, "endpoint=\"one\"", LABELS_ENDPOINT), 1);
    CHECK_INT(figure(w, METRIC_CONNECTS, "endpoint=\"two\"", LABELS_ENDPOINT), 0);
    CHECK_INT(figure(w, METRIC_TTFT, "model=\"*\"", LABELS_MODEL), 1);
    CHECK_INT(figure(w, METRIC_TTFT, "model=\"x\"", LABELS_MODEL), 0);
    story_end(&w);
}

TEST(t17_a_thousand_reloads_do_not_grow_memory)
{
    size_t before = 0;
    struct story s;
    struct world *w;

    story_init(&s, TO_ONE);
    w = story_begin(&s);
    for (int i = 0; i < 1100; i++) {
        struct caller *c = story_ask(w, story_body("any", true, "again", NULL));

        reload(w, i % 2 == 0 ? TO_TWO "workers: 1\n" : TO_ONE "workers: 1\n");
        CHECK(story_wait(w, c, STORY_S) && c->complete);
        caller_free(&c);
        if (i % 100 == 99) { /* bodies of this test's own arena are no matter: 200 bytes each */
            world_run(w, 2 * STORY_S);
            CHECK_INT((long long)w->app->desks_n, 1);
            if (i == 99)
                before = mallinfo2().uordblks;
        }
    }
    CHECK(mallinfo2().uordblks < before + 1000 * 400);
    printf("# %zu, then %zu bytes\n", before, (size_t)mallinfo2().uordblks);
    story_end(&w);
}
