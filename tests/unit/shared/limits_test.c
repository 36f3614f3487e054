/* SPDX-License-Identifier: MIT */
/* Limits across workers: all meters or none, exact under threads, and counts that outlive a configuration. */
#include "shared/limits.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"
#include "unit/config/reading.h"

#define SECOND CLOCK_SECOND_US
#define KEY(i) ((struct limits_who){(i), -1})
#define WHO(key, model) ((struct limits_who){(key), (model)})

#define HEAD                \
    "listen: 127.0.0.1:0\n" \
    "endpoints: [{name: a, provider: openai, url: 'http://127.0.0.1:1/v1', key: none}]\n"

static const char yaml[] =
    HEAD "models:\n"
         "  - {name: m, tiers: [[{endpoint: a}]]}\n"
         "  - {name: n, tiers: [[{endpoint: a}]], limits: {rpm: 6, tpm: 5000}}\n"
         "keys:\n"
         "  - {name: none, key: k0}\n"
         "  - {name: all, key: k1, limits: {rpm: 5, tpm: 1000, inflight: 4}}\n"
         "  - {name: some, key: k2, limits: {rpm: 9, models: {n: {rps: 2, tpm: 300}}}}\n";

static struct limits *limits_of(const char *text, const struct limits *old)
{
    struct config_report report;
    struct config *cfg = reading_of(text, &report);
    struct limits *l;

    if (!CHECK(cfg != NULL))
        printf("# %s\n", report.text);
    l = limits_new(cfg, old);
    config_unref(&cfg);
    return l;
}

static struct limits_refusal refusal;
static struct limits_levels levels;

static bool enter(struct limits *l, struct limits_who who, int64_t now_us, int64_t tokens,
                  struct limits_pass *pass)
{
    pass->tokens = tokens;
    return limits_enter(l, who, now_us, pass, &refusal, &levels);
}

TEST(who_has_no_limits_is_asked_nothing)
{
    struct limits *l = limits_of(yaml, NULL);
    struct limits_pass pass;

    CHECK(!limits_apply(l, KEY(-1)));
    CHECK(!limits_apply(l, WHO(0, 0)));
    CHECK(limits_apply(l, WHO(0, 1)));
    CHECK(limits_apply(l, KEY(1)));
    CHECK_INT(limits_tokens_max(l, WHO(0, 0)), 0);
    CHECK_INT(limits_tokens_max(l, WHO(0, 1)), 5000);
    CHECK_INT(limits_tokens_max(l, WHO(1, 1)), 1000);
    CHECK_INT(limits_tokens_max(l, WHO(2, 0)), 0);
    CHECK_INT(limits_tokens_max(l, WHO(2, 1)), 300);
    CHECK(enter(l, WHO(0, 0), 0, 0, &pass));
    CHECK_INT(pass.holds_n, 0);
    limits_free(&l);
}

TEST(all_meters_let_it_through_or_none_counts_it)
{
    struct limits *l = limits_of(yaml, NULL);
    struct limits_pass p[4];

    CHECK(enter(l, WHO(2, 1), 0, 100, &p[0]));
    CHECK_INT(p[0].holds_n, 3);
    CHECK(!enter(l, WHO(2, 1), 0, 201, &p[1]));
    CHECK_INT(refusal.scope, LIMITS_OF_KEY_MODEL);
    CHECK_INT(refusal.why.limit, LIMIT_TPM);
    CHECK_INT(refusal.why.left, 200);
    CHECK_INT(p[1].holds_n, 0);
    CHECK(limits_ask(l, WHO(2, -1), 0, 1, &refusal, &levels));
    CHECK_INT(levels.requests.left, 8); /* the refused one is in none of them */
    CHECK(enter(l, WHO(2, 1), 0, 200, &p[1]));
    CHECK(!enter(l, WHO(2, 1), 0, 0, &p[2]));
    CHECK_INT(refusal.why.limit, LIMIT_RPS);
    CHECK(enter(l, WHO(2, 0), 0, 0, &p[2])); /* another model */
    CHECK_INT(p[2].holds_n, 1);
    CHECK_INT(limits_inflight(l), 7);
    for (int i = 0; i < 3; i++)
        limits_settle(&p[i], 1, 10, i != 1);
    CHECK_INT(limits_inflight(l), 0);
    limits_ask(l, WHO(2, 1), 1, 0, &refusal, &levels);
    CHECK_INT(levels.tokens.n, 300);
    CHECK_INT(levels.tokens.left, 290);
    CHECK_INT(levels.requests.n, 2);
    CHECK_INT(levels.requests.left, 1);
    limits_free(&l);
}

TEST(looking_counts_nothing)
{
    struct limits *l = limits_of(yaml, NULL);
    struct limits_pass p[5];

    for (int i = 0; i < 1000; i++)
        CHECK(limits_ask(l, KEY(1), i, 1, &refusal, &levels));
    for (int i = 0; i < 4; i++)
        CHECK(enter(l, WHO(1, 0), 1000, 1, &p[i]));
    CHECK(!limits_ask(l, KEY(1), 1000, 1, &refusal, &levels));
    CHECK_INT(refusal.why.limit, LIMIT_INFLIGHT);
    for (int i = 0; i < 4; i++)
        limits_settle(&p[i], 1000, 1, true);
    CHECK(enter(l, WHO(1, 0), 1000, 1, &p[4]));
    limits_settle(&p[4], 1000, 1, true);
    for (int i = 0; i < 1000; i++) /* T9: refusals extend nothing */
        CHECK(!limits_ask(l, KEY(1), 30 * SECOND, 1, &refusal, &levels));
    CHECK_INT(refusal.why.wait_us, 30 * SECOND + 1000);
    CHECK(limits_ask(l, KEY(1), 60 * SECOND + 1000, 1, &refusal, &levels));
    limits_free(&l);
}

/* -- other configurations -------------------------------------------------------------------------------- */

static const char moved[] =
    HEAD "models:\n"
         "  - {name: n, tiers: [[{endpoint: a}]], limits: {rpm: 3}}\n"
         "  - {name: m, tiers: [[{endpoint: a}]]}\n"
         "keys:\n"
         "  - {name: some, key: k2, limits: {rpm: 4, models: {m: {rpm: 1}, n: {rps: 2}}}}\n"
         "  - {name: all, key: k1}\n";

TEST(counts_go_on_by_name_in_the_next_configuration)
{
    struct limits *old = limits_of(yaml, NULL), *l;
    struct limits_pass p[4], q;

    CHECK(enter(old, WHO(2, 1), 0, 10, &p[0]));
    CHECK(enter(old, WHO(2, 1), 0, 10, &p[1]));
    CHECK(enter(old, WHO(1, 0), 0, 10, &p[2]));
    l = limits_of(moved, old);
    CHECK_INT(limits_inflight(l), 6);
    CHECK(!enter(l, WHO(0, 0), 0, 10, &q));
    CHECK_INT(refusal.why.limit, LIMIT_RPS);
    CHECK(enter(l, WHO(0, 1), 0, 10, &q)); /* the third of four */
    CHECK(limits_ask(l, KEY(0), 0, 1, &refusal, &levels));
    CHECK_INT(levels.requests.left, 1);
    CHECK(!limits_apply(l, KEY(1)));
    CHECK(enter(old, WHO(2, 0), 0, 10, &p[3])); /* a worker that has not heard of it yet counts in the same */
    CHECK(!limits_ask(l, KEY(0), 0, 1, &refusal, &levels));
    CHECK_INT(refusal.why.limit, LIMIT_RPM);
    limits_free(&old);
    for (int i = 0; i < 4; i++)
        limits_settle(&p[i], 1, 0, i != 0); /* also what no configuration knows any more */
    limits_settle(&q, 1, 0, true);
    CHECK_INT(limits_inflight(l), 0);
    CHECK(limits_ask(l, KEY(0), 1, 1, &refusal, &levels));
    CHECK_INT(levels.requests.left, 1);
    limits_free(&l);
}

TEST(what_was_learned_goes_on_by_name)
{
    struct limits *old = limits_of(yaml, NULL), *l;

    CHECK_INT(limits_prompt(old, 1, 100), 100);
    limits_learn(old, 1, 100, 150, 42);
    l = limits_of(moved, old);
    limits_free(&old);
    CHECK_INT(limits_prompt(l, 0, 100), 150);
    CHECK_INT(limits_answer(l, 0), 42);
    CHECK_INT(limits_prompt(l, 1, 100), 100);
    limits_free(&l);
}

/* -- all workers at once --------------------------------------------------------------------------------- */

#define WORKERS_N 4
#define ASKED_N 20000 /* by each worker */
#define STEP_US 8000  /* at most between two questions: about 250 in a second, of which 100 pass */

struct clerk {
    struct limits *limits;
    int64_t *clock_us; /* shared, atomic */
    uint64_t seed;
    int64_t *inflight, inflight_max; /* shared, atomic: as seen by all */
    int64_t passed_n, over_n;
    int64_t *at; /* when each was let through */
};

#define CROWD(limits)                                                     \
    HEAD "models:\n"                                                      \
         "  - {name: m, tiers: [[{endpoint: a}]]}\n"                      \
         "  - {name: n, tiers: [[{endpoint: a}]], limits: {rpm: 2000}}\n" \
         "keys: [{name: k, key: k0, limits: {" limits ", models: {n: {rph: 500}}}}]\n"

static void *work(void *ud)
{
    struct clerk *c = ud;
    struct limits_pass held = {.holds_n = 0};
    struct rng dice;

    rng_seed(&dice, c->seed);
    for (int i = 0; i < ASKED_N; i++) {
        struct limits_refusal why;
        struct limits_levels at;
        int64_t now = __atomic_add_fetch(c->clock_us, (int64_t)rng_below(&dice, STEP_US), __ATOMIC_RELAXED);

        if (held.holds_n > 0) {
            __atomic_sub_fetch(c->inflight, 1, __ATOMIC_SEQ_CST);
            limits_settle(&held, now, 0, true);
        }
        if (!limits_enter(c->limits, WHO(0, rng_below(&dice, 4) == 0), now, &held, &why, &at))
            continue;
        c->over_n += __atomic_add_fetch(c->inflight, 1, __ATOMIC_SEQ_CST) > c->inflight_max;
        c->at[c->passed_n++] = held.holds[0].at_us;
    }
    if (held.holds_n > 0) {
        __atomic_sub_fetch(c->inflight, 1, __ATOMIC_SEQ_CST);
        limits_settle(&held, __atomic_load_n(c->clock_us, __ATOMIC_RELAXED), 0, true);
    }
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* All workers at once; how many were let through. No second may hold more than 100. */
static int64_t let_through(const char *limits, int64_t inflight_max, int64_t *clock_us)
{
    struct limits *l = limits_of(limits, NULL);
    struct clerk clerks[WORKERS_N];
    pthread_t threads[WORKERS_N];
    int64_t inflight = 0, n = 0, over_n = 0, wrong_n = 0;
    int64_t *at = mem_alloc(WORKERS_N * ASKED_N * sizeof *at);

    for (int i = 0; i < WORKERS_N; i++) {
        clerks[i] = (struct clerk){.limits = l,
                                   .clock_us = clock_us,
                                   .seed = (uint64_t)i + 1,
                                   .inflight = &inflight,
                                   .inflight_max = inflight_max,
                                   .at = mem_alloc(ASKED_N * sizeof *at)};
        CHECK_INT(pthread_create(&threads[i], NULL, work, &clerks[i]), 0);
    }
    for (int i = 0; i < WORKERS_N; i++) {
        pthread_join(threads[i], NULL);
        memcpy(at + n, clerks[i].at, (size_t)clerks[i].passed_n * sizeof *at);
        n += clerks[i].passed_n;
        over_n += clerks[i].over_n;
        mem_free(clerks[i].at);
    }
    qsort(at, (size_t)n, sizeof *at, by_time);
    for (int64_t i = 100; i < n; i++)
        wrong_n += at[i] - at[i - 100] < SECOND;
    CHECK_INT(wrong_n, 0);
    CHECK_INT(over_n, 0);
    CHECK_INT(limits_inflight(l), 0);
    mem_free(at);
    limits_free(&l);
    return n;
}

TEST(n_per_window_on_all_workers_at_once)
{
    int64_t clock_us = 0, n = let_through(CROWD("rps: 100"), WORKERS_N, &clock_us);

    CHECK(n >= 95 * (clock_us / SECOND)); /* and hardly a second less than its 100 */
}

TEST(n_in_flight_on_all_workers_at_once)
{
    int64_t clock_us = 0;

    CHECK(let_through(CROWD("rps: 100, inflight: 2"), 2, &clock_us) > 0);
}

/* Exactly N of many, whoever is first. */
static void *grab(void *ud)
{
    struct clerk *c = ud;

    for (int i = 0; i < ASKED_N / 10; i++) {
        struct limits_pass pass = {.tokens = 3};
        struct limits_refusal why;
        struct limits_levels at;

        if (!limits_enter(c->limits, WHO(0, 0), 1000 + i, &pass, &why, &at))
            continue;
        limits_settle(&pass, 1000 + i, 2, c->passed_n % 3 != 0); /* every third was never sent */
        c->over_n += c->passed_n % 3 != 0;
        c->passed_n++;
    }
    return NULL;
}

TEST(exactly_n_of_many_and_what_was_never_sent_is_free_again)
{
    struct limits *l = limits_of(HEAD "models: [{name: m, tiers: [[{endpoint: a}]]}]\n"
                                      "keys: [{name: k, key: k0, limits: {rpm: 1000, tpm: 100000}}]\n",
                                 NULL);
    struct clerk clerks[WORKERS_N];
    pthread_t threads[WORKERS_N];
    int64_t sent_n = 0;

    for (int i = 0; i < WORKERS_N; i++) {
        clerks[i] = (struct clerk){.limits = l};
        CHECK_INT(pthread_create(&threads[i], NULL, grab, &clerks[i]), 0);
    }
    for (int i = 0; i < WORKERS_N; i++) {
        pthread_join(threads[i], NULL);
        sent_n += clerks[i].over_n;
    }
    CHECK(sent_n <= 1000 && sent_n >= 1000 - WORKERS_N);
    limits_ask(l, WHO(0, 0), 3000, 1, &refusal, &levels);
    CHECK_INT(levels.requests.left, 1000 - sent_n);
    CHECK_INT(levels.tokens.left, 100000 - 2 * sent_n);
    limits_free(&l);
}
