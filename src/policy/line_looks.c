/* SPDX-License-Identifier: MIT */
/* What the line's decisions tell of themselves (policy/look.h).
 *
 * Cost: a model of one target that is chosen tells nothing of it, since there was nothing to decide. Else at
 * most LOOKS_MAX targets are looked at once more: those of the tiers up to the one that was chosen, because
 * nobody has asked those behind it; all of them where none could be had. */
#include "policy/line_private.h"

static void tell_slots(const struct line *l, int counter, struct look *k)
{
    const struct slots_counter *c = &l->slots.counters[counter];

    k->is = LOOK_FULL;
    look_set(k, 0, c->used);
    look_set(k, 1, slots_limit(c));
}

/* Why its health lets no call go: until at_us. */
static void tell_health(const struct line *l, const struct health *h, int64_t at_us, struct look *k)
{
    const struct breaker *b = &h->breaker;
    int64_t now_us = l->seen_us;

    look_set(k, 0, at_us - now_us);
    if (h->parked_us > now_us) {
        k->is = LOOK_PARKED;
        look_set(k, 0, h->park_why);
        look_set(k, 1, at_us - now_us);
    } else if (b->cool_us > now_us) {
        k->is = LOOK_COOLING;
    } else if (breaker_next_us(b, now_us) <= now_us) {
        k->is = LOOK_PACED;
    } else if (b->state == BREAKER_OPEN) {
        k->is = LOOK_OPEN;
    } else {
        k->is = LOOK_TRYING;
        look_set(k, 0, b->used);
        look_set(k, 1, b->allowed);
        look_set(k, 2, at_us - now_us);
    }
}

/* One decision. */
struct scene {
    struct line *l;
    const struct line_model *m;
    const struct ticket *t;
    uint64_t usable; /* those that were chosen from */
    int last;        /* of line_last_of */
};

static void tell_cost(const struct scene *s, size_t i, size_t from, size_t to, struct look *k)
{
    struct choose_set set = {s->l->loads, NULL, to - from, s->m->health + from};
    struct choose_ask ask = {s->usable >> from, s->t->call.prompt_tokens, NULL, s->l->seen_us};
    struct choose_candidate c = choose_look(&set, &ask, i - from);

    k->is = LOOK_COST;
    look_set(k, 0, c.queued);
    look_set(k, 1, c.new_tokens);
    look_set(k, 2, c.cached);
    look_set(k, 3, c.token_ns);
    look_set(k, 4, c.penalty_us);
    look_set(k, 5, c.cost_us);
}

static void tell_usable(const struct scene *s, size_t i, struct look *k)
{
    size_t tier = (size_t)s->m->targets[i].tier, from = tier > 0 ? s->m->tiers[tier - 1].end : 0;
    size_t to = s->m->tiers[tier].end;

    if (!s->m->tiers[tier].weighted && to - from > 1) {
        tell_cost(s, i, from, to, k);
        return;
    }
    k->is = LOOK_USABLE;
    look_set(k, 0, s->m->peers[i].weight);
}

/* spill_after keeps it for later: until the ticket has waited so long, at the latest. */
static void tell_tier(const struct scene *s, size_t i, struct look *k)
{
    k->is = LOOK_LATER;
    look_set(k, 0, s->t->arrived_us + s->m->targets[i].tier * s->m->spill_us - s->l->seen_us);
}

static void tell(const struct scene *s, size_t i, struct look *k)
{
    const struct ticket *t = s->t;
    struct health *h = line_health_of(s->l, s->m, i);
    int counter = line_counter_of(s->l, &s->m->targets[i], t), own = line_own_of(s->l, &s->m->targets[i], t);
    bool tried = t->tried >> i & 1, chosen = t->target == (int)i;
    int64_t now_us = s->l->seen_us, at_us = chosen ? now_us : health_next_us(h, now_us, (int)i == s->last);

    k->target = (uint8_t)i;
    if (tried && !chosen && (!t->rested || t->never >> i & 1))
        k->is = LOOK_TRIED;
    else if (t->never >> i & 1)
        k->is = LOOK_NEVER;
    else if (!chosen && s->m->targets[i].tier >= (int)t->tiers_n)
        tell_tier(s, i, k);
    else if (at_us > now_us)
        tell_health(s->l, h, at_us, k);
    else if (!chosen && !slots_has_room(&s->l->slots, counter, now_us))
        tell_slots(s->l, counter, k);
    else if (!chosen && !slots_has_room(&s->l->slots, own, now_us))
        tell_slots(s->l, own, k);
    else
        tell_usable(s, i, k);
}

void line_tell(struct line *l, const struct line_model *m, struct ticket *t, uint64_t usable,
               enum choose_how how)
{
    struct scene s = {l, m, t, usable, line_last_of(l, m)};
    size_t n = t->target >= 0 ? m->tiers[t->tier].end : m->targets_n;
    struct looks *k = &t->looks;

    k->how = (uint8_t)how;
    k->n = k->out_n = 0;
    k->budget = t->tries.failed > 0 ? (int32_t)retry_tokens(&l->retry, l->seen_us) : -1;
    if (t->target >= 0 && m->targets_n == 1)
        return;
    for (size_t i = 0; i < n; i++) {
        /* The last place is for the one that was chosen. */
        if (k->n < LOOKS_MAX - (t->target > (int)i ? 1 : 0))
            tell(&s, i, &k->at[k->n++]);
        else
            k->out_n++;
    }
}
