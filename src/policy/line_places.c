/* SPDX-License-Identifier: MIT */
/* What a line shows: how many wait and in which place a ticket stands, what is in use, and how its targets
 * are. Who rests stands behind all others of its model until it takes its place again. */
#include "base/assert.h"
#include "policy/line_private.h"

size_t line_depth(const struct line *l, int model)
{
    return line_depth_in(l, 0, model);
}

size_t line_depth_in(const struct line *l, int edition, int model)
{
    return line_model_of(l, edition, model)->waiting_n;
}

size_t line_before(const struct line *l, const struct line_model *m)
{
    struct slice name = m->cfg->models[m->model].name;
    size_t n = 0;

    for (const struct line_model *o = l->models; o->edition < m->edition; o++) {
        if (slice_eq(o->cfg->models[o->model].name, name))
            n += o->waiting_n;
    }
    return n;
}

struct eta_place line_eta_place(const struct line *l, const struct line_model *m, const struct ticket *t)
{
    struct eta_place at = {.priority = t->priority, .ahead = line_before(l, m)};
    bool counted = fair_waiting(&m->queue, t->priority, t->tenant) > 0;
    double tenants_n = (double)(m->queue.classes[t->priority].heap_n + (counted ? 0 : 1));

    if (t->rests) {
        at.ahead += m->waiting_n - 1;
        return at;
    }
    at.ahead += fair_ahead(&m->queue, &l->shares[m->domain], &t->wait, &at.more);
    at.others = (tenants_n - 1) / tenants_n;
    return at;
}

size_t line_position(const struct line *l, const struct ticket *t)
{
    struct line_model *m = line_model_of(l, t->edition, t->model);

    ASSERT(t->state == TICKET_WAITING);
    fair_count(&m->queue);
    return line_eta_place(l, m, t).ahead + 1;
}

size_t line_place(struct line *l, struct ticket *t, int64_t now_us)
{
    struct line_model *m = line_model_of(l, t->edition, t->model);
    struct eta_place at;

    ASSERT(t->state == TICKET_WAITING);
    if (m->counted_us == 0 || now_us - m->counted_us >= LINE_COUNT_US) {
        fair_count(&m->queue);
        m->counted_us = now_us;
    }
    at = line_eta_place(l, m, t);
    t->place = at.ahead + 1;
    t->eta_us = eta_us(&m->eta, &at, now_us);
    return t->place;
}

void line_counters(const struct line *l, void (*show)(void *ud, const struct slots_counter *c), void *ud)
{
    for (size_t i = 0; i < l->slots.counters_n; i++)
        show(ud, &l->slots.counters[i]);
}

/* A newer configuration has the same endpoint at another url. */
static bool is_named_again(const struct line *l, size_t i)
{
    for (size_t k = i + 1; k < l->healths_n; k++) {
        if (slice_eq(slice_of(l->healths[k].endpoint->name), slice_of(l->healths[i].endpoint->name)) &&
            slice_eq(l->healths[k].model, l->healths[i].model))
            return true;
    }
    return false;
}

void line_healths(const struct line *l, void (*show)(void *ud, const struct health *h), void *ud)
{
    bool several = l->models_n > 0 && l->models[0].edition != l->models[l->models_n - 1].edition;

    for (size_t i = 0; i < l->healths_n; i++) {
        if (!several || !is_named_again(l, i))
            show(ud, &l->healths[i]);
    }
}

size_t line_used(const struct line *l)
{
    return l->held_n;
}

size_t line_waiting(const struct line *l)
{
    return l->waiting_n;
}

int64_t line_eta_us(const struct line *l, int edition, int model, int64_t now_us)
{
    const struct line_model *m = line_model_of(l, edition, model);
    struct eta_place at = {.priority = PRIORITY_NORMAL, .ahead = line_before(l, m)};

    for (int p = 0; p <= PRIORITY_NORMAL; p++)
        at.ahead += m->queue.classes[p].n;
    if (at.ahead == 0)
        return m->eta.known ? 0 : ETA_UNKNOWN;
    return eta_us(&m->eta, &at, now_us);
}
