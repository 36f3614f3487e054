/* SPDX-License-Identifier: MIT */
/* policy/storm: who is damped and for how long, and that nobody else is. */
#include "policy/storm.h"

#include "base/rng.h"
#include "tap.h"

#define S CLOCK_SECOND_US
#define MAX 5

static const struct storm_refusal INVALID = {400, {"no such field", 13}, {"messages", 8}, {"bad", 3}};
static const struct storm_refusal TOO_LONG = {413, {"too long", 8}, {NULL, 0}, {NULL, 0}};

static struct storm_key key(uint64_t n)
{
    return (struct storm_key){n, 100};
}

static bool let(struct storm *s, uint64_t n, int64_t now)
{
    struct storm_answer a;

    return storm_let(s, key(n), now, &a);
}

static void refuse(struct storm *s, uint64_t n, int64_t now)
{
    storm_refused(s, key(n), &INVALID, now);
}

/* So many refusals in a row, each of a request that was let through. */
static void refuse_times(struct storm *s, uint64_t n, int times, int64_t now)
{
    for (int i = 0; i < times; i++) {
        CHECK(let(s, n, now));
        refuse(s, n, now);
    }
}

TEST(the_first_refusals_are_the_providers_own_then_memory_answers)
{
    struct storm s;
    struct storm_answer a;

    storm_init(&s, MAX);
    CHECK(storm_is_over(&s, 0));
    refuse_times(&s, 1, MAX, S);
    CHECK(!storm_let(&s, key(1), S, &a));
    CHECK_INT(a.refusal.status, 400);
    CHECK_MEM(a.refusal.detail.p, a.refusal.detail.n, "no such field", 13);
    CHECK_MEM(a.refusal.param.p, a.refusal.param.n, "messages", 8);
    CHECK_MEM(a.refusal.code.p, a.refusal.code.n, "bad", 3);
    CHECK_INT(a.wait_us, STORM_PAUSE_US);
    CHECK_INT(a.refused_n, MAX);
    CHECK(!storm_is_over(&s, S));
}

TEST(another_body_is_never_affected)
{
    struct storm s;

    storm_init(&s, MAX);
    refuse_times(&s, 1, MAX, S);
    CHECK(!let(&s, 1, S));
    CHECK(let(&s, 2, S));
    refuse(&s, 2, S); /* once is not often */
    CHECK(let(&s, 2, S));
    CHECK(storm_let(&s, (struct storm_key){1, 101}, S, NULL)); /* the same hash by accident */
}

TEST(the_pause_doubles_to_half_a_minute_and_lets_one_through_each_time)
{
    static const int64_t PAUSES[] = {1, 2, 4, 8, 16, 30, 30, 30};
    struct storm s;
    int64_t now = 100 * S;

    storm_init(&s, MAX);
    refuse_times(&s, 1, MAX, now);
    for (size_t i = 0; i < sizeof PAUSES / sizeof *PAUSES; i++) {
        CHECK(!let(&s, 1, now + PAUSES[i] * S - 1));
        now += PAUSES[i] * S;
        CHECK(let(&s, 1, now));
        CHECK(!let(&s, 1, now)); /* one */
        now += S / 10;
        refuse(&s, 1, now);
    }
}

TEST(refusals_that_were_under_way_make_no_pause_longer)
{
    struct storm s;

    storm_init(&s, MAX);
    for (int i = 0; i < 50; i++)
        CHECK(let(&s, 1, S));
    for (int i = 0; i < 50; i++)
        refuse(&s, 1, 2 * S);
    CHECK(!let(&s, 1, 3 * S - 1));
    CHECK(let(&s, 1, 3 * S));
}

TEST(only_the_refusal_of_the_one_let_through_doubles)
{
    struct storm s;

    storm_init(&s, MAX);
    refuse_times(&s, 1, MAX, 0);
    CHECK(let(&s, 1, S));
    refuse(&s, 1, S);
    refuse(&s, 1, S); /* it was sent before the damping, and took longer */
    CHECK(let(&s, 1, 3 * S));
}

TEST(one_whose_fate_stays_unknown_is_followed_by_another)
{
    struct storm s;

    storm_init(&s, MAX);
    refuse_times(&s, 1, MAX, 0);
    CHECK(let(&s, 1, S)); /* and its client leaves, say */
    CHECK(!let(&s, 1, 2 * S - 1));
    CHECK(let(&s, 1, 2 * S));
    refuse(&s, 1, 2 * S);
    CHECK(!let(&s, 1, 4 * S - 1));
    CHECK(let(&s, 1, 4 * S));
}

TEST(an_answer_ends_it_and_so_does_a_minute)
{
    struct storm s;

    storm_init(&s, MAX);
    refuse_times(&s, 1, MAX, 0);
    CHECK(let(&s, 1, S));
    storm_answered(&s, key(1));
    refuse_times(&s, 1, MAX, S); /* counted from the beginning */
    CHECK(!let(&s, 1, S));
    storm_answered(&s, key(9)); /* of whom nothing is known */
    CHECK(!storm_is_over(&s, S + STORM_MEMORY_US - 1));
    CHECK(storm_is_over(&s, S + STORM_MEMORY_US));
    refuse_times(&s, 1, MAX, S + STORM_MEMORY_US);
}

TEST(refusals_further_apart_than_a_minute_are_no_storm)
{
    struct storm s;

    storm_init(&s, MAX);
    for (int i = 0; i < 100; i++) { /* at any time four of them are within a minute */
        CHECK(let(&s, 1, i * 15 * S));
        refuse(&s, 1, i * 15 * S);
    }
    CHECK(let(&s, 1, 99 * 15 * S));
    refuse(&s, 1, 99 * 15 * S + 14 * S); /* the fifth */
    CHECK(!let(&s, 1, 99 * 15 * S + 14 * S));
}

TEST(another_status_counts_from_the_beginning)
{
    struct storm s;
    struct storm_answer a;

    storm_init(&s, MAX);
    refuse_times(&s, 1, MAX - 1, 0);
    storm_refused(&s, key(1), &TOO_LONG, 0);
    for (int i = 1; i < MAX; i++) {
        CHECK(let(&s, 1, 0));
        storm_refused(&s, key(1), &TOO_LONG, 0);
    }
    CHECK(!storm_let(&s, key(1), 0, &a));
    CHECK_INT(a.refusal.status, 413);
    CHECK(a.refusal.param.p == NULL && a.refusal.code.p == NULL);
}

TEST(a_limit_of_one_damps_at_once)
{
    struct storm s;

    storm_init(&s, 1);
    refuse_times(&s, 1, 1, 0);
    CHECK(!let(&s, 1, 0));
}

TEST(long_words_are_cut_between_characters)
{
    struct storm s;
    struct storm_answer a;
    char text[2 * STORM_WORDS_MAX];
    struct storm_refusal r = {400, {text, sizeof text}, {"p", 1}, {"", 0}};

    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    storm_init(&s, 1);
    storm_refused(&s, key(1), &r, 0);
    CHECK(!storm_let(&s, key(1), 0, &a));
    CHECK_INT(a.refusal.detail.n, STORM_WORDS_MAX - 2); /* 479 have room: half of the last one is left out */
    CHECK(a.refusal.code.p != NULL && a.refusal.code.n == 0);
}

TEST(the_one_not_asked_for_longest_makes_room)
{
    struct storm s;

    storm_init(&s, 1);
    for (uint64_t n = 1; n <= STORM_SLOTS_N; n++)
        refuse(&s, n, (int64_t)n);
    CHECK(!let(&s, 1, 100)); /* 1 is asked for: now 2 is the oldest */
    refuse(&s, 99, 101);
    CHECK(!let(&s, 1, 102));
    CHECK(let(&s, 2, 102));
    CHECK(!let(&s, 3, 102));
}

/* -- against a plain model: lists without any bound -------------------------------------------------------
 */

#define KEYS_N 12 /* as many as have room */

struct plain {
    int64_t times[4096];
    int n, pause_s;
    int64_t until;
    bool trying;
};

static bool plain_let(struct plain *p, int64_t now)
{
    if (p->n > 0 && now - p->times[p->n - 1] >= STORM_MEMORY_US)
        *p = (struct plain){.n = 0};
    if (p->pause_s == 0)
        return true;
    if (now < p->until)
        return false;
    p->until = now + p->pause_s * S;
    p->trying = true;
    return true;
}

static void plain_refused(struct plain *p, int64_t now)
{
    int within = 0;

    if (p->n > 0 && now - p->times[p->n - 1] >= STORM_MEMORY_US)
        *p = (struct plain){.n = 0};
    p->times[p->n++] = now;
    for (int i = 0; i < p->n; i++)
        within += now - p->times[i] < STORM_MEMORY_US;
    if (p->pause_s == 0 && within >= MAX) {
        p->pause_s = 1;
        p->until = now + S;
    } else if (p->trying) {
        p->pause_s = p->pause_s * 2 > 30 ? 30 : p->pause_s * 2;
        p->until = now + p->pause_s * S;
    }
    p->trying = false;
}

TEST(it_does_what_a_plain_model_does)
{
    static struct plain plain[KEYS_N];

    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct storm s;
        struct rng dice;
        int64_t now = 0;
        int wrong_n = 0, damped_n = 0;

        memset(plain, 0, sizeof plain);
        storm_init(&s, MAX);
        rng_seed(&dice, seed);
        for (int i = 0; i < 4000; i++) {
            uint64_t n = rng_below(&dice, KEYS_N);
            bool want;

            now += (int64_t)rng_below(&dice, rng_below(&dice, 50) == 0 ? 40 * S : S / 5);
            want = plain_let(&plain[n], now);
            wrong_n += let(&s, n + 1, now) != want;
            damped_n += !want;
            if (want && rng_below(&dice, 50) == 0) {
                storm_answered(&s, key(n + 1));
                plain[n] = (struct plain){.n = 0};
            } else if (want && rng_below(&dice, 10) > 0) {
                refuse(&s, n + 1, now);
                plain_refused(&plain[n], now);
            }
        }
        CHECK_INT(wrong_n, 0);
        CHECK(damped_n > 100);
    }
}
