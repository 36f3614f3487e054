/* SPDX-License-Identifier: MIT */
/* Connections by address: exact, for every address by itself, and on many threads at once. */
#include "shared/holders.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tap.h"

#define MAX 5

static const unsigned char *address(unsigned n)
{
    static _Thread_local unsigned char a[HOLDERS_ADDRESS_BYTES];

    memset(a, 0, sizeof a);
    memcpy(a + 8, &n, sizeof n);
    return a;
}

TEST(n_are_let_through_and_the_next_is_not)
{
    struct holders *c = holders_new();
    struct holder *held[MAX], *other, *none = NULL;

    for (int i = 0; i < MAX; i++) {
        held[i] = holders_enter(c, address(1), MAX);
        CHECK(held[i] != NULL);
    }
    CHECK(holders_enter(c, address(1), MAX) == NULL);
    other = holders_enter(c, address(2), 1);
    CHECK(other != NULL);
    holders_leave(c, &held[0]);
    CHECK(held[0] == NULL);
    held[0] = holders_enter(c, address(1), MAX);
    CHECK(held[0] != NULL);
    CHECK(holders_enter(c, address(1), 2) == NULL); /* the bound of the moment counts */
    for (int i = 0; i < MAX; i++)
        holders_leave(c, &held[i]);
    holders_leave(c, &other);
    holders_leave(c, &none);
    CHECK(holders_enter(c, address(3), 0) == NULL);
    holders_free(&c); /* asserts that nobody is left */
    holders_free(&c);
}

TEST(as_many_addresses_as_connections)
{
    static struct holder *held[20000];
    struct holders *c = holders_new();
    int wrong_n = 0;

    for (unsigned i = 0; i < 20000; i++)
        held[i] = holders_enter(c, address(i), 1);
    for (unsigned i = 0; i < 20000; i++) {
        if (held[i] == NULL || holders_enter(c, address(i), 1) != NULL)
            wrong_n++;
    }
    CHECK_INT(wrong_n, 0);
    for (unsigned i = 0; i < 20000; i++)
        holders_leave(c, &held[i]);
    holders_free(&c);
}

static struct holders *shared;
static atomic_int now_n[3], most_n[3];

static void *come_and_go(void *arg)
{
    unsigned seed = *(unsigned *)arg;

    for (int i = 0; i < 20000; i++) {
        unsigned who = (seed = seed * 1103515245U + 12345U) >> 16 & 1U;
        struct holder *c = holders_enter(shared, address(who), 2);
        int n;

        if (c == NULL)
            continue;
        n = atomic_fetch_add(&now_n[who], 1) + 1;
        if (n > atomic_load(&most_n[who]))
            atomic_store(&most_n[who], n);
        atomic_fetch_sub(&now_n[who], 1);
        holders_leave(shared, &c);
    }
    return NULL;
}

TEST(threads_never_pass_the_bound_together)
{
    pthread_t t[4];
    unsigned seeds[4] = {1, 2, 3, 4};

    shared = holders_new();
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, come_and_go, &seeds[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK(most_n[0] <= 2 && most_n[1] <= 2 && most_n[0] > 0 && most_n[1] > 0);
    holders_free(&shared);
}
