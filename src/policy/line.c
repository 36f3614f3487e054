/* SPDX-License-Identifier: MIT */
/* The waiting line of one group of models: tickets, admission, and the handing over of slots.
 *
 * The next ticket for a freed slot is the first that can use it, over all models of the group: best class,
 * then the tenant whose turn it is, then the earliest deadline (line_queue.c). Nobody waits who could use a
 * free slot, therefore a newcomer that finds one takes it from nobody.
 *
 * Cost: admitting and releasing look at the targets of a model and at the heads of the queues. Only tickets
 * that cannot use what has opened (another upstream name of the wildcard model, or no token for a further
 * call) make the search longer. */
#include "policy/line.h"

#include <limits.h>

#include "base/assert.h"
#include "base/clock.h"
#include "policy/line_private.h"

static struct ticket *ticket_at(const struct list *node)
{
    return CONTAINER_OF(node, struct ticket, node);
}

void ticket_init(struct ticket *t)
{
    *t = (struct ticket){.model = -1, .priority = PRIORITY_NORMAL, .target = -1, .tier = -1, .endpoint = -1};
    t->counter = t->own = SLOTS_UNLIMITED;
    t->deadline_us = CLOCK_NEVER_US;
    t->answer_max = -1;
    t->eta_us = ETA_UNKNOWN;
    list_init(&t->wait.node);
    list_init(&t->node);
    list_init(&t->held);
}

struct line_model *line_model_find(const struct line *l, int edition, int model)
{
    size_t low = 0, high = l->models_n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct line_model *m = &l->models[mid];
        if (m->edition < edition || (m->edition == edition && m->model < model))
            low = mid + 1;
        else
            high = mid;
    }
    if (low == l->models_n || l->models[low].edition != edition || l->models[low].model != model)
        return NULL;
    return &l->models[low];
}

struct line_model *line_model_of(const struct line *l, int edition, int model)
{
    struct line_model *m = line_model_find(l, edition, model);

    ASSERT(m != NULL);
    return m;
}

static struct line_model *model_of(const struct line *l, const struct ticket *t)
{
    return line_model_of(l, t->edition, t->model);
}

void line_rest(struct line *l, struct ticket *t)
{
    struct list *at = l->resting.prev;

    while (at != &l->resting && ticket_at(at)->rest_until_us > t->rest_until_us)
        at = at->prev;
    list_insert_before(at->next, &t->node);
    t->rests = true;
    l->resting_n++;
}

static void enqueue(struct line *l, struct line_model *m, struct ticket *t)
{
    if (t->rest_until_us > l->seen_us)
        line_rest(l, t);
    else
        line_stand(l, m, t);
    t->state = TICKET_WAITING;
    m->waiting_n++;
    m->waiting_bytes += t->bytes;
    l->waiting_n++;
}

/* It waits no longer, and does not stand in its place any more. */
static void note_left(struct line *l, struct line_model *m, const struct ticket *t)
{
    m->waiting_n--;
    m->waiting_bytes -= t->bytes;
    l->waiting_n--;
}

static void give_up(struct line *l, struct ticket *t)
{
    struct line_model *m = model_of(l, t);

    if (t->rests) {
        list_remove(&t->node);
        l->resting_n--;
        t->rests = false;
    } else {
        line_unstand(l, m, t);
    }
    note_left(l, m, t);
}

/* Who has rested takes its place. */
static void wake_rested(struct line *l)
{
    while (!list_empty(&l->resting) && ticket_at(l->resting.next)->rest_until_us <= l->seen_us) {
        struct ticket *t = ticket_at(list_pop_front(&l->resting));

        t->rests = false;
        t->rested = true;
        l->resting_n--;
        line_stand(l, model_of(l, t), t);
        line_open_tiers(l, model_of(l, t), t);
    }
}

/* Time only goes forward here: workers read their clocks once a turn. */
static void see(struct line *l, int64_t now_us)
{
    if (now_us > l->seen_us)
        l->seen_us = now_us;
}

static void wake_by(struct line *l, int64_t at_us)
{
    if (at_us < l->wake_us)
        l->wake_us = at_us;
}

/* The end of each step: when is the next due of itself? */
static void note_wake(struct line *l)
{
    l->wake_us = CLOCK_NEVER_US;
    if (l->resting_n > 0)
        l->wake_us = ticket_at(l->resting.next)->rest_until_us;
    if (l->waiting_n == l->resting_n)
        return;
    wake_by(l, slots_opens_us(&l->slots, l->seen_us));
    wake_by(l, line_opens_us(l));
    wake_by(l, l->spills_us);
    if (l->starved)
        wake_by(l, retry_next_us(&l->retry, RETRY_RETRY, l->seen_us));
}

int64_t line_wake_us(const struct line *l)
{
    return l->wake_us;
}

bool line_is_due(const struct line *l)
{
    return l->waiting_n > 0 && l->wake_us <= l->seen_us;
}

/* Takes a target for the ticket, if one is usable. */
static bool take(struct line *l, struct line_model *m, struct ticket *t, struct rng *dice)
{
    if (!line_reserve(l, m, t, dice))
        return false;
    list_push_back(&l->held, &t->held);
    l->held_n++;
    l->unlimited_n += t->counter == SLOTS_UNLIMITED;
    l->own_n += t->own != SLOTS_UNLIMITED;
    line_charge(l, m, t);
    return true;
}

/* Whether all targets that it may ask are parked; then until when, and why. */
static bool is_parked(const struct line *l, const struct line_model *m, struct ticket *t)
{
    t->parked_us = CLOCK_NEVER_US;
    for (uint64_t left = line_allowed(m, t); left != 0; left &= left - 1) {
        const struct health *h = line_health_of(l, m, (size_t)__builtin_ctzll(left));

        if (!health_is_parked(h, l->seen_us))
            return false;
        if (h->parked_us < t->parked_us) {
            t->parked_us = h->parked_us;
            t->parked_why = h->park_why;
        }
    }
    return true;
}

/* A backoff for who has been failed by a target that it may ask again. */
static void note_rest(struct line *l, const struct line_model *m, struct ticket *t, struct rng *dice)
{
    t->rest_until_us = 0;
    if (!t->rested && (t->tried & line_allowed(m, t)) != 0)
        t->rest_until_us = l->seen_us + retry_backoff_us(&t->tries, t->retry_after_us, dice);
}

static enum line_verdict admit(struct line *l, struct line_model *m, struct ticket *t, struct rng *dice)
{
    enum line_verdict v;

    t->place = m->waiting_n + 1; /* until the next count */
    t->tiers_n = 0;
    line_open_tiers(l, m, t);
    if (!line_is_due(l) && take(l, m, t, dice)) {
        t->state = TICKET_TAKEN;
        return LINE_TAKEN;
    }
    line_tell(l, m, t, 0, CHOOSE_NONE);
    if (line_allowed(m, t) == 0)
        return LINE_NONE;
    if (is_parked(l, m, t))
        return LINE_PARKED;
    if (m->cfg->opt.outage_us == 0 && !line_has_token(l, t))
        return LINE_NONE;
    v = line_refusal(l, m, t);
    if (v == LINE_QUEUED) {
        note_rest(l, m, t, dice);
        enqueue(l, m, t);
    }
    return v;
}

enum line_verdict line_admit(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice)
{
    struct line_model *m = model_of(l, t);
    bool due;
    enum line_verdict v;

    ASSERT(t->state == TICKET_FREE && (unsigned)t->priority < PRIORITY_N);
    t->generation++;
    see(l, now_us);
    if (t->tries.allowed == 0)
        t->tries = retry_begin(&l->retry, l->seen_us, (unsigned)m->cfg->opt.attempts_max, t->client_retries);
    due = line_is_due(l);
    v = admit(l, m, t, dice);
    if (!due) /* else it stays due until somebody offers */
        note_wake(l);
    return v;
}

void line_take(struct line *l, struct ticket *t)
{
    (void)l;
    ASSERT(t->state == TICKET_GRANTED);
    t->state = TICKET_TAKEN;
}

static void hand_over(struct line *l, int counter, struct rng *dice, struct list *grants)
{
    struct ticket *t;

    while (l->waiting_n > l->resting_n && (t = line_next(l, counter))) {
        struct line_model *m = model_of(l, t);
        bool taken;

        line_serve(l, m, t);
        note_left(l, m, t);
        taken = take(l, m, t, dice);
        ASSERT(taken);
        line_note_served(l, model_of(l, t), t);
        t->state = TICKET_GRANTED;
        list_push_back(grants, &t->node);
    }
}

static void offer_all(struct line *l, struct rng *dice, struct list *grants)
{
    wake_rested(l);
    line_open_all(l);
    l->starved = false;
    hand_over(l, LINE_EVERYTHING, dice, grants);
    note_wake(l);
}

void line_offer(struct line *l, int64_t now_us, struct rng *dice, struct list *grants)
{
    see(l, now_us);
    offer_all(l, dice, grants);
}

/* The end of a step that may have made room on a counter. What time has opened meanwhile is offered as well:
 * who is to look at it later would not find it due any more. */
static void offer(struct line *l, int counter, int own, struct rng *dice, struct list *grants)
{
    if (line_is_due(l) || counter == LINE_EVERYTHING) {
        offer_all(l, dice, grants);
        return;
    }
    if (slots_has_room(&l->slots, counter, l->seen_us))
        hand_over(l, counter, dice, grants);
    if (own != SLOTS_UNLIMITED && slots_has_room(&l->slots, own, l->seen_us))
        hand_over(l, own, dice, grants);
    note_wake(l);
}

/* What a step on a call to this target may have opened. */
static int opened_by(const struct line *l, const struct health *h, int counter, bool was_calm)
{
    return was_calm && health_is_calm(h) && !l->starved ? counter : LINE_EVERYTHING;
}

void line_first(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice, struct list *grants)
{
    struct health *h = line_health_of(l, model_of(l, t), (size_t)t->target);
    bool calm = health_is_calm(h);

    ASSERT(t->state == TICKET_TAKEN);
    see(l, now_us);
    slots_first(&l->slots, t->counter, &t->call, l->seen_us);
    slots_first(&l->slots, t->own, &t->own_call, l->seen_us);
    if (!t->probe.taken)
        retry_success(&l->retry, l->seen_us);
    health_first(h, &t->probe, l->seen_us);
    offer(l, opened_by(l, h, t->counter, calm), t->own, dice, grants);
}

/* r NULL: there was no call. */
static void give_back(struct line *l, struct ticket *t, const struct call_report *r, struct rng *dice,
                      struct list *grants)
{
    struct line_model *m = model_of(l, t);
    int counter = t->counter, own = t->own;
    struct health *h = line_health_of(l, m, (size_t)t->target);
    bool calm = health_is_calm(h);

    ASSERT(t->state == TICKET_TAKEN || t->state == TICKET_GRANTED);
    line_correct(l, m, t, r);
    if (r != NULL)
        line_learn(l, m, t, r, dice);
    else
        health_settle(h, &t->probe, NULL, l->seen_us, dice);
    list_remove(&t->node); /* a grant that has not been posted yet */
    t->state = TICKET_FREE;
    t->target = t->tier = t->endpoint = -1;
    t->counter = t->own = SLOTS_UNLIMITED;
    list_remove(&t->held);
    l->held_n--;
    slots_release(&l->slots, counter, &t->call, r, l->seen_us);
    slots_release(&l->slots, own, &t->own_call, r, l->seen_us);
    l->own_n -= own != SLOTS_UNLIMITED;
    l->unlimited_n -= counter == SLOTS_UNLIMITED;
    offer(l, opened_by(l, h, counter, calm), own, dice, grants);
}

void line_release(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice, struct list *grants)
{
    see(l, now_us);
    give_back(l, t, NULL, dice, grants);
}

void line_settle(struct line *l, struct ticket *t, const struct call_report *r, int64_t now_us,
                 struct rng *dice, struct list *grants)
{
    see(l, now_us);
    give_back(l, t, r, dice, grants);
}

void line_cancel(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice, struct list *grants)
{
    switch (t->state) {
    case TICKET_FREE:
        return;
    case TICKET_WAITING:
        give_up(l, t);
        t->state = TICKET_FREE;
        if (!line_is_due(l))
            note_wake(l);
        return;
    case TICKET_GRANTED:
    case TICKET_TAKEN:
        line_release(l, t, now_us, dice, grants);
        return;
    }
}

void line_hear(struct line *l, int edition, int model, int endpoint, const struct line_told *told,
               int64_t now_us, struct rng *dice, struct list *grants)
{
    struct line_model *m = line_model_of(l, edition, model);
    size_t i = 0;

    while (i < m->targets_n && m->targets[i].endpoint != endpoint)
        i++;
    if (i == m->targets_n)
        return;
    see(l, now_us);
    slots_tell(&l->slots, m->targets[i].owns, told->slots, told->queued, l->seen_us);
    offer_all(l, dice, grants);
}

void line_check(const struct line *l)
{
    size_t waiting_n = 0, held_n = 0;

    for (size_t i = 0; i < l->models_n; i++) {
        struct line_model *m = &l->models[i];

        line_check_queue((struct line *)(uintptr_t)l, m);
        ASSERT(m->queue.n <= m->waiting_n && m->waiting_n <= (size_t)m->cfg->opt.line_max);
        ASSERT(m->waiting_bytes >= 0 && (m->waiting_n > 0 || m->waiting_bytes == 0));
        waiting_n += m->queue.n;
        held_n += m->held_n;
    }
    ASSERT(waiting_n + l->resting_n == l->waiting_n);
    slots_check(&l->slots);
    ASSERT(slots_used(&l->slots) + l->unlimited_n == l->held_n + l->own_n && held_n == l->held_n);
}
