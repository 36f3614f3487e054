/* SPDX-License-Identifier: MIT */
/* What all workers share, held against what each of them says (T23, T27): the line adds up at every moment,
 * slots and limits are one over all workers without delay, each state has one way to be told, and nothing
 * runs while nothing happens. */
#include "base/mem.h"
#include "shared/admission.h"
#include "support/crowd.h"
#include "tap.h"

#define ONE                                                                            \
    "listen: 10.0.0.9:80\n"                                                            \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, " \
    "account: main}]\n"

static int64_t sum_of(const struct world *w, enum metric id, size_t rows_n)
{
    int64_t sum = 0;

    for (size_t i = 0; i < rows_n; i++)
        sum += world_metric(w, id, i);
    return sum;
}

/* -- T27: the line adds up --------------------------------------------------------------------------------
 */

#define CHURN_N 600
#define CHURN_STEP_US (3 * STORY_MS)

static void mixed_arrivals(struct arrival *a, struct rng *dice)
{
    int64_t at_us = 0;

    for (size_t i = 0; i < CHURN_N; i++) {
        at_us += (int64_t)rng_below(dice, 8 * STORY_MS);
        a[i] = (struct arrival){
            .at_us = at_us,
            .model = rng_below(dice, 2) == 0 ? "x" : "other",
            .stream = rng_below(dice, 2) == 0,
            .prompt_bytes = 10,
            .tokens = 1 + (int)rng_below(dice, 30),
            .leave_after_us = rng_below(dice, 3) == 0 ? 1 + (int64_t)rng_below(dice, 200 * STORY_MS) : 0};
    }
}

/* Every part, each as its owner counts it. */
static void check_sums(const struct world *w, int64_t *deepest)
{
    struct admission *a = w->app->edition->admission;
    int64_t waiting = sum_of(w, METRIC_LINE_DEPTH, 2), calling = sum_of(w, METRIC_CALLS_INFLIGHT, 1);

    CHECK_INT(waiting, (long long)(admission_depth(a, 0) + admission_depth(a, 1)));
    CHECK_INT(waiting + calling, (long long)admission_used(a));
    CHECK(calling <= 5 && (waiting == 0 || calling >= 2)); /* slots: 3 of x and 2 of all others */
    if (waiting > *deepest)
        *deepest = waiting;
}

TEST(t27_those_who_wait_and_those_who_are_served_add_up_at_every_moment)
{
    struct arrival *a = mem_zalloc(CHURN_N * sizeof *a);
    int64_t deepest = 0;
    struct story s;
    struct world *w;
    struct crowd *c;
    struct rng dice;

    rng_seed(&dice, 27);
    mixed_arrivals(a, &dice);
    story_init(&s, ONE
               "keys: [{name: tester, key: key-for-tests}]\n"
               "accounts: [{name: main, slots: {x: 3, '*': 2}}]\n"
               "models: [{name: x, tiers: [[{endpoint: one}]]}, {name: '*', tiers: [[{endpoint: one}]]}]\n"
               "timeouts: {deadline: 2s}\n");
    s.workers = 3;
    w = story_begin(&s);
    c = crowd_new(w, a, CHURN_N, 27);
    for (int i = 0; i < 4000 && crowd_tally(c)->ended_n < CHURN_N; i++) {
        crowd_run(c, CHURN_STEP_US);
        check_sums(w, &deepest);
    }
    CHECK_INT((long long)crowd_tally(c)->ended_n, CHURN_N);
    CHECK_INT((long long)crowd_tally(c)->wrong_n, 0);
    CHECK(crowd_tally(c)->left_n > 20 && crowd_tally(c)->error_n > 20 && deepest > 20);
    crowd_free(&c);
    mem_free(a);
    story_end(&w);
}

/* -- T27: how each state is told ------------------------------------------------------------------------- */

#define FREE_MODEL "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n"
#define KEYS(limits) "keys: [{name: tester, key: key-for-tests" limits "}]\n"

static const struct state {
    const char *yaml;
    enum sim_fault fault;
    int before; /* requests that are in work already */
    int status;
    const char *code;
    int retry_after_s; /* at least; 0: none is told */
} STATES[] = {
    {KEYS("") "accounts: [{name: main, slots: {'*': 1}}]\nlimits: {line: 1}\n" FREE_MODEL, SIM_NONE, 2, 429,
     "queue_full", 1},
    {KEYS("") "accounts: [{name: main, slots: {'*': 1}}]\ntimeouts: {deadline: 300ms}\n" FREE_MODEL, SIM_HANG,
     1, 504, "deadline_exceeded", 0},
    {KEYS(", limits: {rpm: 1}") "accounts: [{name: main, slots: {'*': 100}}]\n" FREE_MODEL, SIM_NONE, 1, 429,
     "rate_limit_exceeded", 1},
    {KEYS(", limits: {inflight: 1}") "accounts: [{name: main, slots: {'*': 100}}]\n" FREE_MODEL, SIM_HANG, 1,
     429, "rate_limit_exceeded", 1},
    {KEYS("") "accounts: [{name: main, slots: {'*': 100}}]\n" FREE_MODEL, SIM_429, 0, 429,
     "upstream_rate_limited", 1},
    {KEYS("") "accounts: [{name: main, slots: {'*': 100}}]\n" FREE_MODEL, SIM_503, 0, 503, "upstream_busy",
     1},
    {KEYS("") "accounts: [{name: main, slots: {'*': 100}}]\n" FREE_MODEL, SIM_401, 0, 502,
     "upstream_credential_refused", 0},
    {KEYS("") "accounts: [{name: main, slots: {'*': 100}}]\n" FREE_MODEL, SIM_402, 0, 502,
     "upstream_balance_exhausted", 0},
    {KEYS("") "accounts: [{name: main, slots: {'*': 100}}]\n" FREE_MODEL, SIM_REFUSE, 0, 503,
     "upstream_unreachable", 0},
};

static void try(const struct state *r)
{
    struct caller *before[2] = {NULL}, *c;
    struct world *w;
    struct story s;
    char *end;

    story_init(&s, ONE);
    s.more = r->yaml;
    s.one.ttft.median_us = 2 * STORY_S;
    s.one.fault_p[r->fault] = r->fault != SIM_NONE;
    w = story_begin(&s);
    for (int i = 0; i < r->before; i++)
        before[i] = story_ask(w, story_body("any", false, "before", NULL));
    world_run(w, 20 * STORY_MS);
    c = story_ask(w, story_body("any", false, "now", NULL));
    CHECK(story_wait(w, c, 5 * STORY_S));
    CHECK_INT(c->status, r->status);
    CHECK_STR(story_error_code(c), r->code);
    if (r->retry_after_s > 0) {
        long told = strtol(c->retry_after, &end, 10);
        if (!CHECK(*end == '\0' && told >= r->retry_after_s && told <= 60))
            printf("# %s: Retry-After \"%s\"\n", r->code, c->retry_after);
    }
    world_run(w, 10 * STORY_S);
    for (int i = 0; i < r->before; i++)
        caller_free(&before[i]);
    caller_free(&c);
    story_end(&w);
}

TEST(t27_every_state_has_one_status_one_code_and_a_time_to_come_back)
{
    for (size_t i = 0; i < COUNT_OF(STATES); i++)
        try(&STATES[i]);
}

TEST(t27_an_idle_gateway_does_nothing)
{
    uint64_t turns;
    struct caller *c;
    struct story s;
    struct world *w;

    story_init(&s, STORY_TWO);
    s.workers = 4;
    w = story_begin(&s);
    c = story_ask(w, story_body("any", true, "hello", NULL));
    CHECK(story_wait(w, c, STORY_S));
    caller_free(&c);
    world_run(w, 120 * STORY_S); /* what rests in pools has been closed */
    turns = 0;
    for (size_t i = 0; i < w->workers_n; i++)
        turns -= w->worker_loops[i]->turns;
    world_run(w, 3600 * STORY_S);
    for (size_t i = 0; i < w->workers_n; i++)
        turns += w->worker_loops[i]->turns;
    CHECK_INT((long long)turns, 0);
    story_end(&w);
}

/* -- T23: what one worker knows, all know -----------------------------------------------------------------
 */

#define TOGETHER_N 12

/* One slot, four workers: whoever gives it back, the next call begins in the same moment wherever its ticket
 * waits. Twelve requests together take twelve times what one takes alone, and not a millisecond more. */
TEST(t23_a_slot_that_one_worker_gives_back_is_another_ones_at_once)
{
    struct caller *alone, *c[TOGETHER_N];
    int64_t alone_us, last_us = 0, began_us;
    struct story s;
    struct world *w;

    story_init(&s, ONE KEYS("") "accounts: [{name: main, slots: {'*': 1}}]\n" FREE_MODEL);
    s.workers = 4;
    w = story_begin(&s);
    alone = story_ask(w, story_body("any", false, "hello", "\"max_tokens\":20"));
    CHECK(story_wait(w, alone, STORY_S));
    alone_us = alone->ended_us - alone->started_us;
    began_us = vnet_now_us(w->net);
    for (int i = 0; i < TOGETHER_N; i++)
        c[i] = story_ask(w, story_body("any", false, "hello", "\"max_tokens\":20"));
    world_run(w, 100 * STORY_S);
    for (int i = 0; i < TOGETHER_N; i++) {
        CHECK_INT(c[i]->status, 200);
        if (c[i]->ended_us > last_us)
            last_us = c[i]->ended_us;
        caller_free(&c[i]);
    }
    if (!CHECK(last_us - began_us <= TOGETHER_N * (alone_us + STORY_MS)))
        printf("# %lld us alone, %lld together\n", (long long)alone_us, (long long)(last_us - began_us));
    caller_free(&alone);
    story_end(&w);
}

TEST(t23_a_limit_of_n_lets_n_through_over_all_workers_at_once)
{
    struct caller *c[4 * TOGETHER_N];
    int passed = 0, refused = 0;
    struct story s;
    struct world *w;

    story_init(&s,
               ONE KEYS(", limits: {rpm: 12}") "accounts: [{name: main, slots: {'*': 100}}]\n" FREE_MODEL);
    s.workers = 4;
    w = story_begin(&s);
    for (int i = 0; i < 4 * TOGETHER_N; i++)
        c[i] = story_ask(w, story_body("any", false, "hello", NULL));
    world_run(w, 5 * STORY_S);
    for (int i = 0; i < 4 * TOGETHER_N; i++) {
        passed += c[i]->status == 200;
        refused += c[i]->status == 429;
        caller_free(&c[i]);
    }
    CHECK_INT(passed, 12);
    CHECK_INT(refused, 36);
    for (size_t i = 0; i < w->workers_n; i++) /* and all workers had a part in it */
        CHECK(w->worker_loops[i]->turns > 0);
    story_end(&w);
}
