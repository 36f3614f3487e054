/* SPDX-License-Identifier: MIT */
/* policy/breaker against a plain model of it: random passes, reports, leaks and times, compared at every
 * step.
 *
 * The model keeps every pass and every ended call as they were and counts them anew each time: no counters,
 * no ring. Only the end of an opening, which the dice decide, is read from the breaker and held to bounds. */
#include "policy/breaker.h"

#include "base/assert.h"
#include "base/rng.h"
#include "tap.h"

#define PASSES_N 160
#define CALLS_N 4096
#define STEPS_N 300000

struct mirror {
    struct breaker_pass pass;
    int kind;
    unsigned era;
    bool alive, forgotten, leaked;
};

struct ended {
    int64_t slice;
    bool good;
};

struct world {
    struct breaker b;
    struct rng dice;
    int64_t now;
    struct mirror m[PASSES_N];
    struct ended ended[CALLS_N]; /* of this era, while closed */
    int ended_n, state, allowed, openings_n;
    unsigned era;
    int64_t ask, moved, closed, cool;
    int opened_n, closed_n, late_n, paced_n; /* that everything has happened */
};

static int out_n(const struct world *w)
{
    int n = 0;

    for (int i = 0; i < PASSES_N; i++) {
        const struct mirror *m = &w->m[i];
        n += (m->kind == PASS_PROBE || m->kind == PASS_RAMP) && m->era == w->era && !m->forgotten;
    }
    return n;
}

static bool is_limited(const struct world *w)
{
    return w->state == BREAKER_PROBE || w->state == BREAKER_RAMP;
}

static int64_t model_next(const struct world *w)
{
    int64_t at = w->now > w->cool ? w->now : w->cool;

    if ((w->state == BREAKER_OPEN || w->state == BREAKER_PROBE) && w->ask > at)
        at = w->ask;
    if (is_limited(w) && out_n(w) >= w->allowed && w->moved + BREAKER_LEASE_US > at)
        at = w->moved + BREAKER_LEASE_US;
    return at;
}

/* What the model gives; changes it. */
static int model_take(struct world *w, bool last)
{
    if (w->now < w->cool)
        return PASS_NONE;
    if (last && w->state != BREAKER_CLOSED)
        return PASS_PACED;
    if (model_next(w) > w->now)
        return PASS_NONE;
    if (w->state == BREAKER_CLOSED)
        return PASS_NORMAL;
    if (w->state == BREAKER_OPEN) {
        w->state = BREAKER_PROBE;
        w->allowed = 1;
    }
    bool overdue = out_n(w) >= w->allowed;
    for (int i = 0; overdue && i < PASSES_N; i++)
        w->m[i].forgotten = true;
    w->moved = w->now;
    return w->state == BREAKER_PROBE ? PASS_PROBE : PASS_RAMP;
}

static void model_trip(struct world *w)
{
    if (w->state == BREAKER_CLOSED && w->now - w->closed >= BREAKER_CALM_US)
        w->openings_n = 0;
    int64_t whole = BREAKER_FIRST_US;
    for (int i = 0; i < w->openings_n && whole < BREAKER_LONGEST_US; i++)
        whole *= 2;
    w->openings_n++;
    w->opened_n++;
    w->state = BREAKER_OPEN;
    w->era++;
    w->ended_n = 0;
    w->ask = w->b.ask_us;
    CHECK(w->ask >= w->now + whole / 2 && w->ask <= w->now + whole);
}

static void model_widen(struct world *w)
{
    w->allowed = w->state == BREAKER_RAMP ? w->allowed * 2 : 2;
    w->moved = w->now;
    w->state = BREAKER_RAMP;
    if (w->allowed >= BREAKER_WHOLE) {
        w->state = BREAKER_CLOSED;
        w->closed = w->now;
        w->closed_n++;
    }
}

static void model_count(struct world *w, bool good)
{
    int run = 0, all = 0, fine = 0;
    int64_t slice = w->now / BREAKER_SLICE_US;

    if (w->ended_n == CALLS_N) { /* what is far behind the window */
        memmove(w->ended, w->ended + CALLS_N / 2, sizeof w->ended / 2);
        w->ended_n = CALLS_N / 2;
    }
    w->ended[w->ended_n++] = (struct ended){slice, good};
    if (good)
        return;
    for (int i = w->ended_n - 1; i >= 0 && !w->ended[i].good; i--)
        run++;
    for (int i = 0; i < w->ended_n; i++) {
        bool recent = w->ended[i].slice > slice - BREAKER_SLICES;
        all += recent;
        fine += recent && w->ended[i].good;
    }
    if (run >= BREAKER_RUN || (all >= BREAKER_SAMPLES && fine * 100 < all * BREAKER_GOOD_PERCENT))
        model_trip(w);
}

static void model_report(struct world *w, struct mirror *m, enum outcome_breaker how)
{
    bool holds = m->kind == PASS_PROBE || m->kind == PASS_RAMP;
    struct mirror was = *m;

    m->kind = PASS_NONE;
    if (was.era != w->era)
        return;
    if (holds && !was.forgotten && is_limited(w))
        w->moved = w->now;
    if (holds && was.forgotten && how == BREAKER_FAILURE) {
        w->late_n++;
        how = BREAKER_NOTHING;
    }
    if (w->state == BREAKER_CLOSED) {
        if (how != BREAKER_NOTHING)
            model_count(w, how == BREAKER_SUCCESS);
    } else if (how == BREAKER_SUCCESS && !was.alive) {
        model_widen(w);
    } else if (how == BREAKER_FAILURE && was.kind != PASS_PACED) {
        model_trip(w);
    } else if (how == BREAKER_NOTHING && w->state == BREAKER_PROBE && out_n(w) == 0) {
        w->ask = w->now + BREAKER_AGAIN_US;
    }
}

static void take(struct world *w, bool last)
{
    for (int i = 0; i < PASSES_N; i++) {
        struct mirror *m = &w->m[i];
        if (m->kind != PASS_NONE)
            continue;
        CHECK_INT(breaker_may(&w->b, w->now), model_next(w) <= w->now);
        struct breaker_pass p = last ? breaker_take_last(&w->b, w->now) : breaker_take(&w->b, w->now);
        int kind = model_take(w, last);
        *m = (struct mirror){.pass = p, .kind = kind, .era = w->era};
        m->leaked = rng_below(&w->dice, 50) == 0;
        w->paced_n += kind == PASS_PACED;
        CHECK_INT(p.kind, kind);
        return;
    }
}

static void report(struct world *w, unsigned good_percent)
{
    struct mirror *m = &w->m[rng_below(&w->dice, PASSES_N)];
    enum outcome_breaker how = rng_below(&w->dice, 100) < good_percent ? BREAKER_SUCCESS : BREAKER_FAILURE;

    if (rng_below(&w->dice, 6) == 0)
        how = BREAKER_NOTHING;
    if (m->kind == PASS_NONE)
        return;
    if (m->leaked && rng_below(&w->dice, 200) != 0) /* comes back much too late, or never */
        return;
    if (rng_below(&w->dice, 3) == 0) {
        breaker_alive(&w->b, &m->pass, w->now);
        if (m->era == w->era && !m->alive && w->state != BREAKER_CLOSED)
            model_widen(w);
        if (m->era == w->era)
            m->alive = true;
        return;
    }
    breaker_report(&w->b, &m->pass, how, w->now, &w->dice);
    model_report(w, m, how);
}

static void compare(struct world *w)
{
    breaker_check(&w->b);
    CHECK_INT(w->b.state, w->state);
    CHECK_INT(breaker_next_us(&w->b, w->now), model_next(w));
    if (is_limited(w)) {
        CHECK_INT(w->b.used, out_n(w));
        CHECK_INT(w->b.allowed, w->allowed);
    }
}

static void run(struct world *w, uint64_t seed)
{
    static const unsigned weather[] = {100, 99, 50, 0, 100, 85};

    rng_seed(&w->dice, seed);
    breaker_init(&w->b, BREAKER_RUN);
    for (int step = 0; step < STEPS_N && atomic_load(&tap_failed_n) == 0; step++) {
        unsigned good = weather[step / 500 % COUNT_OF(weather)], op = (unsigned)rng_below(&w->dice, 100);
        bool slow = step / 3000 % 4 == 3;

        if (op < 35)
            take(w, step / 1500 % 3 == 2);
        else if (op < 85)
            report(w, good);
        else if (op == 85 && rng_below(&w->dice, 20) == 0) {
            int64_t after = (int64_t)rng_below(&w->dice, 4 * CLOCK_SECOND_US) - CLOCK_SECOND_US;
            breaker_cool(&w->b, w->now, after);
            if (after > 0 && w->now + after > w->cool)
                w->cool = w->now + after;
        } else if (op < 99)
            w->now += (int64_t)rng_below(&w->dice, slow ? 3 * CLOCK_SECOND_US : 100 * CLOCK_MS_US);
        else
            w->now += (int64_t)rng_below(&w->dice, 40 * CLOCK_SECOND_US);
        compare(w);
    }
}

TEST(t12_it_does_what_the_model_does)
{
    static struct world w;

    for (uint64_t seed = 1; seed <= 4; seed++) {
        w = (struct world){0};
        run(&w, seed);
        CHECK(w.opened_n > 100 && w.closed_n > 20 && w.late_n > 5 && w.paced_n > 100);
    }
}

/* Whatever happened before and whoever forgot what: an endpoint that works is whole again within the longest
 * opening, a lease and one success a step. */
TEST(t12_no_history_keeps_a_good_endpoint_away)
{
    static struct world w;

    for (uint64_t seed = 1; seed <= 300; seed++) {
        w = (struct world){0};
        rng_seed(&w.dice, seed);
        breaker_init(&w.b, BREAKER_RUN);
        for (int step = 0; step < 2000; step++) {
            if (rng_below(&w.dice, 2) == 0)
                take(&w, rng_below(&w.dice, 4) == 0);
            else
                report(&w, 30);
            w.now += (int64_t)rng_below(&w.dice, CLOCK_SECOND_US);
        }
        int64_t since = w.now;
        while (w.b.state != BREAKER_CLOSED && w.now - since < 600 * CLOCK_SECOND_US) {
            w.now = breaker_next_us(&w.b, w.now);
            struct breaker_pass p = breaker_take(&w.b, w.now);
            CHECK(p.kind != PASS_NONE);
            breaker_report(&w.b, &p, BREAKER_SUCCESS, w.now, &w.dice);
        }
        CHECK(w.now - since <= BREAKER_LONGEST_US + BREAKER_LEASE_US);
    }
}
