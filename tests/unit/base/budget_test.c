/* SPDX-License-Identifier: MIT */
/* The byte budget: exact at its limit, exact among threads. */
#include "base/budget.h"

#include <pthread.h>

#include "tap.h"

TEST(a_charge_that_fits_exactly_is_taken)
{
    struct budget b;

    budget_init(&b, 100);
    CHECK(budget_charge(&b, 60));
    CHECK(budget_charge(&b, 40));
    CHECK(budget_charge(&b, 0));
    CHECK_INT(budget_used(&b), 100);
    CHECK_INT(b.refused_n, 0);
}

TEST(a_refused_charge_charges_nothing)
{
    struct budget b;

    budget_init(&b, 100);
    CHECK(budget_charge(&b, 60));
    CHECK(!budget_charge(&b, 41));
    CHECK(!budget_charge(&b, SIZE_MAX));
    CHECK_INT(budget_used(&b), 60);
    CHECK_INT(b.refused_n, 2);
    budget_release(&b, 60);
    CHECK_INT(budget_used(&b), 0);
    CHECK(budget_charge(&b, 100));
}

TEST(no_budget_accepts_everything)
{
    CHECK(budget_charge(NULL, SIZE_MAX));
    budget_release(NULL, 5);
    CHECK_INT(budget_used(NULL), 0);
}

#define ROUNDS 20000
#define PIECE 30

static void *on_thread(void *arg)
{
    struct budget *b = arg;
    size_t over_n = 0;

    for (int i = 0; i < ROUNDS; i++) {
        if (!budget_charge(b, PIECE))
            continue;
        over_n += budget_used(b) > b->limit_bytes;
        budget_release(b, PIECE);
    }
    return (void *)over_n;
}

TEST(threads_never_pass_the_limit_and_end_at_zero)
{
    struct budget b;
    pthread_t threads[4];

    budget_init(&b, 3 * PIECE); /* for three of four */
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, on_thread, &b), 0);
    for (int i = 0; i < 4; i++) {
        void *over_n = NULL;
        pthread_join(threads[i], &over_n);
        CHECK(over_n == NULL);
    }
    CHECK_INT(budget_used(&b), 0);
}
