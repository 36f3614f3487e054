/* SPDX-License-Identifier: MIT */
/* Slot counters per account and upstream model name. */
#include "policy/slots.h"

#include "base/assert.h"
#include "base/mem.h"

void slots_init(struct slots *s)
{
    *s = (struct slots){0};
}

void slots_fini(struct slots *s)
{
    mem_free(s->counters);
    *s = (struct slots){0};
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
    for (size_t i = 0; i < a->slots_n; i++) {
        s->counters[s->counters_n++] = (struct slots_counter){
            .account = a,
            .model = a->slots[i].model,
            .limit = a->slots[i].n,
        };
    }
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

bool slots_has_room(const struct slots *s, int counter)
{
    if (counter == SLOTS_UNLIMITED)
        return true;
    const struct slots_counter *c = counter_at(s, counter);
    return c->used < c->limit;
}

void slots_reserve(struct slots *s, int counter)
{
    ASSERT(slots_has_room(s, counter));
    if (counter != SLOTS_UNLIMITED)
        counter_at(s, counter)->used++;
}

static void note_over(struct slots_counter *c)
{
    c->over = c->used > c->limit ? c->used - c->limit : 0;
}

void slots_carry(struct slots *s, int counter)
{
    if (counter == SLOTS_UNLIMITED)
        return;
    counter_at(s, counter)->used++;
    note_over(counter_at(s, counter));
}

void slots_release(struct slots *s, int counter)
{
    if (counter == SLOTS_UNLIMITED)
        return;
    ASSERT(counter_at(s, counter)->used > 0);
    counter_at(s, counter)->used--;
    note_over(counter_at(s, counter));
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
