/* SPDX-License-Identifier: MIT */
/* The hash table against an array that knows the truth. */
#include "base/map.h"

#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

#define KEYS 300

TEST(an_empty_map_finds_nothing)
{
    struct map m;

    map_init(&m);
    CHECK(map_find(&m, SLICE("x")) == NULL);
    CHECK(map_remove(&m, SLICE("x")) == NULL);
    map_fini(&m);
    CHECK_INT(m.n, 0);
}

TEST(a_second_put_replaces_value_and_key)
{
    struct map m;
    int a, b;
    char *old_key = mem_strdup("key");

    map_init(&m);
    CHECK(map_put(&m, slice_of(old_key), &a) == NULL);
    CHECK(map_put(&m, SLICE("key"), &b) == &a);
    mem_free(old_key);
    CHECK(map_find(&m, SLICE("key")) == &b);
    CHECK_INT(m.n, 1);
    map_fini(&m);
}

TEST(keys_may_be_empty_and_hold_any_byte)
{
    struct map m;
    int a, b, c;

    map_init(&m);
    map_put(&m, SLICE(""), &a);
    map_put(&m, SLICE("\0"), &b);
    map_put(&m, SLICE("\0\0"), &c);
    CHECK(map_find(&m, SLICE_NONE) == &a);
    CHECK(map_find(&m, SLICE("\0")) == &b);
    CHECK(map_remove(&m, SLICE("")) == &a);
    CHECK(map_find(&m, SLICE("")) == NULL);
    CHECK(map_find(&m, SLICE("\0\0")) == &c);
    map_fini(&m);
}

/* Long random runs, so that removals meet wrapped and displaced runs of slots. */
TEST(random_changes_agree_with_an_array)
{
    static char names[KEYS][16];
    static int values[2];
    void *truth[KEYS] = {NULL};
    struct map m;
    struct rng r;
    size_t n = 0;
    int wrong_n = 0;

    rng_seed(&r, 7);
    map_init(&m);
    for (int i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof(names[i]), "k%d", i);
    for (int step = 0; step < 60000; step++) {
        size_t i = rng_below(&r, KEYS);
        bool filling = step / 10000 % 2 == 0; /* fill and empty by turns */
        bool put = (rng_below(&r, 4) > 0) == filling;
        void *v = put ? &values[rng_below(&r, 2)] : NULL;
        void *old = v ? map_put(&m, slice_of(names[i]), v) : map_remove(&m, slice_of(names[i]));
        wrong_n += old != truth[i];
        n += (v != NULL) - (truth[i] != NULL);
        truth[i] = v;
        wrong_n += m.n != n;
        if (step % 500 != 0)
            continue;
        for (int k = 0; k < KEYS; k++)
            wrong_n += map_find(&m, slice_of(names[k])) != truth[k];
    }
    CHECK_INT(wrong_n, 0);
    CHECK(m.n * 4 <= m.cap * 3);
    map_fini(&m);
}

TEST(every_map_has_its_own_seed)
{
    struct map a, b;

    map_init(&a);
    map_init(&b);
    CHECK(a.seed != b.seed);
    map_fini(&a);
    map_fini(&b);
}
