/* SPDX-License-Identifier: MIT */
/* policy/retry in total outages and against refusals at random: the promises of docs/breakers.md, simulated.
 *
 * Requests arrive by dice. Each makes its first call at once, and after a call that brought nothing waits for
 * its backoff and for a token, as long as its deadline and its calls allow. No breaker and no throttle: the
 * budget has to hold alone. */
#include "policy/retry.h"

#include "base/assert.h"
#include "base/rng.h"
#include "tap.h"

#define S CLOCK_SECOND_US
#define REQUESTS_N 40000 /* at once, at most */
#define TICK_US (100 * CLOCK_MS_US)

struct request {
    struct retry_tries tries;
    int64_t due_us, deadline_us;
    bool called;
};

struct plan {
    double per_s;        /* requests */
    int64_t patience_us; /* until their deadline */
    unsigned good_percent;
    bool is_instant;      /* failures are refusals at once */
    unsigned sdk_percent; /* of requests that are a client's own retries */
};

struct sim {
    struct retry_budget b;
    struct rng dice;
    int64_t now, next_us;
    struct request r[REQUESTS_N];
    size_t n;
    int64_t requests_n, calls_n, answered_n, failed_n;
};

/* One call. True: the request is over. */
static bool call(struct sim *s, struct request *r, const struct plan *p)
{
    s->calls_n++;
    if (rng_below(&s->dice, 100) < p->good_percent) {
        retry_success(&s->b, s->now);
        s->answered_n++;
        return true;
    }
    retry_spent(&r->tries, p->is_instant);
    r->due_us = s->now + retry_backoff_us(&r->tries, 0, &s->dice);
    if (retry_has_calls(&r->tries))
        return false;
    s->failed_n++;
    return true;
}

/* What a request does now. True: it is over. */
static bool step(struct sim *s, struct request *r, const struct plan *p)
{
    if (s->now >= r->deadline_us) {
        s->failed_n++;
        return true;
    }
    if (s->now < r->due_us)
        return false;
    if (r->called && !retry_take(&s->b, RETRY_RETRY, s->now)) {
        CHECK(retry_next_us(&s->b, RETRY_RETRY, s->now) > s->now);
        return false;
    }
    r->called = true;
    return call(s, r, p);
}

static void arrive(struct sim *s, const struct plan *p)
{
    for (; s->next_us <= s->now; s->next_us += (int64_t)rng_exp(&s->dice, 1e6 / p->per_s) + 1) {
        unsigned retries =
            rng_below(&s->dice, 100) < p->sdk_percent ? 1 + (unsigned)rng_below(&s->dice, 2) : 0;
        if (!CHECK(s->n < REQUESTS_N))
            return;
        s->requests_n++;
        s->r[s->n++] = (struct request){.tries = retry_begin(&s->b, s->now, RETRY_CALLS, retries),
                                        .due_us = s->now,
                                        .deadline_us = s->now + p->patience_us};
    }
}

static void run(struct sim *s, const struct plan *p, int64_t secs)
{
    for (int64_t until = s->now + secs * S; s->now < until; s->now += TICK_US) {
        size_t kept = 0;
        arrive(s, p);
        for (size_t i = 0; i < s->n; i++) {
            if (!step(s, &s->r[i], p))
                s->r[kept++] = s->r[i];
        }
        s->n = kept;
    }
}

static void begin(struct sim *s, uint64_t seed)
{
    *s = (struct sim){0};
    rng_seed(&s->dice, seed);
    retry_init(&s->b, 0);
}

static void forget_counts(struct sim *s)
{
    s->requests_n = s->calls_n = s->answered_n = s->failed_n = 0;
}

/* Ten minutes of nothing, after ten good ones that filled the bucket: calls per request. */
static double amplification(struct sim *s, struct plan p, uint64_t seed)
{
    begin(s, seed);
    p.good_percent = 100;
    run(s, &p, 600);
    forget_counts(s);
    p.good_percent = 0;
    run(s, &p, 600);
    CHECK_INT(s->answered_n, 0);
    return (double)s->calls_n / (double)s->requests_n;
}

TEST(t10_ten_minutes_without_an_answer_cost_a_tenth_more_calls)
{
    static const double rates[] = {1, 2, 5, 20, 100};
    static const int64_t patience[] = {10 * S, 60 * S};
    static struct sim s;

    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        for (size_t j = 0; j < COUNT_OF(patience); j++) {
            for (int instant = 0; instant < 2; instant++) {
                struct plan p = {.per_s = rates[i], .patience_us = patience[j], .is_instant = instant};
                if (p.per_s > 20 && p.patience_us > 10 * S)
                    continue; /* thousands that wait: minutes under a sanitizer, and the same figure */
                double a = amplification(&s, p, i * 10 + j);
                if (!CHECK(a <= 1.1))
                    fprintf(stderr, "# %g a second: %.3f\n", p.per_s, a);
            }
        }
    }
}

TEST(t10_clients_that_retry_as_well_do_not_raise_it)
{
    static struct sim s;

    for (unsigned sdk = 30; sdk <= 60; sdk += 30) {
        struct plan p = {.per_s = 20, .patience_us = 30 * S, .is_instant = true, .sdk_percent = sdk};
        double a = amplification(&s, p, sdk);
        CHECK(a <= 1.05);
    }
}

TEST(half_refused_at_random_is_answered_in_full)
{
    static struct sim s;
    static const double rates[] = {1, 6, 100};

    for (size_t i = 0; i < COUNT_OF(rates); i++) {
        struct plan p = {.per_s = rates[i], .patience_us = 60 * S, .good_percent = 50, .is_instant = true};
        begin(&s, 100 + i);
        run(&s, &p, 1800);
        CHECK(s.failed_n * 2000 <= s.requests_n); /* 99.95 % */
    }
}

TEST(who_waited_for_a_token_is_answered_soon_after_the_outage)
{
    static struct sim s;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct plan p = {.per_s = 10, .patience_us = 120 * S, .is_instant = true};
        begin(&s, seed);
        run(&s, &p, 600); /* an outage from the very first call on */
        CHECK(s.n > 1000);
        forget_counts(&s);
        p.good_percent = 100;
        run(&s, &p, 6);          /* the longest backoff and a little: fresh calls pay for those that wait */
        CHECK(s.failed_n <= 10); /* whose deadline came in the first second */
        CHECK(s.n <= 5);
    }
}
