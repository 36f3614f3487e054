/* SPDX-License-Identifier: MIT */
/* Counting connections by address. */
#include "shared/holders.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"

#define SHARDS_N 16

struct holder {
    unsigned char address[HOLDERS_ADDRESS_BYTES];
    int64_t n; /* connections; under its shard's lock */
};

struct shard {
    pthread_mutex_t lock;
    struct map by_address; /* under lock */
};

struct holders {
    struct shard shards[SHARDS_N];
};

static struct slice key_of(const unsigned char *address)
{
    return (struct slice){(const char *)address, HOLDERS_ADDRESS_BYTES};
}

/* Which shard is no secret: only the maps inside need to stand against chosen addresses, and they do. */
static struct shard *shard_of(struct holders *c, const unsigned char *address)
{
    unsigned mix = 0;

    for (size_t i = 0; i < HOLDERS_ADDRESS_BYTES; i++)
        mix = mix * 31 + address[i];
    return &c->shards[(mix ^ mix >> 16) % SHARDS_N];
}

struct holders *holders_new(void)
{
    struct holders *c = MEM_NEW(struct holders);

    for (size_t i = 0; i < SHARDS_N; i++) {
        ASSERT(pthread_mutex_init(&c->shards[i].lock, NULL) == 0);
        map_init(&c->shards[i].by_address);
    }
    return c;
}

void holders_free(struct holders **cp)
{
    struct holders *c = *cp;

    *cp = NULL;
    if (c == NULL)
        return;
    for (size_t i = 0; i < SHARDS_N; i++) {
        ASSERT(c->shards[i].by_address.n == 0);
        map_fini(&c->shards[i].by_address);
        ASSERT(pthread_mutex_destroy(&c->shards[i].lock) == 0);
    }
    mem_free(c);
}

struct holder *holders_enter(struct holders *c, const unsigned char address[HOLDERS_ADDRESS_BYTES],
                             int64_t max)
{
    struct shard *s = shard_of(c, address);
    struct holder *who;

    ASSERT(pthread_mutex_lock(&s->lock) == 0);
    who = map_find(&s->by_address, key_of(address));
    if (who == NULL && max > 0) {
        who = MEM_NEW(struct holder);
        memcpy(who->address, address, sizeof who->address);
        map_put(&s->by_address, key_of(who->address), who);
    } else if (who != NULL && who->n >= max) {
        who = NULL;
    }
    if (who != NULL)
        who->n++;
    ASSERT(pthread_mutex_unlock(&s->lock) == 0);
    return who;
}

void holders_leave(struct holders *c, struct holder **wp)
{
    struct holder *who = *wp;
    struct shard *s;

    *wp = NULL;
    if (who == NULL)
        return;
    s = shard_of(c, who->address);
    ASSERT(pthread_mutex_lock(&s->lock) == 0);
    ASSERT(who->n > 0);
    if (--who->n == 0) {
        map_remove(&s->by_address, key_of(who->address));
        mem_free(who);
    }
    ASSERT(pthread_mutex_unlock(&s->lock) == 0);
}
