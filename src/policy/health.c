/* SPDX-License-Identifier: MIT */
/* One endpoint's model: what its calls teach, and when the next may go. */
#include "policy/health.h"

#include "base/assert.h"

#define CHANCE 0.01  /* a run less probable than that is none by chance */
#define LEVEL_MAX 10 /* past every HEALTH_PARK_MAX_US: shifts stay small */

void health_init(struct health *h, struct choose_target *load, int failures)
{
    *h = (struct health){.load = load, .watched = failures > 0, .last = OUTCOME_N, .park_why = OUTCOME_N};
    breaker_init(&h->breaker, failures > 0 ? (uint32_t)failures : BREAKER_RUN);
    throttle_init(&h->throttle);
}

/* Calls that are under way are settled with the record that they find then; charges and passes of another
 * one are strangers to it, so what they have taken is not taken over. */
void health_inherit(struct health *h, const struct health *from)
{
    bool same_key = slice_eq(h->endpoint->secret, from->endpoint->secret);
    struct choose_target mine = *h->load;

    uint32_t run_max = h->breaker.run_max;

    h->breaker = from->breaker;
    h->breaker.run_max = run_max;
    h->throttle = from->throttle;
    *h->load = *from->load;
    h->load->distance_us = mine.distance_us;
    h->load->price = mine.price;
    h->last = from->last;
    h->taken_us = from->taken_us;
    if (!same_key) /* a new key is asked at once */
        return;
    h->park_why = from->park_why;
    h->parked_us = from->parked_us;
    h->trial = from->trial;
    h->park_level = from->park_level;
}

/* A refusal among calls that it takes says nothing of the next one. */
static bool takes_others(const struct health *h, int64_t now_us)
{
    return h->taken_us != 0 && now_us - h->taken_us <= HEALTH_TAKES_US;
}

static void unpark(struct health *h)
{
    h->parked_us = 0;
    h->park_level = 0;
    h->trial = false;
}

bool health_is_parked(const struct health *h, int64_t now_us)
{
    return h->parked_us > now_us && !h->trial;
}

bool health_refuses_all(const struct health *h, const struct health_call *c, int64_t now_us)
{
    return now_us - c->began_us < HEALTH_BRIEF_US && h->taken_us < c->began_us && !takes_others(h, now_us);
}

bool health_is_well(const struct health *h, int64_t now_us)
{
    return !health_is_parked(h, now_us) && h->breaker.state == BREAKER_CLOSED && h->breaker.cool_us <= now_us;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* An endpoint that takes everything is not paced. */
static bool has_refusals(const struct health *h)
{
    return h->throttle.sum.accepts < h->throttle.sum.requests;
}

bool health_is_calm(const struct health *h)
{
    return h->breaker.state == BREAKER_CLOSED && !has_refusals(h) && h->parked_us == 0;
}

int64_t health_next_us(struct health *h, int64_t now_us, bool is_last)
{
    bool paced = is_last && h->breaker.state != BREAKER_CLOSED;
    int64_t at = later(now_us, h->parked_us);

    at = later(at, paced ? h->breaker.cool_us : breaker_next_us(&h->breaker, now_us));
    if (paced || (h->watched && has_refusals(h)))
        at = later(at, throttle_next_us(&h->throttle, now_us, paced));
    return at;
}

void health_take(struct health *h, struct health_call *c, int64_t prompt_tokens, int64_t now_us, bool is_last)
{
    ASSERT(c->pass.kind == PASS_NONE);
    c->taken = false;
    c->began_us = now_us;
    c->pass = is_last ? breaker_take_last(&h->breaker, now_us) : breaker_take(&h->breaker, now_us);
    ASSERT(c->pass.kind != PASS_NONE);
    throttle_sent(&h->throttle, now_us);
    choose_charge(h->load, &c->charge, prompt_tokens, now_us);
    if (h->parked_us != 0) {
        h->trial = true;
        h->parked_us = now_us + HEALTH_TRIAL_US;
    }
}

/* Whoever fails nobody else can stand in for, at the worst: it is paid for more. */
static uint32_t pays(const struct health *h)
{
    return h->breaker.state == BREAKER_CLOSED ? THROTTLE_K : THROTTLE_K_LAST;
}

bool health_listens(const struct health *h, const struct health_call *c)
{
    return c->pass.kind != PASS_NORMAL || has_refusals(h);
}

void health_first(struct health *h, struct health_call *c, int64_t now_us)
{
    if (c->taken)
        return;
    c->taken = true;
    h->taken_us = now_us;
    throttle_taken(&h->throttle, now_us, pays(h));
    breaker_alive(&h->breaker, &c->pass, now_us);
    choose_first_token(h->load, &c->charge, now_us);
    unpark(h);
}

void health_cool(struct health *h, int64_t now_us, int64_t retry_after_us)
{
    if (!takes_others(h, now_us))
        breaker_cool(&h->breaker, now_us, retry_after_us);
}

void health_park(struct health *h, enum outcome why, int64_t now_us)
{
    int64_t lasts_us = HEALTH_PARK_US << h->park_level;

    if (!h->watched || takes_others(h, now_us))
        return;
    if (lasts_us > HEALTH_PARK_MAX_US)
        lasts_us = HEALTH_PARK_MAX_US;
    if (h->park_level < LEVEL_MAX)
        h->park_level++;
    h->park_why = why;
    h->trial = false;
    h->parked_us = now_us + lasts_us;
}

/* Who reached the endpoint's model with our credential has shown that it is accepted. */
static bool shows_credential(const struct outcome_row *row)
{
    return row->pace == PACE_TAKEN || row->kind == KIND_BUSY;
}

static void note_pace(struct health *h, const struct health_call *c, const struct outcome_row *row,
                      int64_t now_us)
{
    if (c->taken)
        return;
    if (row->pace == PACE_TAKEN) {
        h->taken_us = now_us;
        throttle_taken(&h->throttle, now_us, pays(h));
    } else if (row->pace == PACE_REFUSED) {
        throttle_refused(&h->throttle, now_us);
    }
}

/* Whether so many failures running say that it takes nothing any more. One that fails often has long runs by
 * chance; what it takes goes on paying for its calls. */
static bool is_silence(const struct health *h, uint32_t run)
{
    const struct throttle_slice *all = &h->throttle.sum;
    uint32_t failed = all->requests - all->accepts, before = all->requests > run ? all->requests - run : 0;
    double chance = 1;

    if (run < h->breaker.run_max)
        return false;
    for (uint32_t i = 0; i < run && chance >= CHANCE && before > 0 && failed > run; i++)
        chance *= (double)(failed - run) / before;
    return before == 0 || failed <= run || chance < CHANCE;
}

static int64_t cools_us(const struct call_report *r)
{
    return r->outcome == OUTCOME_LOADING && r->retry_after_us <= 0 ? HEALTH_LOADING_US : r->retry_after_us;
}

/* Whether it is a failure of the endpoint, or of what it knows us by: not of a client's own account there. */
static bool is_its_own(const struct outcome_row *row)
{
    return row->kind == KIND_FAULT || row->kind == KIND_CREDENTIAL ||
           (row->kind == KIND_BUSY && row->pace != PACE_NOTHING);
}

static void learn(struct health *h, struct health_call *c, const struct call_report *r, int64_t now_us,
                  struct rng *dice)
{
    const struct outcome_row *row = outcome_row(r->outcome);
    enum breaker_state before = h->breaker.state;
    bool counts = h->watched && !(c->again && before == BREAKER_CLOSED && row->breaker == BREAKER_FAILURE);
    enum outcome_breaker how = counts ? row->breaker : BREAKER_NOTHING;
    bool silent = is_silence(h, h->breaker.run + 1);

    note_pace(h, c, row, now_us);
    breaker_report(&h->breaker, &c->pass, how, now_us, dice);
    if (h->breaker.state == BREAKER_OPEN && before == BREAKER_CLOSED && silent)
        throttle_cut(&h->throttle, now_us);
    if (is_its_own(row)) {
        h->last = r->outcome;
        choose_fault(h->load, r->retry_after_us, now_us);
    }
    if (row->park == PARK_NOT && shows_credential(row))
        unpark(h);
    else if (row->park != PARK_NOT)
        health_park(h, r->outcome, now_us);
    if (row->cool == COOL_ENDPOINT)
        health_cool(h, now_us, cools_us(r));
}

void health_settle(struct health *h, struct health_call *c, const struct call_report *r, int64_t now_us,
                   struct rng *dice)
{
    if (c->pass.kind == PASS_NONE)
        return;
    choose_end(h->load, &c->charge);
    if (r != NULL)
        learn(h, c, r, now_us, dice);
    else
        breaker_report(&h->breaker, &c->pass, BREAKER_NOTHING, now_us, dice);
}
