/* SPDX-License-Identifier: MIT */
/* Who is ahead of whom in a fair queue: what is said beside what comes. */
#include "policy/fair.h"

#include "base/rng.h"
#include "tap.h"

static bool is_any(void *ud, const struct fair_entry *e)
{
    (void)ud;
    (void)e;
    return true;
}

#define AHEAD_N 120

struct ahead_test {
    struct fair_shares shares;
    struct fair_queue queue;
    struct fair_entry entries[AHEAD_N];
    bool waits[AHEAD_N];
};

static void ahead_begin(struct ahead_test *t, size_t tenants_n, struct rng *dice)
{
    fair_shares_init(&t->shares, tenants_n);
    fair_queue_init(&t->queue);
    for (size_t i = 0; i < tenants_n; i++) { /* some have had more than others */
        for (int p = PRIORITY_HIGH; p <= PRIORITY_NORMAL; p++) {
            fair_charge(&t->shares, (enum priority)p, (int)i, 100);
            fair_correct(&t->shares, (enum priority)p, (int)i, 100, 100 + (int64_t)rng_below(dice, 3000));
        }
    }
    for (int i = 0; i < AHEAD_N; i++) {
        struct fair_entry *e = &t->entries[i];

        *e = (struct fair_entry){.tenant = (int)rng_below(dice, tenants_n),
                                 .priority = rng_below(dice, 8) == 0 ? PRIORITY_HIGH : PRIORITY_NORMAL,
                                 .deadline_us = (int64_t)rng_below(dice, 50)};
        list_init(&e->node);
        fair_add(&t->queue, &t->shares, e);
    }
    fair_count(&t->queue);
}

static struct fair_entry *best_of_all(struct ahead_test *t)
{
    for (int p = 0; p < PRIORITY_N; p++) {
        double start;
        struct fair_entry *e = fair_next(&t->queue, &t->shares, (enum priority)p, is_any, NULL, &start);

        if (e != NULL)
            return e;
    }
    return NULL;
}

/* Nobody comes any more and all cost the same: everybody's turn comes when it was said, but for those whose
 * starts are the same, which are at most as many as there are tenants. */
TEST(who_was_said_to_be_ahead_is)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct ahead_test t = {.queue = {.n = 0}};
        size_t tenants_n = 1 + seed % 7, said[AHEAD_N];
        struct rng dice;
        bool held = true;

        rng_seed(&dice, seed);
        ahead_begin(&t, tenants_n, &dice);
        for (int i = 0; i < AHEAD_N; i++)
            said[i] = fair_ahead(&t.queue, &t.shares, &t.entries[i], &(size_t){0});
        for (size_t served = 0; served < AHEAD_N; served++) {
            struct fair_entry *e = best_of_all(&t);
            size_t i = (size_t)(e - t.entries), far = said[i] > served ? said[i] - served : served - said[i];

            held = held && CHECK(far < tenants_n);
            fair_remove(&t.queue, &t.shares, e);
            fair_charge(&t.shares, e->priority, e->tenant, 100);
        }
        if (!held)
            printf("# seed %d\n", (int)seed);
        fair_queue_fini(&t.queue);
        fair_shares_fini(&t.shares);
    }
}

/* Of very many tenants some stand for all. */
TEST(who_is_ahead_among_very_many_tenants_is_known_nearly)
{
    static struct fair_entry entries[3000];
    struct fair_shares shares;
    struct fair_queue queue;
    struct rng dice;

    rng_seed(&dice, 3);
    fair_shares_init(&shares, 1000);
    fair_queue_init(&queue);
    for (int i = 0; i < 3000; i++) {
        entries[i] = (struct fair_entry){.tenant = (int)rng_below(&dice, 1000), .deadline_us = i};
        list_init(&entries[i].node);
        fair_add(&queue, &shares, &entries[i]);
    }
    for (int i = 0; i < 3000; i += 100) {
        size_t said = fair_ahead(&queue, &shares, &entries[i], &(size_t){0}), real = entries[i].before;

        for (int k = 0; k < 1000; k++) {
            size_t n = fair_waiting(&queue, 0, k);

            if (k != entries[i].tenant)
                real += n < entries[i].before ? n : entries[i].before;
        }
        CHECK(said <= real + real / 4 + 20 && real <= said + real / 4 + 20);
    }
    for (int i = 0; i < 3000; i++)
        fair_remove(&queue, &shares, &entries[i]);
    fair_queue_fini(&queue);
    fair_shares_fini(&shares);
}

/* Of two tenants with nothing waiting before me: one has two waiting and three turns before mine, the other
 * one whatever it sends. */
TEST(those_who_could_still_come_before_are_told_apart)
{
    struct fair_shares shares;
    struct fair_queue queue;
    struct fair_entry e[8];
    size_t more = 99;

    fair_shares_init(&shares, 3);
    fair_queue_init(&queue);
    for (int i = 0; i < 8; i++) {
        e[i] = (struct fair_entry){.tenant = i < 5 ? 0 : i < 7 ? 1 : 2, .deadline_us = i};
        list_init(&e[i].node);
        fair_add(&queue, &shares, &e[i]);
    }
    CHECK_INT((long long)fair_ahead(&queue, &shares, &e[4], &more), 4 + 2 + 1);
    CHECK_INT((long long)more, 2 + 3);
    CHECK_INT((long long)fair_ahead(&queue, &shares, &e[7], &more), 0);
    CHECK_INT((long long)more, 0);
    while (fair_pop(&queue, &shares) != NULL)
        continue;
    fair_queue_fini(&queue);
    fair_shares_fini(&shares);
}
