/* SPDX-License-Identifier: MIT */
/* Where a ticket of the line may go, what is chosen, and what the end of a call teaches.
 *
 * The last one: where no target of a model is well, shutting them all would keep everybody waiting for the
 * breakers' time. The one that opened last is asked all the same, at the pace of its throttle, beside the
 * others' ordinary probes. */
#include "base/assert.h"
#include "base/clock.h"
#include "policy/line_private.h"

int line_counter_of(const struct line *l, const struct line_target *target, const struct ticket *t)
{
    return target->fixed ? target->counter : slots_find(&l->slots, target->account, t->upstream);
}

int line_own_of(const struct line *l, const struct line_target *target, const struct ticket *t)
{
    return target->fixed ? target->own : slots_find(&l->slots, target->owns, t->upstream);
}

static bool has_room(const struct line *l, const struct line_target *target, const struct ticket *t)
{
    return slots_has_room(&l->slots, line_counter_of(l, target, t), l->seen_us) &&
           slots_has_room(&l->slots, line_own_of(l, target, t), l->seen_us);
}

struct health *line_health_of(const struct line *l, const struct line_model *m, size_t target)
{
    return &l->healths[m->health[target]];
}

int line_last_of(const struct line *l, const struct line_model *m)
{
    const struct health *last = NULL;
    int got = -1;

    for (size_t i = 0; i < m->targets_n; i++) {
        const struct health *h = line_health_of(l, m, i);

        if (health_is_well(h, l->seen_us))
            return -1;
        if (health_is_parked(h, l->seen_us))
            continue;
        if (last == NULL || h->breaker.opened_us > last->breaker.opened_us) {
            last = h;
            got = (int)i;
        }
    }
    return got;
}

uint64_t line_open(const struct line *l, const struct line_model *m)
{
    int last = line_last_of(l, m);
    uint64_t open = 0;

    for (size_t i = 0; i < m->targets_n; i++) {
        struct health *h = line_health_of(l, m, i);

        if (health_next_us(h, l->seen_us, (int)i == last) <= l->seen_us)
            open |= UINT64_C(1) << i;
    }
    return open;
}

int64_t line_opens_us(const struct line *l)
{
    int64_t opens_us = CLOCK_NEVER_US;

    for (size_t k = 0; k < l->models_n; k++) {
        const struct line_model *m = &l->models[k];
        int last = m->waiting_n > 0 ? line_last_of(l, m) : -1;

        for (size_t i = 0; i < m->targets_n && m->waiting_n > 0; i++) {
            int64_t at_us = health_next_us(line_health_of(l, m, i), l->seen_us, (int)i == last);

            if (at_us > l->seen_us && at_us < opens_us)
                opens_us = at_us;
        }
    }
    return opens_us;
}

static uint64_t all_of(const struct line_model *m)
{
    return m->targets_n == 64 ? UINT64_MAX : (UINT64_C(1) << m->targets_n) - 1;
}

/* Who is patient asks a target again that has failed it; where retry.outage is 0s, nobody does. */
static bool is_patient(const struct line_model *m)
{
    return m->cfg->opt.outage_us > 0;
}

uint64_t line_allowed(const struct line_model *m, const struct ticket *t)
{
    return all_of(m) & ~t->never & ~(is_patient(m) ? 0 : t->tried);
}

uint64_t line_usable(const struct line *l, const struct line_model *m, const struct ticket *t, uint64_t open)
{
    uint64_t usable = 0;

    open &= ~t->never & line_tiers_mask(m, t->tiers_n);
    for (uint64_t left = open & ~(t->rested ? 0 : t->tried); left != 0; left &= left - 1) {
        int i = __builtin_ctzll(left);

        if (has_room(l, &m->targets[i], t))
            usable |= UINT64_C(1) << i;
    }
    return usable;
}

/* A call behind the first. */
static bool needs_token(const struct ticket *t)
{
    return t->tries.failed > 0;
}

bool line_has_token(struct line *l, const struct ticket *t)
{
    if (!needs_token(t) || retry_next_us(&l->retry, RETRY_RETRY, l->seen_us) <= l->seen_us)
        return true;
    l->starved = true;
    return false;
}

/* Of n targets from there on, those in `here` that are nearest. */
static uint64_t nearest(const struct line *l, const uint32_t *health, uint64_t here)
{
    int64_t least_us = INT64_MAX;
    uint64_t near = 0;

    for (uint64_t left = here; left != 0; left &= left - 1) {
        int i = __builtin_ctzll(left);
        int64_t us = l->loads[health[i]].distance_us;

        if (us < least_us)
            near = 0;
        least_us = us < least_us ? us : least_us;
        near |= us == least_us ? UINT64_C(1) << i : 0;
    }
    return near;
}

struct pick {
    int target, tier; /* target -1: none */
    enum choose_how how;
};

/* Of one tier's targets, those in `usable`; by weight only among the nearest. */
static struct pick pick_in(struct line *l, struct line_model *m, const struct ticket *t, size_t tier,
                           uint64_t usable, struct rng *dice)
{
    size_t from = tier > 0 ? m->tiers[tier - 1].end : 0, n = m->tiers[tier].end - from;
    uint64_t here = n >= 64 ? usable : usable >> from & ((UINT64_C(1) << n) - 1);
    struct choose_set set = {l->loads, m->tiers[tier].weighted ? m->peers + from : NULL, n, m->health + from};
    struct choose_ask ask = {m->tiers[tier].weighted ? nearest(l, m->health + from, here) : here,
                             t->call.prompt_tokens, NULL, l->seen_us};
    struct choose_why why;
    int got;

    why.brief = true;
    got = choose_pick(&set, &ask, dice, &why);
    return (struct pick){got < 0 ? -1 : (int)from + got, (int)tier, why.how};
}

static struct pick pick_target(struct line *l, struct line_model *m, const struct ticket *t, uint64_t usable,
                               struct rng *dice)
{
    struct pick pick = {.target = -1};

    for (size_t i = 0; i < m->tiers_n && pick.target < 0; i++)
        pick = pick_in(l, m, t, i, usable, dice);
    return pick;
}

/* Whether it matters to anybody when the call's first payload event comes. */
static bool listens(const struct line *l, const struct line_model *m, const struct ticket *t)
{
    size_t from = t->tier > 0 ? m->tiers[t->tier - 1].end : 0;
    bool by_cost = !m->tiers[t->tier].weighted && m->tiers[t->tier].end - from > 1;

    return by_cost || slots_learns(&l->slots, t->counter) || slots_learns(&l->slots, t->own) ||
           health_listens(line_health_of(l, m, (size_t)t->target), &t->probe);
}

bool line_reserve(struct line *l, struct line_model *m, struct ticket *t, struct rng *dice)
{
    uint64_t usable = line_usable(l, m, t, line_open(l, m));
    struct health *h;
    struct pick pick;

    if (usable == 0 || !line_has_token(l, t))
        return false;
    if ((usable & ~t->tried) != 0) /* those that have failed it come behind those that have not */
        usable &= ~t->tried;
    pick = pick_target(l, m, t, usable, dice);
    t->target = pick.target;
    t->tier = pick.tier;
    line_tell(l, m, t, usable, pick.how);
    t->endpoint = m->targets[t->target].endpoint;
    t->counter = line_counter_of(l, &m->targets[t->target], t);
    h = line_health_of(l, m, (size_t)t->target);
    t->own = line_own_of(l, &m->targets[t->target], t);
    t->own_call.prompt_tokens = t->call.prompt_tokens;
    slots_reserve(&l->slots, t->counter, &t->call, l->seen_us);
    slots_reserve(&l->slots, t->own, &t->own_call, l->seen_us);
    t->probe.again = t->tried >> t->target & 1;
    health_take(h, &t->probe, t->call.prompt_tokens, l->seen_us, t->target == line_last_of(l, m));
    if (needs_token(t))
        (void)retry_take(&l->retry, RETRY_RETRY, l->seen_us);
    __atomic_store_n(&t->learns, listens(l, m, t), __ATOMIC_RELAXED);
    return true;
}

/* -- the end of a call ----------------------------------------------------------------------------------- */

static bool is_sibling(const struct health *a, const struct health *b)
{
    return a != b && a->account != NULL && a->account == b->account;
}

/* What one endpoint was told holds for all endpoints of the account. */
static void tell_account(struct line *l, const struct health *h, const struct call_report *r)
{
    const struct outcome_row *row = outcome_row(r->outcome);

    for (size_t i = 0; i < l->healths_n; i++) {
        struct health *s = &l->healths[i];

        if (!is_sibling(h, s))
            continue;
        if (row->park == PARK_ACCOUNT)
            health_park(s, r->outcome, l->seen_us);
        else if (slice_eq(s->model, h->model))
            health_cool(s, l->seen_us, r->retry_after_us);
    }
}

static bool is_instant(const struct line *l, const struct health *h, const struct ticket *t,
                       const struct outcome_row *row)
{
    return row->attempt == ATTEMPT_INSTANT ||
           (row->attempt == ATTEMPT_BRIEF && health_refuses_all(h, &t->probe, l->seen_us));
}

/* Retry-After is a floor for this request: it waits for it, or does without the target where there are
 * others. */
static void note_try(const struct line_model *m, struct ticket *t, const struct call_report *r, bool instant)
{
    const struct outcome_row *row = outcome_row(r->outcome);
    uint64_t it = UINT64_C(1) << t->target;
    bool later = r->retry_after_us > 0, others;

    if (row->kind == KIND_OK)
        return;
    t->tried |= it;
    t->rested = false;
    others = (line_allowed(m, t) & ~t->tried) != 0;
    t->retry_after_us = later && !others ? r->retry_after_us : 0;
    if (row->retry != OUTCOME_HERE || (later && others))
        t->never |= it;
    if (row->attempt != ATTEMPT_NONE)
        retry_spent(&t->tries, instant);
}

void line_learn(struct line *l, struct line_model *m, struct ticket *t, const struct call_report *r,
                struct rng *dice)
{
    struct health *h = line_health_of(l, m, (size_t)t->target);
    const struct outcome_row *row = outcome_row(r->outcome);
    bool cools = row->cool == COOL_ACCOUNT && r->retry_after_us > 0 && !slots_learns(&l->slots, t->counter);

    if (row->kind == KIND_OK && !t->probe.taken)
        retry_success(&l->retry, l->seen_us);
    note_try(m, t, r, is_instant(l, h, t, row));
    health_settle(h, &t->probe, r, l->seen_us, dice);
    if (cools)
        health_cool(h, l->seen_us, r->retry_after_us);
    if (cools || row->park == PARK_ACCOUNT)
        tell_account(l, h, r);
}

bool line_may_ask_again(const struct ticket *t, const struct config *cfg)
{
    const struct config_model *m = &cfg->models[t->model];
    uint64_t all = 0;
    size_t n = 0;

    for (size_t i = 0; i < m->tiers_n; i++)
        n += m->tiers[i].targets_n;
    all = n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
    return cfg->opt.attempts_max > 1 && retry_has_calls(&t->tries) &&
           (all & ~t->never & ~(cfg->opt.outage_us > 0 ? 0 : t->tried)) != 0;
}

bool line_is_out(const struct line *l, const struct ticket *t, enum outcome *why)
{
    const struct line_model *m = line_model_of(l, t->edition, t->model);
    uint64_t left = line_allowed(m, t);

    *why = OUTCOME_N;
    for (; left != 0; left &= left - 1) {
        const struct health *h = line_health_of(l, m, (size_t)__builtin_ctzll(left));

        if (h->breaker.state == BREAKER_CLOSED && !health_is_parked(h, l->seen_us))
            return false; /* well, or only busy */
        if (*why == OUTCOME_N)
            *why = h->last;
    }
    return true;
}
