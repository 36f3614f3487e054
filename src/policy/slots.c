/* SPDX-License-Identifier: MIT */
/* Slot counters per account and upstream model name. */
#include "policy/slots.h"

#include <limits.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

void slots_init(struct slots *s)
{
    *s = (struct slots){0};
}

void slots_fini(struct slots *s)
{
    for (size_t i = 0; i < s->counters_n; i++)
        mem_free(s->counters[i].limiter);
    mem_free(s->counters);
    *s = (struct slots){0};
}

static struct slots_counter counter_of(const struct config_account *a, struct slice model, int cap)
{
    struct slots_counter c = {.account = a, .model = model, .limit = cap > 0 ? cap : INT_MAX};

    c.given = c.limit;

    if (a->learn) {
        c.limiter = MEM_NEW(struct limiter);
        limiter_init(c.limiter, &(struct limiter_opts){.cap = cap});
    }
    return c;
}

struct slots_range slots_of_account(struct slots *s, const struct config_account *a)
{
    if (a == NULL)
        return (struct slots_range){0, 0};
    for (size_t i = 0; i < s->counters_n; i++) {
        if (s->counters[i].account == a)
            return (struct slots_range){(int)i, (int)a->slots_n};
    }
    struct slots_range r = {(int)s->counters_n, (int)a->slots_n};
    s->counters = mem_realloc(s->counters, (s->counters_n + a->slots_n) * sizeof(*s->counters));
    for (size_t i = 0; i < a->slots_n; i++)
        s->counters[s->counters_n++] = counter_of(a, a->slots[i].model, a->slots[i].n);
    return r;
}

int slots_find(const struct slots *s, struct slots_range account, struct slice model)
{
    int any = SLOTS_UNLIMITED;

    for (int i = account.first; i < account.first + account.n; i++) {
        if (slice_eq(s->counters[i].model, model))
            return i;
        if (slice_eq(s->counters[i].model, SLICE("*")))
            any = i;
    }
    return any;
}

static struct slots_counter *counter_at(const struct slots *s, int counter)
{
    ASSERT(counter >= 0 && (size_t)counter < s->counters_n);
    return &s->counters[counter];
}

static bool has_room(const struct slots_counter *c, int64_t now_us)
{
    return c->used < c->limit && (c->limiter == NULL || limiter_has_room(c->limiter, c->used, now_us));
}

bool slots_has_room(const struct slots *s, int counter, int64_t now_us)
{
    return counter == SLOTS_UNLIMITED || has_room(counter_at(s, counter), now_us);
}

void slots_reserve(struct slots *s, int counter, struct slots_call *c, int64_t now_us)
{
    struct slots_counter *at;

    ASSERT(slots_has_room(s, counter, now_us));
    c->first = false;
    if (counter == SLOTS_UNLIMITED)
        return;
    at = counter_at(s, counter);
    at->used++;
    if (at->limiter != NULL)
        limiter_begin(at->limiter, &c->call, at->used, now_us);
}

bool slots_learns(const struct slots *s, int counter)
{
    return counter != SLOTS_UNLIMITED && counter_at(s, counter)->limiter != NULL;
}

void slots_first(struct slots *s, int counter, struct slots_call *c, int64_t now_us)
{
    if (!slots_learns(s, counter) || c->first)
        return;
    c->first = true;
    limiter_first(counter_at(s, counter)->limiter, &c->call, c->prompt_tokens, now_us);
}

static void note_over(struct slots_counter *c)
{
    c->over = c->used > c->limit ? c->used - c->limit : 0;
}

static void learn(struct slots_counter *at, const struct slots_call *c, const struct call_report *r,
                  int64_t now_us)
{
    int64_t after_us = r->retry_after_us > 0 ? r->retry_after_us : 0;

    switch (outcome_row(r->outcome)->slots) {
    case SLOTS_FULL:
        limiter_refused(at->limiter, &c->call, at->used, after_us, now_us);
        break;
    case SLOTS_OK:
        if (!c->first) /* an answer in one piece */
            limiter_answered(at->limiter, &c->call, now_us);
        break;
    case SLOTS_NOTHING:
        break;
    }
}

void slots_release(struct slots *s, int counter, const struct slots_call *c, const struct call_report *r,
                   int64_t now_us)
{
    struct slots_counter *at;

    if (counter == SLOTS_UNLIMITED)
        return;
    at = counter_at(s, counter);
    ASSERT(at->used > 0);
    at->used--;
    note_over(at);
    if (at->limiter != NULL && r != NULL)
        learn(at, c, r, now_us);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

void slots_tell(struct slots *s, struct slots_range of, int slots, int queued, int64_t now_us)
{
    for (int i = of.first; i < of.first + of.n; i++) {
        struct slots_counter *c = counter_at(s, i);

        if (c->limiter != NULL)
            limiter_hint(c->limiter, slots, queued, c->used, now_us);
        else if (slots > 0)
            c->limit = smaller(c->given, slots);
        note_over(c);
    }
}

void slots_carry(struct slots *from, int from_counter, struct slots *to, int to_counter)
{
    if (from_counter != SLOTS_UNLIMITED) {
        ASSERT(counter_at(from, from_counter)->used > 0);
        counter_at(from, from_counter)->used--;
        note_over(counter_at(from, from_counter));
    }
    if (to_counter != SLOTS_UNLIMITED) {
        counter_at(to, to_counter)->used++;
        note_over(counter_at(to, to_counter));
    }
}

void slots_inherit(struct slots *to, struct slots_range of, const struct slots *from, struct slots_range was)
{
    for (int i = of.first; i < of.first + of.n; i++) {
        struct slots_counter *c = counter_at(to, i);

        for (int k = was.first; k < was.first + was.n; k++) {
            const struct slots_counter *old = counter_at(from, k);

            if (!slice_eq(old->model, c->model))
                continue;
            if (c->limiter == NULL && old->limit < old->given) /* an engine has said so */
                c->limit = smaller(c->given, old->limit);
            if (c->limiter == NULL || old->limiter == NULL)
                continue;
            *c->limiter = *old->limiter;
            limiter_set_cap(c->limiter, c->limit == INT_MAX ? 0 : c->limit);
        }
    }
}

int64_t slots_opens_us(const struct slots *s, int64_t now_us)
{
    int64_t opens_us = CLOCK_NEVER_US;

    for (size_t i = 0; i < s->counters_n; i++) {
        const struct slots_counter *c = &s->counters[i];
        int64_t at_us = c->limiter != NULL ? limiter_opens_us(c->limiter) : now_us;

        if (at_us > now_us && at_us < opens_us && c->used < c->limit)
            opens_us = at_us;
    }
    return opens_us;
}

int slots_limit(const struct slots_counter *c)
{
    int learned = c->limiter != NULL ? limiter_limit(c->limiter) : c->limit;

    return learned < c->limit ? learned : c->limit;
}

size_t slots_used(const struct slots *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->counters_n; i++)
        n += (size_t)s->counters[i].used;
    return n;
}

void slots_check(const struct slots *s)
{
    for (size_t i = 0; i < s->counters_n; i++)
        ASSERT(s->counters[i].used >= 0 && s->counters[i].used <= s->counters[i].limit + s->counters[i].over);
}
