/* SPDX-License-Identifier: MIT */
/* Storms of many tenants: each by itself, bounded, forgotten when it is over, and from many threads. */
#include "shared/storms.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/mem.h"
#include "tap.h"

#define S CLOCK_SECOND_US
#define MAX 3

static const struct storm_key KEY = {77, 10};
static const struct storm_refusal REFUSAL = {422, {"wrong", 5}, {"top_p", 5}, {NULL, 0}};

static bool let(struct storms *s, uint64_t tenant, int64_t now)
{
    struct storm_answer a;
    char words[STORM_WORDS_MAX];
    bool got = storms_let(s, tenant, KEY, now, words, &a);

    if (!got) {
        CHECK_INT(a.refusal.status, 422);
        CHECK_MEM(a.refusal.detail.p, a.refusal.detail.n, "wrong", 5);
        CHECK_MEM(a.refusal.param.p, a.refusal.param.n, "top_p", 5);
        CHECK(a.refusal.code.p == NULL && a.wait_us > 0);
    }
    return got;
}

TEST(one_tenants_storm_is_not_anothers)
{
    struct storms *s = storms_new(MAX);

    CHECK(storms_are_calm(s));
    CHECK(!storms_watch(s, 1, 0));
    for (int i = 0; i < MAX; i++)
        storms_refused(s, 1, KEY, &REFUSAL, 0);
    CHECK(!storms_are_calm(s));
    CHECK(storms_watch(s, 1, 0));
    CHECK(!let(s, 1, 0));
    for (uint64_t other = 2; other < 40; other++) { /* those of its shard too */
        CHECK(!storms_watch(s, other, 0));
        CHECK(let(s, other, 0));
    }
    CHECK(let(s, 1, S));
    storms_answered(s, 1, KEY);
    storms_answered(s, 2, KEY);
    CHECK(let(s, 1, S));
    storms_free(&s);
    storms_free(&s);
}

TEST(good_times_cost_nothing_again_a_minute_later)
{
    struct storms *s = storms_new(MAX);

    storms_refused(s, 1, KEY, &REFUSAL, 0);
    storms_refused(s, 1 + STORMS_SHARDS_N, KEY, &REFUSAL, S);
    CHECK(storms_watch(s, 1, STORM_MEMORY_US - 1));
    CHECK(!storms_watch(s, 1, STORM_MEMORY_US)); /* whoever asks in that shard */
    CHECK(!storms_are_calm(s));
    CHECK(!storms_watch(s, 1 + 2 * STORMS_SHARDS_N, S + STORM_MEMORY_US));
    CHECK(storms_are_calm(s));
    storms_free(&s);
}

TEST(a_full_shard_forgets_the_quietest_tenant)
{
    struct storms *s = storms_new(1);

    for (uint64_t i = 0; i < STORMS_TENANTS_N; i++)
        storms_refused(s, i * STORMS_SHARDS_N, KEY, &REFUSAL, (int64_t)i);
    storms_refused(s, 0, KEY, &REFUSAL, 100);
    storms_refused(s, STORMS_TENANTS_N * STORMS_SHARDS_N, KEY, &REFUSAL, 101);
    CHECK(!let(s, 0, 102));
    CHECK(let(s, STORMS_SHARDS_N, 102));
    CHECK(!let(s, 2 * STORMS_SHARDS_N, 102));
    CHECK(!let(s, STORMS_TENANTS_N * STORMS_SHARDS_N, 102));
    storms_free(&s);
}

TEST(without_memory_nothing_is_remembered)
{
    struct storms *s = storms_new(1);

    *mem_faults() = (struct mem_faults){.on = true, .n = 1};
    storms_refused(s, 1, KEY, &REFUSAL, 0);
    mem_faults()->on = false;
    CHECK(storms_are_calm(s));
    storms_refused(s, 1, KEY, &REFUSAL, 0);
    CHECK(!let(s, 1, 0));
    storms_free(&s);
}

TEST(seeds_differ)
{
    struct storms *a = storms_new(MAX), *b = storms_new(0);

    CHECK(storms_seed(a) != storms_seed(b));
    CHECK_INT(storms_refusals_max(a), MAX);
    CHECK_INT(storms_refusals_max(b), 0);
    storms_free(&a);
    storms_free(&b);
}

/* -- many threads ---------------------------------------------------------------------------------------- */

#define THREADS_N 4
#define ROUNDS_N 20000
#define TENANTS_N 300 /* more than have room */

struct worker {
    pthread_t thread;
    struct storms *storms;
    int damped_n;
};

static void *hammer(void *ud)
{
    struct worker *w = ud;
    char words[STORM_WORDS_MAX];
    struct storm_answer a;

    for (int i = 0; i < ROUNDS_N; i++) {
        uint64_t tenant = (uint64_t)(i % 7 == 0 ? i % TENANTS_N : 5);
        int64_t now = i * (S / 1000);

        if (storms_are_calm(w->storms) || !storms_watch(w->storms, tenant, now) ||
            storms_let(w->storms, tenant, KEY, now, words, &a)) {
            if (i % 1000 == 999)
                storms_answered(w->storms, tenant, KEY);
            else
                storms_refused(w->storms, tenant, KEY, &REFUSAL, now);
        } else {
            ASSERT(slice_eq(a.refusal.detail, SLICE("wrong")) && a.refusal.detail.p == words);
            w->damped_n++;
        }
    }
    return NULL;
}

TEST(workers_count_together)
{
    struct storms *s = storms_new(MAX);
    struct worker workers[THREADS_N];

    for (unsigned i = 0; i < THREADS_N; i++) {
        workers[i] = (struct worker){.storms = s};
        ASSERT(pthread_create(&workers[i].thread, NULL, hammer, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS_N; i++) {
        ASSERT(pthread_join(workers[i].thread, NULL) == 0);
        CHECK(workers[i].damped_n > ROUNDS_N / 2);
    }
    CHECK(!storms_are_calm(s));
    storms_free(&s);
}
