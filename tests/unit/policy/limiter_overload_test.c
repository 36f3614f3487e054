/* SPDX-License-Identifier: MIT */
/* What the learned limit gives under overload: the comparison of docs/slots.md, in virtual time. `prove -v`
 * shows the figures. */
#include "overload_kit.h"
#include "tap.h"

#define SLOTS 100
#define SEEDS 3

static const struct trace *trace;
static struct figures f;

static const struct figures *run(const char *name, const struct scene *s)
{
    struct trace_fault bad;

    if (trace == NULL)
        trace = samples_trace("azure2023_conv_10min.csv", &bad);
    ASSERT(trace != NULL);
    play(s, trace, &f);
    printf(
        "# %-16s %-6s seed %d: offered %6.2f/s, good %5.2f/s, %5.1f %%, refused %5.2f/s, limit at 30 s %d\n",
        name, s->queues ? "queue" : "hard", (int)s->seed, f.offered, f.good, f.goodput, f.refused,
        f.limit_at[30]);
    return &f;
}

static const double loads[] = {0.7, 1.5, 3, 10};

/* Runs every load with every seed; the smallest goodput. */
static double worst(bool queues, int cap, double *refused)
{
    double least = 1000;

    *refused = 0;
    for (size_t i = 0; i < COUNT_OF(loads); i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct scene s = {.slots = SLOTS, .queues = queues, .load = loads[i], .cap = cap, .seed = seed};

            s.from_s = 300;
            s.to_s = 900;
            run(cap > 0 ? "known" : "learned", &s);
            least = fmin(least, f.goodput);
            *refused = fmax(*refused, f.refused);
        }
    }
    return least;
}

TEST(a_known_cap_loses_nothing)
{
    double refused;

    CHECK(worst(false, SLOTS, &refused) >= 97);
    CHECK(refused == 0);
    CHECK(worst(true, SLOTS, &refused) >= 97);
}

TEST(a_provider_that_refuses_is_used_to_92_per_cent)
{
    double refused;

    CHECK(worst(false, 0, &refused) >= 92);
    CHECK(refused < 1);
}

TEST(a_provider_that_queues_is_used_to_94_per_cent)
{
    double refused;

    CHECK(worst(true, 0, &refused) >= 94);
    CHECK(refused == 0);
}

/* With a queue, the slots and as many more as are served within the target are right. */
TEST(the_slots_are_found_within_30_s)
{
    static const int slots[] = {13, SLOTS, 400};

    for (int i = 0; i < 2 * (int)COUNT_OF(slots) * SEEDS; i++) {
        struct scene s = {
            .slots = slots[i / 2 / SEEDS], .queues = i % 2, .load = i % 3 == 0 ? 1.5 : 4, .to_s = 35};
        double most, mean = 0;

        s.seed = 1 + (uint64_t)i % SEEDS;
        run("30 s", &s);
        most = s.slots * (s.queues ? 1 + LIMITER_TARGET_US / 8122763.0 : 1);
        for (int t = 26; t < 34; t++)
            mean += f.limit_at[t] / 8.0;
        CHECK(mean >= 0.9 * s.slots - 1 && mean <= 1.1 * most);
    }
}

TEST(two_hours_of_overload_change_nothing)
{
    for (int queues = 0; queues < 2; queues++) {
        struct scene s = {.slots = SLOTS, .queues = queues, .load = 1.5, .seed = 4};

        s.from_s = 3600;
        s.to_s = 7200;
        CHECK(run("2 h", &s)->goodput >= (queues ? 94 : 92));
        CHECK(f.refused < 1);
    }
}

TEST(what_is_left_of_an_overload_is_gone_in_30_s)
{
    for (int i = 0; i < 4; i++) {
        struct scene s = {.slots = SLOTS, .queues = i % 2, .load = 10, .cap = i / 2 * SLOTS, .seed = 5};

        s.change_s = 300;
        s.load_then = 0.7;
        s.from_s = 330;
        s.to_s = 630;
        CHECK(run("recovery", &s)->goodput >= 97);
        CHECK_INT(f.lost, 0);
        for (int t = 350; t < 630; t++) /* what came meanwhile is served: there is no line any more */
            CHECK(f.waiting_at[t] <= 2 * SLOTS / 8);
    }
}

TEST(refusals_at_random_starve_nobody)
{
    static const double shares[] = {0.01, 0.05, 0.2, 0.5};

    for (int i = 0; i < (int)COUNT_OF(shares) * 2 * SEEDS; i++) {
        struct scene s = {.slots = SLOTS, .random = shares[i / 2 / SEEDS], .load = 0.4, .cap = i % 2 * SLOTS};

        s.seed = 1 + (uint64_t)i % SEEDS;
        s.patience_us = 60 * SECOND;
        s.to_s = 900;
        CHECK(run("random", &s)->goodput >= 97); /* what is in flight at the end has not ended */
        CHECK_INT(f.lost, 0);
    }
}

TEST(random_refusals_and_a_real_limit_are_told_apart)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct scene s = {.slots = SLOTS, .random = 0.05, .load = 2, .seed = seed};

        s.from_s = 300;
        s.to_s = 900;
        CHECK(run("random and hard", &s)->goodput >= 85);
        CHECK(f.refused < 4);
    }
}

TEST(other_slots_are_found_again)
{
    for (int i = 0; i < 4 * SEEDS; i++) {
        bool less = i % 2, queues = i / 2 % 2;
        struct scene s = {.slots = less ? SLOTS : SLOTS / 2, .queues = queues, .load = 3, .load_then = 3};
        double high = queues ? 1.1 * (1 + LIMITER_TARGET_US / 8122763.0) : 1.1;

        s.slots_then = less ? SLOTS / 2 : SLOTS;
        s.change_s = 300;
        s.from_s = 300;
        s.to_s = 400;
        s.seed = 1 + (uint64_t)i / 4;
        run(less ? "half the slots" : "twice the slots", &s);
        for (int t = 345; t < 400; t++)
            CHECK(f.limit_at[t] >= 0.75 * s.slots_then && f.limit_at[t] <= high * s.slots_then + 1);
        CHECK(f.refused < 3);
    }
}

TEST(few_slots_are_used_too)
{
    static const struct {
        int slots;
        double hard, queue;
    } rows[] = {{1, 90, 80}, {2, 92, 90}, {4, 95, 96.5}, {8, 95, 93}};

    for (int i = 0; i < (int)COUNT_OF(rows) * 2 * SEEDS; i++) {
        struct scene s = {.slots = rows[i / 2 / SEEDS].slots, .queues = i % 2, .load = 2};

        s.from_s = 300;
        s.to_s = 5000;
        s.seed = 1 + (uint64_t)i % SEEDS;
        run("few slots", &s);
        CHECK(f.goodput >= (s.queues ? rows[i / 2 / SEEDS].queue : rows[i / 2 / SEEDS].hard));
    }
}

TEST(answers_in_one_piece_find_a_limit_that_refuses)
{
    struct scene s = {.slots = 40, .plain = true, .load = 2, .from_s = 300, .to_s = 900, .seed = 8};

    /* good is told by the first token's time, which the provider has but the limiter does not */
    CHECK(run("plain", &s)->goodput >= 92);
    CHECK(f.refused < 1);
}
