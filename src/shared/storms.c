/* SPDX-License-Identifier: MIT */
/* Tables of tenants in shards, each behind its lock. */
#include "shared/storms.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/rng.h"

struct tenant {
    uint64_t id;
    int64_t heard_us; /* when it was last refused */
    struct storm storm;
};

struct shard {
    pthread_mutex_t lock;
    struct tenant *tenants[STORMS_TENANTS_N]; /* under lock */
    size_t tenants_n;                         /* written under lock, read without (atomic) */
};

struct storms {
    int refusals_max;
    uint64_t seed;
    size_t tenants_n; /* of all shards; atomic */
    struct shard shards[STORMS_SHARDS_N];
};

struct storms *storms_new(int refusals_max)
{
    struct storms *s = MEM_NEW(struct storms);

    s->refusals_max = refusals_max;
    rng_secret_bytes(&s->seed, sizeof s->seed);
    for (size_t i = 0; i < STORMS_SHARDS_N; i++)
        ASSERT(pthread_mutex_init(&s->shards[i].lock, NULL) == 0);
    return s;
}

void storms_free(struct storms **sp)
{
    struct storms *s = *sp;

    *sp = NULL;
    if (s == NULL)
        return;
    for (size_t i = 0; i < STORMS_SHARDS_N; i++) {
        struct shard *shard = &s->shards[i];

        for (size_t t = 0; t < shard->tenants_n; t++)
            mem_free(shard->tenants[t]);
        ASSERT(pthread_mutex_destroy(&shard->lock) == 0);
    }
    mem_free(s);
}

uint64_t storms_seed(const struct storms *s)
{
    return s->seed;
}

int storms_refusals_max(const struct storms *s)
{
    return s->refusals_max;
}

bool storms_are_calm(const struct storms *s)
{
    return __atomic_load_n(&s->tenants_n, __ATOMIC_RELAXED) == 0;
}

static struct shard *shard_of(struct storms *s, uint64_t tenant)
{
    return &s->shards[tenant % STORMS_SHARDS_N];
}

static void lock(struct shard *shard)
{
    ASSERT(pthread_mutex_lock(&shard->lock) == 0);
}

static void unlock(struct shard *shard)
{
    ASSERT(pthread_mutex_unlock(&shard->lock) == 0);
}

/* -- under the shard's lock ------------------------------------------------------------------------------ */

static void set_tenants_n(struct storms *s, struct shard *shard, size_t n)
{
    __atomic_add_fetch(&s->tenants_n, n - shard->tenants_n, __ATOMIC_RELAXED); /* modulo: may be less */
    __atomic_store_n(&shard->tenants_n, n, __ATOMIC_RELAXED);
}

static void remove_at(struct storms *s, struct shard *shard, size_t i)
{
    mem_free(shard->tenants[i]);
    shard->tenants[i] = shard->tenants[shard->tenants_n - 1];
    set_tenants_n(s, shard, shard->tenants_n - 1);
}

/* Lets go of tenants of whom nothing is remembered, so that good times cost nothing again. */
static void sweep(struct storms *s, struct shard *shard, int64_t now_us)
{
    for (size_t i = shard->tenants_n; i-- > 0;) {
        struct tenant *t = shard->tenants[i];

        if (now_us - t->heard_us >= STORM_MEMORY_US && storm_is_over(&t->storm, now_us))
            remove_at(s, shard, i);
    }
}

static struct tenant *find(const struct shard *shard, uint64_t id)
{
    for (size_t i = 0; i < shard->tenants_n; i++) {
        if (shard->tenants[i]->id == id)
            return shard->tenants[i];
    }
    return NULL;
}

/* NULL: the machine has no memory for it; then nothing is remembered. */
static struct tenant *enter(struct storms *s, struct shard *shard, uint64_t id, int64_t now_us)
{
    struct tenant *t = find(shard, id);
    size_t oldest = 0;

    if (t != NULL)
        return t;
    sweep(s, shard, now_us);
    if (shard->tenants_n == STORMS_TENANTS_N) {
        for (size_t i = 1; i < shard->tenants_n; i++) {
            if (shard->tenants[i]->heard_us < shard->tenants[oldest]->heard_us)
                oldest = i;
        }
        remove_at(s, shard, oldest);
    }
    t = mem_try_alloc(sizeof *t);
    if (t == NULL)
        return NULL;
    t->id = id;
    t->heard_us = now_us;
    storm_init(&t->storm, s->refusals_max);
    shard->tenants[shard->tenants_n] = t;
    set_tenants_n(s, shard, shard->tenants_n + 1);
    return t;
}

/* -- for everybody --------------------------------------------------------------------------------------- */

bool storms_watch(struct storms *s, uint64_t tenant, int64_t now_us)
{
    struct shard *shard = shard_of(s, tenant);
    bool known;

    if (__atomic_load_n(&shard->tenants_n, __ATOMIC_RELAXED) == 0)
        return false;
    lock(shard);
    sweep(s, shard, now_us);
    known = find(shard, tenant) != NULL;
    unlock(shard);
    return known;
}

static void copy_words(char words[STORM_WORDS_MAX], struct storm_refusal *r)
{
    struct slice *parts[] = {&r->detail, &r->param, &r->code};
    size_t at = 0;

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (parts[i]->p == NULL)
            continue;
        memcpy(words + at, parts[i]->p, parts[i]->n);
        parts[i]->p = words + at;
        at += parts[i]->n;
    }
}

bool storms_let(struct storms *s, uint64_t tenant, struct storm_key key, int64_t now_us,
                char words[STORM_WORDS_MAX], struct storm_answer *out)
{
    struct shard *shard = shard_of(s, tenant);
    struct tenant *t;
    bool let;

    lock(shard);
    t = find(shard, tenant);
    let = t == NULL || storm_let(&t->storm, key, now_us, out);
    if (!let)
        copy_words(words, &out->refusal);
    unlock(shard);
    return let;
}

void storms_refused(struct storms *s, uint64_t tenant, struct storm_key key, const struct storm_refusal *r,
                    int64_t now_us)
{
    struct shard *shard = shard_of(s, tenant);
    struct tenant *t;

    lock(shard);
    t = enter(s, shard, tenant, now_us);
    if (t != NULL) {
        if (now_us > t->heard_us)
            t->heard_us = now_us;
        storm_refused(&t->storm, key, r, now_us);
    }
    unlock(shard);
}

void storms_answered(struct storms *s, uint64_t tenant, struct storm_key key)
{
    struct shard *shard = shard_of(s, tenant);
    struct tenant *t;

    lock(shard);
    t = find(shard, tenant);
    if (t != NULL)
        storm_answered(&t->storm, key);
    unlock(shard);
}
