/* SPDX-License-Identifier: MIT */
/* Predicted waits beside real ones: a line in front of slots, in virtual time. */
#include "policy/eta.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "tap.h"

#define S CLOCK_SECOND_US
#define MS CLOCK_MS_US
#define SLOTS_MAX 400
#define LINE_N 4096

static int64_t predict(const struct eta *e, size_t ahead, enum priority p, int64_t now_us)
{
    return eta_us(e, &(struct eta_place){.priority = p, .ahead = ahead}, now_us);
}

static int64_t place_us(const struct eta *e, size_t ahead, enum priority p, int64_t now_us)
{
    return eta_place_us(e, &(struct eta_place){.priority = p, .ahead = ahead}, now_us);
}

/* -- a line in front of slots ---------------------------------------------------------------------------- */

struct place {
    int64_t came_us, promised_us;
    size_t ahead;
};

struct queue {
    struct place of[LINE_N];
    size_t first, n;
};

struct rig {
    struct eta eta;
    struct rng dice;
    int slots_n;
    double mean_us;   /* of a service */
    bool exponential; /* else all last equally long */
    int64_t now_us, ends_us[SLOTS_MAX];
    int busy_n;
    struct queue queues[PRIORITY_N];
    /* of what was served after `from_us`: */
    int64_t from_us;
    size_t served_n, unknown_n, near_n; /* near: see `note` */
    double waited_us, promised_us;      /* sums */
};

static void push(struct queue *q, struct place p)
{
    if (!CHECK(q->n < LINE_N))
        abort();
    q->of[(q->first + q->n++) % LINE_N] = p;
}

static struct place pop(struct queue *q)
{
    struct place p = q->of[q->first];

    q->first = (q->first + 1) % LINE_N;
    q->n--;
    return p;
}

static int64_t service_us(struct rig *r)
{
    return (int64_t)(r->exponential ? rng_exp(&r->dice, r->mean_us) : r->mean_us);
}

static void start_one(struct rig *r)
{
    r->ends_us[r->busy_n++] = r->now_us + service_us(r);
}

static double apart(double a, double b)
{
    return a > b ? a - b : b - a;
}

static void note(struct rig *r, struct place p)
{
    double waited = (double)(r->now_us - p.came_us), promised = (double)p.promised_us;
    /* Nobody can know more: slots may turn over together, and chance has its way with how long they take. */
    double turn = r->mean_us, chance = r->exponential ? turn * sqrt((double)p.ahead + 1) / r->slots_n : 0;

    if (p.came_us < r->from_us)
        return;
    r->served_n++;
    if (p.promised_us == ETA_UNKNOWN || p.promised_us == CLOCK_NEVER_US) {
        r->unknown_n++;
        return;
    }
    r->waited_us += waited;
    r->promised_us += promised;
    r->near_n += apart(waited, promised) <= waited / 4 + (r->exponential ? 1.5 * chance : turn);
}

static void serve_next(struct rig *r)
{
    for (int p = 0; p < PRIORITY_N; p++) {
        if (r->queues[p].n == 0)
            continue;
        start_one(r);
        eta_served(&r->eta, (size_t)r->busy_n, r->now_us);
        note(r, pop(&r->queues[p]));
        return;
    }
}

static int soonest(const struct rig *r)
{
    int at = 0;

    for (int i = 1; i < r->busy_n; i++)
        at = r->ends_us[i] < r->ends_us[at] ? i : at;
    return at;
}

/* Lets slots turn over until then. */
static void run_to(struct rig *r, int64_t to_us)
{
    while (r->busy_n > 0 && r->ends_us[soonest(r)] <= to_us) {
        int i = soonest(r);

        r->now_us = r->ends_us[i];
        r->ends_us[i] = r->ends_us[--r->busy_n];
        serve_next(r);
    }
    r->now_us = to_us;
}

static size_t ahead(const struct rig *r, int p)
{
    size_t n = 0;

    for (int i = 0; i <= p; i++)
        n += r->queues[i].n;
    return n;
}

static void come(struct rig *r, enum priority p)
{
    size_t n = ahead(r, (int)p);
    struct place place = {r->now_us, predict(&r->eta, n, p, r->now_us), n};

    if (r->busy_n < r->slots_n) {
        start_one(r);
        return;
    }
    eta_came(&r->eta, p, r->now_us);
    push(&r->queues[p], place);
}

static struct rig *rig_new(int slots_n, int64_t mean_us, bool exponential, uint64_t seed)
{
    struct rig *r = calloc(1, sizeof *r);

    r->slots_n = slots_n;
    r->mean_us = (double)mean_us;
    r->exponential = exponential;
    r->now_us = S;
    rng_seed(&r->dice, seed);
    return r;
}

/* Arrivals that keep about `depth` in the line: more than the slots can do while fewer wait, else less. */
static void keep_busy(struct rig *r, size_t depth, int64_t for_us)
{
    int64_t until_us = r->now_us + for_us;
    double gap_us = r->mean_us / r->slots_n;

    while (r->now_us < until_us) {
        bool few = r->queues[PRIORITY_NORMAL].n < depth;

        run_to(r, r->now_us + (int64_t)rng_exp(&r->dice, few ? gap_us * 0.8 : gap_us * 1.25) + 1);
        come(r, PRIORITY_NORMAL);
    }
}

static void check_honest(const struct rig *r, double least_near)
{
    double ratio = r->promised_us / r->waited_us, near = (double)r->near_n / (double)r->served_n;

    CHECK(r->served_n > 1000);
    CHECK_INT((long long)r->unknown_n, 0);
    if (!CHECK(ratio > 0.85 && ratio < 1.18 && near >= least_near))
        printf("# %d slots, %s: promised %.3f of what was waited, %.3f near\n", r->slots_n,
               r->exponential ? "exponential" : "constant", ratio, near);
}

static const struct {
    int slots_n;
    int64_t mean_us;
    size_t depth;
} SHAPES[] = {{1, 60 * S, 8},        {1, 200 * MS, 40},     {4, 10 * S, 30},   {20, 5 * S, 100},
              {100, 6650 * MS, 200}, {100, 6650 * MS, 900}, {400, 30 * S, 300}};

TEST(in_a_steady_state_promises_are_kept)
{
    for (size_t i = 0; i < COUNT_OF(SHAPES); i++) {
        for (int exponential = 0; exponential <= 1; exponential++) {
            struct rig *r = rig_new(SHAPES[i].slots_n, SHAPES[i].mean_us, exponential, 11 + i);
            int64_t turn_us = SHAPES[i].mean_us;

            r->from_us = S + 40 * turn_us + (int64_t)SHAPES[i].depth * turn_us / r->slots_n;
            keep_busy(r, SHAPES[i].depth, r->from_us + 2000 * turn_us / (r->slots_n < 20 ? 1 : 10));
            check_honest(r, exponential ? 0.85 : 0.97);
            free(r);
        }
    }
}

/* All slots begin at the same moment and, since all services last equally long, turn over together. */
TEST(slots_that_turn_over_in_bursts_are_understood)
{
    struct rig *r = rig_new(100, 20 * S, false, 5);

    for (int i = 0; i < 100; i++)
        come(r, PRIORITY_NORMAL);
    r->from_us = r->now_us + 45 * S;
    for (int round = 0; round < 400; round++) {
        while (r->queues[PRIORITY_NORMAL].n < 1000)
            come(r, PRIORITY_NORMAL);
        run_to(r, r->now_us + 7 * S);
    }
    check_honest(r, 0.97);
    free(r);
}

TEST(nothing_is_promised_before_every_slot_has_turned_over)
{
    struct rig *r = rig_new(50, 10 * S, false, 1);

    for (int i = 0; i < 300; i++)
        come(r, PRIORITY_NORMAL);
    CHECK_INT(predict(&r->eta, 0, PRIORITY_NORMAL, r->now_us), ETA_UNKNOWN);
    run_to(r, r->now_us + 10 * S - 1);
    CHECK_INT(predict(&r->eta, 249, PRIORITY_NORMAL, r->now_us), ETA_UNKNOWN);
    run_to(r, r->now_us + 2);
    CHECK(apart((double)predict(&r->eta, 199, PRIORITY_NORMAL, r->now_us), 40e6) < 12e6);
    free(r);
}

TEST(the_first_slots_to_come_free_say_nothing_of_the_others)
{
    struct eta e = {0};

    for (int i = 0; i < 50; i++)
        eta_came(&e, PRIORITY_NORMAL, S);
    for (int i = 1; i < 50; i++) {
        eta_served(&e, 50, S + i * S);
        CHECK_INT(predict(&e, 0, PRIORITY_NORMAL, S + i * S), ETA_UNKNOWN);
    }
    eta_served(&e, 50, 51 * S);
    CHECK(apart((double)predict(&e, 9, PRIORITY_NORMAL, 51 * S), 10e6) < 1e6);
}

/* Every second one leaves after ten seconds, unserved; the others are served after ten. */
TEST(time_in_which_somebody_waited_in_vain_counts)
{
    struct eta e = {0};
    int64_t now_us = S;

    for (int i = 0; i < 200; i++, now_us += 10 * S) {
        eta_came(&e, PRIORITY_NORMAL, now_us);
        if (i % 2 == 0)
            eta_left(&e, now_us + 10 * S);
        else
            eta_served(&e, 1, now_us + 10 * S);
    }
    CHECK(apart((double)predict(&e, 0, PRIORITY_NORMAL, now_us), 20e6) < 1e6);
}

TEST(what_is_known_is_forgotten_when_nobody_has_waited_for_long)
{
    struct eta e = {0};

    for (int i = 0; i < 100; i++) {
        eta_came(&e, PRIORITY_NORMAL, S + i * S);
        eta_served(&e, 1, S + i * S + S / 2);
    }
    CHECK(apart((double)predict(&e, 9, PRIORITY_NORMAL, 101 * S), 5e6) < 1e5);
    eta_came(&e, PRIORITY_NORMAL, 100 * S + ETA_STALE_US);
    CHECK(predict(&e, 9, PRIORITY_NORMAL, 100 * S + ETA_STALE_US) > 0);
    eta_left(&e, 100 * S + ETA_STALE_US);
    eta_came(&e, PRIORITY_NORMAL, 101 * S + 2 * ETA_STALE_US);
    CHECK_INT(predict(&e, 9, PRIORITY_NORMAL, 101 * S + 2 * ETA_STALE_US), ETA_UNKNOWN);
}

TEST(who_is_further_behind_or_of_a_worse_class_is_never_promised_less)
{
    struct rig *r = rig_new(10, 3 * S, true, 9);
    int64_t last;

    for (int step = 0; step < 3000; step++) {
        enum priority p = (enum priority)rng_below(&r->dice, PRIORITY_N);

        run_to(r, r->now_us + (int64_t)rng_exp(&r->dice, 0.3 * (double)S));
        if (ahead(r, PRIORITY_N - 1) < 1000)
            come(r, p);
        last = 0;
        for (size_t k = 0; r->eta.known && k < 50; k++) {
            CHECK(predict(&r->eta, k, p, r->now_us) >= last);
            last = predict(&r->eta, k, p, r->now_us);
            CHECK(p == 0 || predict(&r->eta, k, p - 1, r->now_us) <= last);
        }
    }
    CHECK(r->eta.known);
    free(r);
}

/* Better classes come all the time and take half of the slots. */
TEST(what_better_classes_take_is_not_promised_to_others)
{
    struct rig *r = rig_new(20, 4 * S, true, 3);
    double gap_us = 4e6 / 20;
    int64_t high_us = S, until_us = 3000 * S;

    r->from_us = 300 * S;
    while (r->now_us < until_us) {
        run_to(r, r->now_us + (int64_t)rng_exp(&r->dice, gap_us));
        for (; high_us < r->now_us; high_us += (int64_t)rng_exp(&r->dice, gap_us * 2))
            come(r, PRIORITY_HIGH);
        if (r->queues[PRIORITY_NORMAL].n < 100)
            come(r, PRIORITY_NORMAL);
    }
    check_honest(r, 0.8);
    free(r);
}

TEST(who_is_starved_is_told_so)
{
    struct rig *r = rig_new(10, 2 * S, false, 4);

    for (int i = 0; i < 2000; i++) {
        run_to(r, r->now_us + 150 * MS); /* the slots can do one in 200 ms */
        if (r->queues[PRIORITY_HIGH].n < 50)
            come(r, PRIORITY_HIGH);
        if (i == 1000)
            come(r, PRIORITY_BULK);
    }
    CHECK_INT((long long)r->queues[PRIORITY_BULK].n, 1);
    CHECK(predict(&r->eta, ahead(r, PRIORITY_BULK), PRIORITY_BULK, r->now_us) > 600 * S);
    CHECK(predict(&r->eta, 9, PRIORITY_HIGH, r->now_us) < 5 * S);
    free(r);
}

/* Nothing is served for ten minutes, then everything goes on as before. */
TEST(an_outage_is_told_and_does_not_spoil_what_was_known)
{
    struct rig *r = rig_new(20, 2 * S, true, 6);
    int64_t before, during, after;

    keep_busy(r, 50, 300 * S);
    before = predict(&r->eta, 9, PRIORITY_NORMAL, r->now_us);
    CHECK(apart((double)before, 1e6) < 3e5);
    for (int i = 0; i < r->busy_n; i++)
        r->ends_us[i] += 600 * S;
    r->now_us += 5 * S;
    during = predict(&r->eta, 9, PRIORITY_NORMAL, r->now_us);
    r->now_us += 590 * S;
    CHECK(during < predict(&r->eta, 9, PRIORITY_NORMAL, r->now_us) && during > before);
    CHECK(predict(&r->eta, 9, PRIORITY_NORMAL, r->now_us) > 585 * S);
    CHECK(predict(&r->eta, 9, PRIORITY_NORMAL, r->now_us) < 596 * S);
    CHECK(place_us(&r->eta, 9, PRIORITY_NORMAL, r->now_us) < 2 * before);
    run_to(r, r->now_us + 12 * S);
    after = predict(&r->eta, 9, PRIORITY_NORMAL, r->now_us);
    CHECK(after < 2 * before);
    free(r);
}

/* The slots are ten times slower from one moment on; also where there is but one. */
TEST(a_change_of_speed_is_seen_within_a_few_turns)
{
    for (int slots_n = 1; slots_n <= 100; slots_n *= 100) {
        struct rig *r = rig_new(slots_n, S, false, 2);
        double want = 10 * 10 / (double)slots_n * 1e6;

        keep_busy(r, 20, 100 * S);
        r->mean_us *= 10;
        keep_busy(r, 20, slots_n == 1 ? 400 * S : 100 * S);
        CHECK(apart((double)predict(&r->eta, 9, PRIORITY_NORMAL, r->now_us), want) < want / 3);
        r->mean_us /= 10;
        keep_busy(r, 20, 60 * S);
        CHECK(apart((double)predict(&r->eta, 9, PRIORITY_NORMAL, r->now_us), want / 10) < want / 10);
        free(r);
    }
}

TEST(what_was_learned_goes_on_elsewhere)
{
    struct eta a = {0}, b = {0};

    for (int i = 0; i < 100; i++) {
        eta_came(&a, PRIORITY_NORMAL, S + i * S);
        eta_served(&a, 1, S + i * S + S / 2);
    }
    eta_came(&a, PRIORITY_NORMAL, 200 * S);
    eta_came(&b, PRIORITY_NORMAL, 201 * S);
    eta_came(&b, PRIORITY_NORMAL, 202 * S);
    eta_inherit(&b, &a);
    CHECK_INT((long long)b.waiting_n, 2);
    CHECK(apart((double)predict(&b, 9, PRIORITY_NORMAL, 202 * S), 5e6) < 1e6);
    eta_left(&b, 202 * S);
    eta_left(&b, 202 * S);
    eta_left(&a, 202 * S);
}

/* A second tenant comes as often as the slots can do and waits as long: between each two of mine there is one
 * of its own, whether that waits already or not. */
TEST(who_may_still_come_before_is_reckoned_with_as_often_as_they_come)
{
    struct eta e = {0};
    struct eta_place at = {.priority = PRIORITY_NORMAL, .ahead = 9, .more = 10, .others = 0.5};
    int64_t now_us = S, none_us, us;

    for (int i = 0; i < 400; i++, now_us += S / 2) { /* two a second come and are served */
        eta_came(&e, PRIORITY_NORMAL, now_us);
        if (i > 20)
            eta_served(&e, 1, now_us);
    }
    at.others = 0;
    none_us = eta_place_us(&e, &at, now_us);
    CHECK(apart((double)none_us, 5e6) < 5e5);
    at.others = 0.25;
    us = eta_place_us(&e, &at, now_us);
    CHECK(apart((double)us, 5e6 / 0.75) < 8e5);
    at.others = 1; /* all that can come does */
    us = eta_place_us(&e, &at, now_us);
    CHECK(apart((double)us, 10e6) < 1e6);
    at.more = 0;
    CHECK_INT(eta_place_us(&e, &at, now_us), none_us);
}
