/* SPDX-License-Identifier: MIT */
/* policy/throttle: its rules, its window against a plain model, and endpoints that take a share of calls. */
#include "policy/throttle.h"

#include "base/assert.h"
#include "base/rng.h"
#include "tap.h"

#define S CLOCK_SECOND_US

static void refuse(struct throttle *t, int64_t now, int n)
{
    while (n-- > 0)
        throttle_refused(t, now);
}

TEST(whom_nobody_refuses_is_never_paced)
{
    struct throttle t;

    throttle_init(&t);
    for (int64_t now = 0; now < 10 * S; now += 100) { /* more calls in flight than any credit */
        CHECK_INT(throttle_next_us(&t, now, false), now);
        throttle_sent(&t, now);
    }
    CHECK_INT(throttle_held(&t, 10 * S), 0);
}

TEST(after_a_cut_one_call_goes_per_interval)
{
    struct throttle t;
    int sent_n = 0;

    throttle_init(&t);
    throttle_cut(&t, 0);
    for (int64_t now = 0; now < 600 * S; now += 10 * CLOCK_MS_US) {
        if (throttle_next_us(&t, now, true) > now)
            continue;
        throttle_sent(&t, now);
        throttle_refused(&t, now);
        sent_n++;
    }
    CHECK_INT(sent_n, 600 * S / THROTTLE_PROBE_US - 1);
    CHECK_INT(throttle_next_us(&t, 600 * S, false),
              600 * S); /* one of others, busy, would need the samples */
}

TEST(every_taken_call_pays_for_two)
{
    struct throttle t;
    int64_t now = 1000 * S;
    int round, sent_n = 1;

    throttle_init(&t);
    throttle_cut(&t, now);
    now = throttle_next_us(&t, now, true);
    throttle_sent(&t, now);
    for (round = 0; sent_n < 32; round++) { /* round trips of 1 ms */
        for (int i = 0; i < sent_n; i++)
            throttle_taken(&t, now, THROTTLE_K);
        now += CLOCK_MS_US;
        int next_n = 0;
        while (throttle_next_us(&t, now, true) <= now) {
            throttle_sent(&t, now);
            next_n++;
        }
        CHECK_INT(next_n, 2 * sent_n);
        sent_n = next_n;
    }
    CHECK_INT(round, 5);
    for (int i = 0; i < 1000; i++)
        throttle_taken(&t, now, THROTTLE_K);
    CHECK_INT(t.credit, THROTTLE_CREDIT_MAX);
}

TEST(busy_is_paced_under_a_third_of_enough_calls)
{
    struct throttle t;
    int64_t now = 50 * S;

    throttle_init(&t);
    t.credit = 0;
    throttle_sent(&t, now);
    refuse(&t, now, THROTTLE_SAMPLES - 1);
    CHECK_INT(throttle_next_us(&t, now, false), now);
    throttle_refused(&t, now);
    CHECK_INT(throttle_next_us(&t, now, false), now + THROTTLE_PROBE_US);
    for (int i = 0; i < THROTTLE_SAMPLES / 2; i++)
        throttle_taken(&t, now, THROTTLE_K);
    t.credit = 0;
    CHECK_INT(throttle_next_us(&t, now, false), now); /* a third of 75 */
    throttle_refused(&t, now);
    CHECK_INT(throttle_next_us(&t, now, false), now + THROTTLE_PROBE_US);
}

TEST(two_minutes_are_remembered)
{
    struct throttle t;

    throttle_init(&t);
    refuse(&t, 5 * S, 100);
    CHECK_INT(throttle_held(&t, 5 * S), 100000 / 101);
    CHECK_INT(throttle_held(&t, 119 * S), 100000 / 101);
    CHECK_INT(throttle_held(&t, 120 * S), 0);
    CHECK_INT(throttle_held(&t, 3 * S), 0); /* an earlier time is taken as the latest */
}

TEST(a_good_past_does_not_hide_an_outage_for_long)
{
    struct throttle t;
    int wasted_n = 0;

    throttle_init(&t);
    for (int64_t now = 0; now < 120 * S; now += 10 * CLOCK_MS_US)
        throttle_taken(&t, now, THROTTLE_K);
    while (throttle_next_us(&t, 120 * S, false) <= 120 * S) {
        throttle_sent(&t, 120 * S);
        throttle_refused(&t, 120 * S);
        wasted_n++;
    }
    CHECK(wasted_n < 2 * THROTTLE_CALLS_MAX);
}

/* Every call as it was, with its slice. */
struct plain {
    int64_t slice;
    bool taken;
};

TEST(the_window_is_what_a_plain_list_says)
{
    static struct plain list[THROTTLE_CALLS_MAX];
    struct throttle t;
    struct rng dice;
    int64_t now = 0;
    size_t n = 0;

    rng_seed(&dice, 7);
    throttle_init(&t);
    for (int step = 0; step < 50000; step++) {
        uint32_t requests = 0, accepts = 0;
        bool taken = rng_below(&dice, 3) == 0;

        now += (int64_t)rng_below(&dice, rng_below(&dice, 500) == 0 ? 200 * S : S);
        if (n < COUNT_OF(list)) { /* below the count at which all is halved */
            list[n++] = (struct plain){now / THROTTLE_SLICE_US, taken};
            if (taken)
                throttle_taken(&t, now, THROTTLE_K);
            else
                throttle_refused(&t, now);
        }
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
            if (list[i].slice > now / THROTTLE_SLICE_US - THROTTLE_SLICES)
                list[kept++] = list[i];
        }
        n = kept;
        for (size_t i = 0; i < n; i++) {
            requests++;
            accepts += list[i].taken;
        }
        unsigned held = requests > 2 * accepts ? (requests - 2 * accepts) * 1000 / (requests + 1) : 0;
        if (!CHECK_INT(throttle_held(&t, now), held))
            return;
        CHECK_INT(t.sum.requests, requests);
        CHECK_INT(t.sum.accepts, accepts);
    }
}

TEST(counts_stay_bounded_and_consistent)
{
    struct throttle t;
    struct rng dice;
    int64_t now = 0;

    rng_seed(&dice, 8);
    throttle_init(&t);
    for (int step = 0; step < 200000; step++) {
        struct throttle_slice sum = {0};

        now += (int64_t)rng_below(&dice, 50 * CLOCK_MS_US);
        if (rng_below(&dice, 2) == 0)
            throttle_taken(&t, now, THROTTLE_K);
        else
            throttle_refused(&t, now);
        for (int i = 0; i < THROTTLE_SLICES; i++) {
            sum.requests += t.slices[i].requests;
            sum.accepts += t.slices[i].accepts;
        }
        if (!CHECK(sum.requests == t.sum.requests && sum.accepts == t.sum.accepts) ||
            !CHECK(sum.accepts <= sum.requests && sum.requests <= THROTTLE_CALLS_MAX))
            return;
    }
}

/* An endpoint that takes `share` per cent of calls, asked as often as `per_s` and the throttle let. Fates are
 * known after 200 ms. Returns the calls sent within `secs`. */
static int ask(struct throttle *t, struct rng *dice, int64_t *now, int secs, int per_s, unsigned share)
{
    enum { LATE_N = 1 << 16 };
    static int64_t due[LATE_N];
    size_t first = 0, end = 0;
    int sent_n = 0;
    int64_t until = *now + secs * S, step = S / per_s, waiting = 0;

    for (; *now < until; *now += step) {
        for (; first < end && due[first % LATE_N] <= *now; first++) {
            if (rng_below(dice, 100) < share)
                throttle_taken(t, *now, THROTTLE_K);
            else
                throttle_refused(t, *now);
        }
        if (waiting < per_s) /* who waits longer goes elsewhere */
            waiting++;
        for (; waiting > 0 && throttle_next_us(t, *now, false) <= *now; waiting--) {
            throttle_sent(t, *now);
            due[end++ % LATE_N] = *now + S / 5;
            sent_n++;
        }
    }
    return sent_n;
}

TEST(half_refused_at_random_is_asked_no_less)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct throttle t;
        struct rng dice;
        int64_t now = 0;

        rng_seed(&dice, seed);
        throttle_init(&t);
        CHECK(ask(&t, &dice, &now, 300, 100, 50) >= 29700);
    }
}

TEST(an_outage_costs_few_calls_and_ends_in_seconds)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct throttle t;
        struct rng dice;
        int64_t now = 0;

        rng_seed(&dice, seed);
        throttle_init(&t);
        ask(&t, &dice, &now, 300, 100, 100);
        int outage = ask(&t, &dice, &now, 600, 100, 0);
        CHECK(outage < 1200 + 1100); /* two a second, and what it took to see it */
        ask(&t, &dice, &now, 5, 100, 100);
        CHECK(ask(&t, &dice, &now, 10, 100, 100) >= 1000); /* whole again within 5 s */
    }
}
