/* SPDX-License-Identifier: MIT */
/* The waiting line of one group of models: tickets, admission, and the handing over of slots.
 *
 * Each model has one list of waiting tickets per class, ordered by first arrival. The next ticket for a freed
 * slot is the first that can use it, over all models of the group: best class, then earliest arrival. Nobody
 * waits who could use a free slot, therefore a newcomer that finds one takes it from nobody.
 *
 * Cost: admitting and releasing look at the targets of a model and at the heads of the lists. Only tickets
 * that cannot use the freed slot (another upstream name of the wildcard model, or they have tried it) make
 * the search longer. */
#include "policy/line.h"

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
    t->counter = SLOTS_UNLIMITED;
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

int line_counter_of(const struct line *l, const struct line_target *target, const struct ticket *t)
{
    return target->fixed ? target->counter : slots_find(&l->slots, target->account, t->upstream);
}

static bool was_tried(const struct ticket *t, size_t target)
{
    return t->tried >> target & 1;
}

/* The untried targets with room between two places: bit 0 is the target at `from`. */
static uint64_t usable_between(const struct line *l, const struct line_model *m, const struct ticket *t,
                               size_t from, size_t to)
{
    uint64_t usable = 0;

    for (size_t i = from; i < to; i++) {
        if (!was_tried(t, i) && slots_has_room(&l->slots, line_counter_of(l, &m->targets[i], t), l->seen_us))
            usable |= UINT64_C(1) << (i - from);
    }
    return usable;
}

/* Chooses a target and reserves its slot; false if every untried one is full. */
static bool reserve(struct line *l, struct line_model *m, struct ticket *t)
{
    size_t from = 0;

    for (size_t tier = 0; tier < m->tiers_n; from = m->tier_end[tier++]) {
        size_t to = m->tier_end[tier];
        int pick = balance_pick(m->peers + from, to - from, usable_between(l, m, t, from, to));
        if (pick < 0)
            continue;
        t->target = (int)from + pick;
        t->tier = (int)tier;
        t->endpoint = m->targets[t->target].endpoint;
        t->counter = line_counter_of(l, &m->targets[t->target], t);
        __atomic_store_n(&t->learns, slots_learns(&l->slots, t->counter), __ATOMIC_RELAXED);
        slots_reserve(&l->slots, t->counter, &t->call, l->seen_us);
        list_push_back(&l->held, &t->held);
        l->held_n++;
        l->unlimited_n += t->counter == SLOTS_UNLIMITED;
        return true;
    }
    return false;
}

static bool has_untried(const struct line_model *m, const struct ticket *t)
{
    uint64_t all = m->targets_n == 64 ? UINT64_MAX : (UINT64_C(1) << m->targets_n) - 1;
    return (~t->tried & all) != 0;
}

/* Newcomers belong near the tail and retries near the head, so both ends move towards the place. Equals keep
 * the order in which they asked. */
static struct list *place_for(struct list *head, int64_t arrived_us)
{
    struct list *front = head->next, *back = head->prev;

    while (front != head && back != head) {
        if (ticket_at(front)->arrived_us > arrived_us)
            return front;
        if (ticket_at(back)->arrived_us <= arrived_us)
            return back->next;
        front = front->next;
        back = back->prev;
    }
    return head;
}

static void enqueue(struct line *l, struct line_model *m, struct ticket *t)
{
    list_insert_before(place_for(&m->waiting[t->priority], t->arrived_us), &t->node);
    t->state = TICKET_WAITING;
    t->place = ++m->waiting_n; /* until the next count */
    l->waiting_n++;
}

static void dequeue(struct line *l, struct ticket *t)
{
    list_remove(&t->node);
    model_of(l, t)->waiting_n--;
    l->waiting_n--;
}

/* Time only goes forward here: workers read their clocks once a turn. */
static void see(struct line *l, int64_t now_us)
{
    if (now_us > l->seen_us)
        l->seen_us = now_us;
}

/* The end of each step: when is the next due of itself? */
static void note_wake(struct line *l)
{
    l->wake_us = l->waiting_n > 0 ? slots_opens_us(&l->slots, l->seen_us) : CLOCK_NEVER_US;
}

int64_t line_wake_us(const struct line *l)
{
    return l->wake_us;
}

/* Slots have opened with time, and those who wait have not been offered them yet: a newcomer takes none from
 * them. */
static bool is_due(const struct line *l)
{
    return l->waiting_n > 0 && l->wake_us <= l->seen_us;
}

static enum line_verdict admit(struct line *l, struct line_model *m, struct ticket *t)
{
    if (!is_due(l) && reserve(l, m, t)) {
        t->state = TICKET_TAKEN;
        return LINE_TAKEN;
    }
    if (!has_untried(m, t))
        return LINE_NONE;
    if (m->waiting_n >= (size_t)m->cfg->opt.line_max)
        return LINE_FULL;
    enqueue(l, m, t);
    return LINE_QUEUED;
}

enum line_verdict line_admit(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice)
{
    struct line_model *m = model_of(l, t);
    bool due;
    enum line_verdict v;

    (void)dice;
    ASSERT(t->state == TICKET_FREE && (unsigned)t->priority < PRIORITY_N);
    t->generation++;
    see(l, now_us);
    due = is_due(l);
    v = admit(l, m, t);
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

/* Whether any ticket of the model could use the counter: whole lists are passed over by it. */
static bool model_uses(const struct line_model *m, int counter)
{
    for (size_t i = 0; i < m->targets_n; i++) {
        const struct line_target *t = &m->targets[i];
        if (t->fixed ? t->counter == counter
                     : counter == SLOTS_UNLIMITED ||
                           (counter >= t->account.first && counter < t->account.first + t->account.n))
            return true;
    }
    return false;
}

static bool ticket_uses(const struct line *l, const struct line_model *m, const struct ticket *t, int counter)
{
    for (size_t i = 0; i < m->targets_n; i++) {
        if (!was_tried(t, i) && line_counter_of(l, &m->targets[i], t) == counter)
            return true;
    }
    return false;
}

/* The earliest ticket of a class in one model's line that can use the counter and came before `best`, else
 * `best`. */
static struct ticket *earlier_in(const struct line *l, const struct line_model *m, enum priority p,
                                 int counter, struct ticket *best)
{
    LIST_EACH (it, &m->waiting[p]) {
        struct ticket *t = ticket_at(it);
        if (best && t->arrived_us >= best->arrived_us)
            return best;
        if (ticket_uses(l, m, t, counter))
            return t;
    }
    return best;
}

static struct ticket *next_for(const struct line *l, int counter)
{
    struct ticket *best = NULL;

    for (int p = 0; p < PRIORITY_N && !best; p++) {
        for (size_t i = 0; i < l->models_n; i++) {
            const struct line_model *m = &l->models[i];
            if (!list_empty(&m->waiting[p]) && model_uses(m, counter))
                best = earlier_in(l, m, (enum priority)p, counter, best);
        }
    }
    return best;
}

/* The counter may have room: gives it to whom it belongs. */
static void hand_over(struct line *l, int counter, struct list *grants)
{
    struct ticket *t;

    while (l->waiting_n > 0 && slots_has_room(&l->slots, counter, l->seen_us) && (t = next_for(l, counter))) {
        dequeue(l, t);
        bool reserved = reserve(l, model_of(l, t), t);
        ASSERT(reserved);
        t->state = TICKET_GRANTED;
        list_push_back(grants, &t->node);
    }
}

static void offer_all(struct line *l, struct list *grants)
{
    for (int c = SLOTS_UNLIMITED; c < (int)l->slots.counters_n; c++)
        hand_over(l, c, grants);
    note_wake(l);
}

void line_offer(struct line *l, int64_t now_us, struct list *grants)
{
    see(l, now_us);
    offer_all(l, grants);
}

/* The end of a step that may have made room on a counter. What time has opened meanwhile is offered as well:
 * who is to look at it later would not find it due any more. */
static void offer(struct line *l, int counter, struct list *grants)
{
    if (is_due(l)) {
        offer_all(l, grants);
        return;
    }
    hand_over(l, counter, grants);
    note_wake(l);
}

void line_first(struct line *l, struct ticket *t, int64_t now_us, struct list *grants)
{
    ASSERT(t->state == TICKET_TAKEN);
    see(l, now_us);
    slots_first(&l->slots, t->counter, &t->call, l->seen_us);
    offer(l, t->counter, grants);
}

static void give_back(struct line *l, struct ticket *t, const struct slots_report *r, struct list *grants)
{
    int counter = t->counter;

    ASSERT(t->state == TICKET_TAKEN || t->state == TICKET_GRANTED);
    list_remove(&t->node); /* a grant that has not been posted yet */
    t->state = TICKET_FREE;
    t->target = t->tier = t->endpoint = -1;
    t->counter = SLOTS_UNLIMITED;
    list_remove(&t->held);
    l->held_n--;
    slots_release(&l->slots, counter, &t->call, r, l->seen_us);
    l->unlimited_n -= counter == SLOTS_UNLIMITED;
    offer(l, counter, grants);
}

void line_release(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice, struct list *grants)
{
    (void)dice;
    see(l, now_us);
    give_back(l, t, NULL, grants);
}

void line_settle(struct line *l, struct ticket *t, const struct slots_report *r, int64_t now_us,
                 struct rng *dice, struct list *grants)
{
    (void)dice;
    see(l, now_us);
    give_back(l, t, r, grants);
}

void line_cancel(struct line *l, struct ticket *t, int64_t now_us, struct rng *dice, struct list *grants)
{
    switch (t->state) {
    case TICKET_FREE:
        return;
    case TICKET_WAITING:
        dequeue(l, t);
        t->state = TICKET_FREE;
        if (!is_due(l))
            note_wake(l);
        return;
    case TICKET_GRANTED:
    case TICKET_TAKEN:
        line_release(l, t, now_us, dice, grants);
        return;
    }
}

size_t line_depth(const struct line *l, int model)
{
    return line_depth_in(l, 0, model);
}

size_t line_depth_in(const struct line *l, int edition, int model)
{
    return line_model_of(l, edition, model)->waiting_n;
}

/* Tickets that wait for the same model under an older configuration: they have come before. */
static size_t waiting_before(const struct line *l, const struct line_model *m)
{
    struct slice name = m->cfg->models[m->model].name;
    size_t n = 0;

    for (const struct line_model *o = l->models; o->edition < m->edition; o++) {
        if (slice_eq(o->cfg->models[o->model].name, name))
            n += o->waiting_n;
    }
    return n;
}

size_t line_position(const struct line *l, const struct ticket *t)
{
    const struct line_model *m = model_of(l, t);
    size_t place = 1 + waiting_before(l, m);

    ASSERT(t->state == TICKET_WAITING);
    for (int p = 0; p < (int)t->priority; p++) {
        LIST_EACH (it, &m->waiting[p])
            place++;
    }
    for (const struct list *it = t->node.prev; it != &m->waiting[t->priority]; it = it->prev)
        place++;
    return place;
}

static void count_places(const struct line *l, struct line_model *m)
{
    size_t place = 1 + waiting_before(l, m);

    for (int p = 0; p < PRIORITY_N; p++) {
        LIST_EACH (it, &m->waiting[p])
            ticket_at(it)->place = place++;
    }
}

size_t line_place(struct line *l, const struct ticket *t, int64_t now_us)
{
    struct line_model *m = model_of(l, t);

    ASSERT(t->state == TICKET_WAITING);
    if (m->counted_us == 0 || now_us - m->counted_us >= LINE_COUNT_US) {
        count_places(l, m);
        m->counted_us = now_us;
    }
    return t->place;
}

void line_counters(const struct line *l, void (*show)(void *ud, const struct slots_counter *c), void *ud)
{
    for (size_t i = 0; i < l->slots.counters_n; i++)
        show(ud, &l->slots.counters[i]);
}

size_t line_used(const struct line *l)
{
    return l->held_n;
}

size_t line_waiting(const struct line *l)
{
    return l->waiting_n;
}

/* Asserts the order and the states in one list; returns its length. */
static size_t check_list(const struct line *l, const struct line_model *m, enum priority p)
{
    int64_t last_us = INT64_MIN;
    size_t n = 0;

    LIST_EACH (it, &m->waiting[p]) {
        const struct ticket *t = ticket_at(it);
        ASSERT(it->next->prev == it && it->prev->next == it);
        ASSERT(t->state == TICKET_WAITING && t->model == m->model && t->priority == p);
        ASSERT(t->arrived_us >= last_us);
        ASSERT(has_untried(m, t) && (is_due(l) || usable_between(l, m, t, 0, m->targets_n) == 0));
        last_us = t->arrived_us;
        n++;
    }
    return n;
}

void line_check(const struct line *l)
{
    size_t waiting_n = 0;

    for (size_t i = 0; i < l->models_n; i++) {
        const struct line_model *m = &l->models[i];
        size_t n = 0;
        for (int p = 0; p < PRIORITY_N; p++)
            n += check_list(l, m, (enum priority)p);
        ASSERT(n == m->waiting_n && n <= (size_t)m->cfg->opt.line_max);
        waiting_n += n;
    }
    ASSERT(waiting_n == l->waiting_n);
    slots_check(&l->slots);
    ASSERT(slots_used(&l->slots) + l->unlimited_n == l->held_n);
}
