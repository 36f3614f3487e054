/* SPDX-License-Identifier: MIT */
/* Which tiers a ticket may use: with spill_after, the next one only when this one would keep it waiting.
 *
 * Tier k (from 0) is open to a ticket that has waited k times spill_after; or to which the tiers before it
 * can be of no use, because all targets there are ill or have failed it already; or whose wait for them, as
 * reckoned from how fast they served those who waited (policy/eta.h), is longer than spill_after. Without
 * spill_after all tiers are open: the next one is used as soon as this one is full.
 *
 * How many tiers are open is kept in the ticket and looked at when it asks, whenever everything is offered,
 * and at times that line_spills_us tells: between these nobody who waits can become usable, so that no
 * newcomer overtakes. A tier that has opened does not close again for who waits. */
#include "base/clock.h"
#include "policy/line_private.h"

#define LOOKS_N 8 /* a reckoned wait is looked at that often in the time of spill_after */
#define LOOK_MIN_US (10 * CLOCK_MS_US)
#define LOOK_MAX_US CLOCK_SECOND_US

static bool spills_late(const struct line_model *m)
{
    return m->etas != NULL;
}

/* Whether one of the tiers before `tier` has a target that may still serve it. */
static bool is_of_use(const struct line *l, const struct line_model *m, const struct ticket *t, size_t tier)
{
    uint64_t left = line_allowed(m, t) & ~t->tried & line_tiers_mask(m, tier);

    for (; left != 0; left &= left - 1) {
        if (health_is_well(line_health_of(l, m, (size_t)__builtin_ctzll(left)), l->seen_us))
            return true;
    }
    return false;
}

static bool may_spill(const struct line *l, const struct line_model *m, const struct ticket *t, size_t tier)
{
    struct eta_place at = {.priority = t->priority, .ahead = t->place > 0 ? t->place - 1 : 0};
    int64_t wait_us;

    if (l->seen_us - t->arrived_us >= (int64_t)tier * m->spill_us || !is_of_use(l, m, t, tier))
        return true;
    if (t->state == TICKET_WAITING)
        at = line_eta_place(l, m, t);
    wait_us = eta_us(&m->etas[tier], &at, l->seen_us);
    return wait_us != ETA_UNKNOWN && wait_us > m->spill_us;
}

uint64_t line_tiers_mask(const struct line_model *m, size_t tiers_n)
{
    size_t end = m->tiers[tiers_n - 1].end;

    return end >= 64 ? UINT64_MAX : (UINT64_C(1) << end) - 1;
}

static int64_t later(int64_t us, int64_t by_us)
{
    return us > CLOCK_NEVER_US - by_us ? CLOCK_NEVER_US : us + by_us;
}

/* When it has to be looked at again. */
static int64_t next_look_us(const struct line *l, const struct line_model *m, const struct ticket *t)
{
    int64_t look_us = m->spill_us / LOOKS_N;
    int64_t at_us = later(t->arrived_us, (int64_t)t->tiers_n * m->spill_us);

    look_us = look_us < LOOK_MIN_US ? LOOK_MIN_US : look_us > LOOK_MAX_US ? LOOK_MAX_US : look_us;
    return at_us < l->seen_us + look_us ? at_us : l->seen_us + look_us;
}

void line_open_tiers(struct line *l, const struct line_model *m, struct ticket *t)
{
    int64_t at_us;

    if (!spills_late(m)) {
        t->tiers_n = m->tiers_n;
        return;
    }
    t->tiers_n = t->tiers_n > 0 ? t->tiers_n : 1;
    while (t->tiers_n < m->tiers_n && may_spill(l, m, t, t->tiers_n))
        t->tiers_n++;
    if (t->tiers_n == m->tiers_n)
        return;
    at_us = next_look_us(l, m, t);
    l->spills_us = at_us < l->spills_us ? at_us : l->spills_us;
}

static void open_one(struct line *l, struct line_model *m, struct ticket *t)
{
    if (t->tiers_n < m->tiers_n)
        line_open_tiers(l, m, t);
}

void line_open_all(struct line *l)
{
    l->spills_us = CLOCK_NEVER_US;
    for (size_t i = 0; i < l->models_n; i++) {
        struct line_model *m = &l->models[i];

        if (!spills_late(m) || m->queue.n == 0)
            continue;
        fair_count(&m->queue);
        line_each(l, m, open_one);
    }
}

/* -- what is learned of each tier's pace ----------------------------------------------------------------- */

void line_note_came(const struct line *l, struct line_model *m, const struct ticket *t)
{
    for (size_t k = 1; spills_late(m) && k < m->tiers_n; k++)
        eta_came(&m->etas[k], t->priority, l->seen_us);
}

void line_note_left(const struct line *l, struct line_model *m)
{
    for (size_t k = 1; spills_late(m) && k < m->tiers_n; k++)
        eta_left(&m->etas[k], l->seen_us);
}

void line_note_served(const struct line *l, struct line_model *m, const struct ticket *t)
{
    for (size_t k = 1; spills_late(m) && k < m->tiers_n; k++) {
        if (t->tier < (int)k)
            eta_served(&m->etas[k], l->held_n, l->seen_us);
        else
            eta_left(&m->etas[k], l->seen_us);
    }
}
