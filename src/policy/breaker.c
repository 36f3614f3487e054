/* SPDX-License-Identifier: MIT */
/* The breaker's states, its passes and its window of ended calls. */
#include "policy/breaker.h"

#include "base/assert.h"
#include "base/rng.h"

#define LEVEL_MAX 10 /* past every BREAKER_LONGEST_US: shifts stay small */

void breaker_init(struct breaker *b, uint32_t run_max)
{
    ASSERT(run_max > 0);
    *b = (struct breaker){.run_max = run_max};
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool is_limited(const struct breaker *b)
{
    return b->state == BREAKER_PROBE || b->state == BREAKER_RAMP;
}

/* Whether the passes that are out have kept their places for too long. */
static bool is_overdue(const struct breaker *b, int64_t now)
{
    return b->used >= b->allowed && now - b->moved_us >= BREAKER_LEASE_US;
}

bool breaker_may(const struct breaker *b, int64_t now_us)
{
    return breaker_next_us(b, now_us) <= later(now_us, b->seen_us);
}

int64_t breaker_next_us(const struct breaker *b, int64_t now_us)
{
    int64_t now = later(now_us, b->seen_us), at = later(now_us, b->cool_us);

    if (b->state == BREAKER_OPEN || b->state == BREAKER_PROBE)
        at = later(at, b->ask_us);
    if (is_limited(b) && b->used >= b->allowed && !is_overdue(b, now))
        at = later(at, b->moved_us + BREAKER_LEASE_US);
    return at;
}

static int64_t see(struct breaker *b, int64_t now_us)
{
    b->seen_us = later(b->seen_us, now_us);
    return b->seen_us;
}

static struct breaker_pass pass_of(const struct breaker *b, enum breaker_kind kind)
{
    return (struct breaker_pass){.era = b->era, .lease = b->lease, .kind = (uint8_t)kind};
}

struct breaker_pass breaker_take(struct breaker *b, int64_t now_us)
{
    int64_t now = see(b, now_us);

    if (!breaker_may(b, now))
        return (struct breaker_pass){0};
    if (b->state == BREAKER_CLOSED)
        return pass_of(b, PASS_NORMAL);
    if (b->state == BREAKER_OPEN) {
        b->state = BREAKER_PROBE;
        b->allowed = 1;
    } else if (is_overdue(b, now)) {
        b->used = 0;
        b->lease++;
    }
    b->used++;
    b->moved_us = now;
    return pass_of(b, b->state == BREAKER_PROBE ? PASS_PROBE : PASS_RAMP);
}

struct breaker_pass breaker_take_last(struct breaker *b, int64_t now_us)
{
    int64_t now = see(b, now_us);

    if (now < b->cool_us)
        return (struct breaker_pass){0};
    return pass_of(b, b->state == BREAKER_CLOSED ? PASS_NORMAL : PASS_PACED);
}

static void forget_calls(struct breaker *b)
{
    for (int i = 0; i < BREAKER_SLICES; i++)
        b->slices[i] = (struct breaker_slice){0};
    b->run = 0;
}

static void trip(struct breaker *b, int64_t now, struct rng *dice)
{
    if (b->state == BREAKER_CLOSED && now - b->closed_us >= BREAKER_CALM_US)
        b->level = 0;
    int64_t lasts = BREAKER_FIRST_US << b->level;
    if (lasts > BREAKER_LONGEST_US)
        lasts = BREAKER_LONGEST_US;
    if (b->level < LEVEL_MAX)
        b->level++;
    b->state = BREAKER_OPEN;
    b->opened_us = now;
    b->ask_us = now + lasts / 2 + (int64_t)rng_below(dice, (uint64_t)(lasts - lasts / 2) + 1);
    b->era++;
    b->used = b->allowed = 0;
    forget_calls(b);
}

/* One more proof that it works: what was tried out is doubled. */
static void widen(struct breaker *b, int64_t now)
{
    if (b->state == BREAKER_OPEN) /* a call of the last usable endpoint came through */
        b->allowed = 1;
    b->allowed *= 2;
    b->state = BREAKER_RAMP;
    b->moved_us = now;
    if (b->allowed < BREAKER_WHOLE)
        return;
    b->state = BREAKER_CLOSED;
    b->closed_us = now;
    b->used = b->allowed = 0;
}

/* The slice that the time belongs to; those that were left out are empty. */
static struct breaker_slice *slice_now(struct breaker *b, int64_t now)
{
    int64_t no = now / BREAKER_SLICE_US, first = later(b->slice_no + 1, no - BREAKER_SLICES + 1);

    for (int64_t i = first; i <= no; i++)
        b->slices[i % BREAKER_SLICES] = (struct breaker_slice){0};
    b->slice_no = no;
    return &b->slices[no % BREAKER_SLICES];
}

static bool is_too_bad(const struct breaker *b)
{
    uint64_t good = 0, all = 0;

    if (b->run >= b->run_max)
        return true;
    for (int i = 0; i < BREAKER_SLICES; i++) {
        good += b->slices[i].good;
        all += (uint64_t)b->slices[i].good + b->slices[i].bad;
    }
    return all >= BREAKER_SAMPLES && good * 100 < all * BREAKER_GOOD_PERCENT;
}

static void count(struct breaker *b, bool good, int64_t now, struct rng *dice)
{
    struct breaker_slice *s = slice_now(b, now);

    if (good) {
        s->good++;
        b->run = 0;
        return;
    }
    s->bad++;
    b->run++;
    if (is_too_bad(b))
        trip(b, now, dice);
}

void breaker_alive(struct breaker *b, struct breaker_pass *pass, int64_t now_us)
{
    int64_t now = see(b, now_us);

    if (pass->kind == PASS_NONE || pass->alive || pass->era != b->era)
        return;
    pass->alive = true;
    if (b->state != BREAKER_CLOSED)
        widen(b, now);
}

/* Whether the pass has a place that was given away in the meantime. */
static bool is_late(const struct breaker *b, const struct breaker_pass *pass)
{
    return (pass->kind == PASS_PROBE || pass->kind == PASS_RAMP) && pass->lease != b->lease;
}

/* The place of a pass is free again. */
static void give_place(struct breaker *b, const struct breaker_pass *pass, int64_t now)
{
    bool holds = pass->kind == PASS_PROBE || pass->kind == PASS_RAMP;

    if (!holds || !is_limited(b) || is_late(b, pass))
        return;
    ASSERT(b->used > 0);
    b->used--;
    b->moved_us = now;
}

void breaker_report(struct breaker *b, struct breaker_pass *pass, enum outcome_breaker how, int64_t now_us,
                    struct rng *dice)
{
    struct breaker_pass p = *pass;
    int64_t now = see(b, now_us);

    *pass = (struct breaker_pass){0};
    if (p.kind == PASS_NONE || p.era != b->era)
        return;
    give_place(b, &p, now);
    if (how == BREAKER_FAILURE && is_late(b, &p))
        how = BREAKER_NOTHING;
    if (b->state == BREAKER_CLOSED) {
        if (how != BREAKER_NOTHING)
            count(b, how == BREAKER_SUCCESS, now, dice);
    } else if (how == BREAKER_SUCCESS) {
        if (!p.alive)
            widen(b, now);
    } else if (how == BREAKER_FAILURE) {
        if (p.kind != PASS_PACED)
            trip(b, now, dice);
    } else if (b->state == BREAKER_PROBE && b->used == 0) {
        b->ask_us = now + BREAKER_AGAIN_US;
    }
}

void breaker_cool(struct breaker *b, int64_t now_us, int64_t retry_after_us)
{
    int64_t now = see(b, now_us);

    if (retry_after_us > BREAKER_COOL_MAX_US)
        retry_after_us = BREAKER_COOL_MAX_US;
    if (retry_after_us > 0)
        b->cool_us = later(b->cool_us, now + retry_after_us);
}

const char *breaker_state_name(enum breaker_state s)
{
    static const char *const names[] = {"closed", "open", "probe", "ramp"};

    ASSERT((unsigned)s < COUNT_OF(names));
    return names[s];
}

void breaker_check(const struct breaker *b)
{
    ASSERT(is_limited(b) ? b->used <= b->allowed : b->used == 0);
    ASSERT(b->state != BREAKER_PROBE || b->allowed == 1);
    ASSERT(b->state != BREAKER_RAMP || (b->allowed >= 2 && b->allowed < BREAKER_WHOLE));
    ASSERT(b->run < b->run_max);
}
