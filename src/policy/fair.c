/* SPDX-License-Identifier: MIT */
/* Start-time fair queueing between tenants, earliest deadline first inside each.
 *
 * A tenant's place in the heap can be behind the times: its share has moved on because it was served from
 * another model's queue. Such a tenant stands too far in front, and is put right when it comes to the top.
 * One whose share has moved back would stand too far behind: fair_moved puts it right at once. */
#include "policy/fair.h"

#include <math.h>

#include "base/assert.h"
#include "base/mem.h"

/* -- shares ---------------------------------------------------------------------------------------------- */

void fair_shares_init(struct fair_shares *s, size_t tenants_n)
{
    *s = (struct fair_shares){.n = tenants_n};
}

void fair_shares_fini(struct fair_shares *s)
{
    for (int p = 0; p < PRIORITY_N; p++)
        mem_free(s->classes[p].of);
    *s = (struct fair_shares){.n = 0};
}

static struct fair_share *share_of(struct fair_shares *s, enum priority p, int tenant)
{
    struct fair_class_shares *c = &s->classes[p];

    ASSERT(tenant >= 0 && (size_t)tenant < s->n);
    if (c->of == NULL)
        c->of = mem_zalloc(s->n * sizeof(struct fair_share));
    return &c->of[tenant];
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static void note_cost(struct fair_class_shares *c, double cost)
{
    if (c->costs_n < FAIR_COSTS)
        c->costs_n++;
    c->cost += (cost - c->cost) / (double)c->costs_n;
}

void fair_charge(struct fair_shares *s, enum priority p, int tenant, int64_t tokens)
{
    struct fair_class_shares *c = &s->classes[p];
    struct fair_share *t = share_of(s, p, tenant);
    double start = larger(c->now, t->finish);

    note_cost(c, (double)tokens);
    t->finish = start + (double)tokens;
    c->now = start;
}

void fair_correct(struct fair_shares *s, enum priority p, int tenant, int64_t charged, int64_t served)
{
    struct fair_share *t = share_of(s, p, tenant);
    double now = s->classes[p].now;

    if (served > charged)
        t->finish += (double)(served - charged);
    else if (t->finish > now)
        t->finish = larger(now, t->finish - (double)(charged - served));
}

void fair_inherit(struct fair_shares *to, const struct fair_shares *from)
{
    int n = (int)(to->n < from->n ? to->n : from->n);

    for (int p = 0; p < PRIORITY_N; p++) {
        struct fair_class_shares *c = &to->classes[p];
        const struct fair_class_shares *o = &from->classes[p];

        for (int i = 0; i < n && o->of != NULL; i++) {
            struct fair_share *t = share_of(to, (enum priority)p, i);

            t->finish = larger(t->finish, c->now + larger(0, o->of[i].finish - o->now));
        }
        if (o->costs_n >= c->costs_n) {
            c->cost = o->cost;
            c->costs_n = o->costs_n;
        }
    }
}

/* -- the heap -------------------------------------------------------------------------------------------- */

static void put(struct fair_class *c, size_t at, int tenant)
{
    c->heap[at] = tenant;
    c->tenants[tenant].at = at;
}

static double start_at(const struct fair_class *c, size_t at)
{
    return c->tenants[c->heap[at]].start;
}

static void sift_up(struct fair_class *c, size_t at)
{
    int tenant = c->heap[at];

    while (at > 0 && start_at(c, (at - 1) / 2) > c->tenants[tenant].start) {
        put(c, at, c->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(c, at, tenant);
}

static void sift_down(struct fair_class *c, size_t at)
{
    int tenant = c->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < c->heap_n && start_at(c, child + 1) < start_at(c, child))
            child++;
        if (child >= c->heap_n || start_at(c, child) >= c->tenants[tenant].start)
            break;
        put(c, at, c->heap[child]);
        at = child;
    }
    put(c, at, tenant);
}

static void heap_add(struct fair_class *c, int tenant)
{
    put(c, c->heap_n++, tenant);
    sift_up(c, c->heap_n - 1);
}

static void heap_remove(struct fair_class *c, int tenant)
{
    size_t at = c->tenants[tenant].at;
    int last = c->heap[--c->heap_n];

    if (last == tenant)
        return;
    put(c, at, last);
    sift_up(c, at);
    sift_down(c, c->tenants[last].at);
}

/* -- queues ---------------------------------------------------------------------------------------------- */

void fair_queue_init(struct fair_queue *q)
{
    *q = (struct fair_queue){.n = 0};
}

void fair_queue_fini(struct fair_queue *q)
{
    ASSERT(q->n == 0);
    for (int p = 0; p < PRIORITY_N; p++) {
        mem_free(q->classes[p].tenants);
        mem_free(q->classes[p].heap);
    }
    fair_queue_init(q);
}

static struct fair_entry *entry_at(const struct list *node)
{
    return CONTAINER_OF(node, struct fair_entry, node);
}

static bool goes_before(const struct fair_entry *a, const struct fair_entry *b)
{
    return a->deadline_us != b->deadline_us ? a->deadline_us < b->deadline_us : a->arrived_us < b->arrived_us;
}

/* Newcomers belong near the tail and retries near the head, so both ends move towards the place. Equals keep
 * the order in which they came. Returns what comes behind it. */
static struct list *find_place(struct fair_tenant *t, struct fair_entry *e)
{
    struct list *front = t->entries.next, *back = t->entries.prev;
    size_t steps = 0;

    while (front != &t->entries && !goes_before(e, entry_at(front)) && goes_before(e, entry_at(back))) {
        front = front->next;
        back = back->prev;
        steps++;
    }
    if (front != &t->entries && goes_before(e, entry_at(front))) {
        e->before = steps;
        return front;
    }
    e->before = t->n - steps;
    return back->next;
}

void fair_look(const struct fair_queue *q, struct fair_entry *e)
{
    const struct fair_class *c = &q->classes[e->priority];

    e->before = 0;
    if (c->tenants != NULL && c->tenants[e->tenant].n > 0)
        (void)find_place(&c->tenants[e->tenant], e);
}

static void open_class(struct fair_class *c, size_t tenants_n)
{
    c->tenants = mem_zalloc(tenants_n * sizeof *c->tenants);
    c->heap = mem_zalloc(tenants_n * sizeof *c->heap);
    for (size_t i = 0; i < tenants_n; i++)
        list_init(&c->tenants[i].entries);
}

void fair_add(struct fair_queue *q, struct fair_shares *s, struct fair_entry *e)
{
    struct fair_class *c = &q->classes[e->priority];
    struct fair_tenant *t;

    if (c->tenants == NULL)
        open_class(c, s->n);
    t = &c->tenants[e->tenant];
    list_insert_before(find_place(t, e), &e->node);
    share_of(s, e->priority, e->tenant)->waiting_n++;
    c->n++;
    q->n++;
    if (t->n++ > 0)
        return;
    t->since = s->classes[e->priority].now;
    t->start = larger(t->since, share_of(s, e->priority, e->tenant)->finish);
    heap_add(c, e->tenant);
}

void fair_remove(struct fair_queue *q, struct fair_shares *s, struct fair_entry *e)
{
    struct fair_class *c = &q->classes[e->priority];
    struct fair_tenant *t = &c->tenants[e->tenant];

    list_remove(&e->node);
    share_of(s, e->priority, e->tenant)->waiting_n--;
    c->n--;
    q->n--;
    if (--t->n == 0)
        heap_remove(c, e->tenant);
}

struct fair_entry *fair_pop(struct fair_queue *q, struct fair_shares *s)
{
    for (int p = 0; p < PRIORITY_N; p++) {
        struct fair_class *c = &q->classes[p];

        if (c->heap_n > 0) {
            struct fair_entry *e = entry_at(c->tenants[c->heap[0]].entries.next);

            fair_remove(q, s, e);
            return e;
        }
    }
    return NULL;
}

/* Of a tenant that waits. */
static double start_of(const struct fair_class *c, const struct fair_class_shares *s, int tenant)
{
    return larger(c->tenants[tenant].since, s->of[tenant].finish);
}

/* Of one that need not. */
static double start_of_any(const struct fair_class *c, const struct fair_class_shares *s, int tenant)
{
    if (c->tenants != NULL && c->tenants[tenant].n > 0)
        return start_of(c, s, tenant);
    return s->of != NULL ? larger(s->now, s->of[tenant].finish) : s->now;
}

void fair_moved(struct fair_queue *q, const struct fair_shares *s, enum priority p, int tenant)
{
    struct fair_class *c = &q->classes[p];
    double start;

    if (c->tenants == NULL || c->tenants[tenant].n == 0)
        return;
    start = start_of(c, &s->classes[p], tenant);
    if (start >= c->tenants[tenant].start)
        return;
    c->tenants[tenant].start = start;
    sift_up(c, c->tenants[tenant].at);
}

/* Brings the top of the heap up to date until it is who it says it is. */
static struct fair_tenant *top(struct fair_class *c, const struct fair_class_shares *s)
{
    for (;;) {
        int tenant = c->heap[0];
        struct fair_tenant *t = &c->tenants[tenant];
        double start = start_of(c, s, tenant);

        if (start <= t->start)
            return t;
        t->start = start;
        sift_down(c, 0);
    }
}

static struct fair_entry *first_that_fits(const struct fair_tenant *t,
                                          bool (*fits)(void *ud, const struct fair_entry *e), void *ud)
{
    LIST_EACH (it, &t->entries) {
        if (fits(ud, entry_at(it)))
            return entry_at(it);
    }
    return NULL;
}

/* Tenants of whom nothing fits are taken out of the heap and put back afterwards; the places that the heap
 * gives up at its end hold them meanwhile. */
struct fair_entry *fair_next(struct fair_queue *q, const struct fair_shares *s, enum priority p,
                             bool (*fits)(void *ud, const struct fair_entry *e), void *ud, double *start)
{
    struct fair_class *c = &q->classes[p];
    size_t tenants_n = c->heap_n;
    struct fair_entry *found = NULL;

    while (found == NULL && c->heap_n > 0) {
        struct fair_tenant *t = top(c, &s->classes[p]);
        int tenant = c->heap[0];

        found = first_that_fits(t, fits, ud);
        if (found != NULL) {
            *start = t->start;
        } else {
            heap_remove(c, tenant);
            c->heap[c->heap_n] = tenant;
        }
    }
    while (c->heap_n < tenants_n)
        heap_add(c, c->heap[c->heap_n]);
    return found;
}

/* How many turns of `tenant`, each taking `cost`, begin before the moment `turn`. */
static double turns_before(const struct fair_class *c, const struct fair_class_shares *s, int tenant,
                           double turn, double cost)
{
    double n = ceil((turn - start_of(c, s, tenant)) / cost);

    return n > 0 ? n : 0;
}

size_t fair_ahead(const struct fair_queue *q, const struct fair_shares *s, const struct fair_entry *e,
                  size_t *more)
{
    const struct fair_class *c = &q->classes[e->priority];
    const struct fair_class_shares *shares = &s->classes[e->priority];
    double cost = larger(1, shares->cost), here = 0, rest = 0, scale;
    double turn = start_of_any(c, shares, e->tenant) + (double)e->before * cost;
    size_t ahead = e->before, step = 1 + c->heap_n / (FAIR_LOOKED_AT + 1), looked_at = 0;

    for (int p = 0; p < (int)e->priority; p++)
        ahead += q->classes[p].n;
    for (size_t i = 0; i < c->heap_n; i += step, looked_at++) {
        double n = c->heap[i] != e->tenant ? turns_before(c, shares, c->heap[i], turn, cost) : 0;
        double wait = (double)c->tenants[c->heap[i]].n;

        here += n < wait ? n : wait;
        rest += n < wait ? 0 : n - wait;
    }
    scale = looked_at > 0 ? (double)c->heap_n / (double)looked_at : 0;
    *more = (size_t)(rest * scale);
    return ahead + (size_t)(here * scale);
}

void fair_count(struct fair_queue *q)
{
    for (int p = 0; p < PRIORITY_N; p++) {
        const struct fair_class *c = &q->classes[p];

        for (size_t i = 0; i < c->heap_n; i++) {
            size_t n = 0;

            LIST_EACH (it, &c->tenants[c->heap[i]].entries)
                entry_at(it)->before = n++;
        }
    }
}

size_t fair_waiting(const struct fair_queue *q, enum priority p, int tenant)
{
    const struct fair_class *c = &q->classes[p];

    return c->tenants == NULL ? 0 : c->tenants[tenant].n;
}

static size_t check_tenant(const struct fair_class *c, size_t at)
{
    const struct fair_tenant *t = &c->tenants[c->heap[at]];
    const struct fair_entry *last = NULL;
    size_t n = 0;

    ASSERT(t->at == at && (at == 0 || start_at(c, (at - 1) / 2) <= t->start));
    LIST_EACH (it, &t->entries) {
        ASSERT(entry_at(it)->tenant == c->heap[at] && (last == NULL || !goes_before(entry_at(it), last)));
        last = entry_at(it);
        n++;
    }
    ASSERT(n == t->n && n > 0);
    return n;
}

void fair_check(const struct fair_queue *q)
{
    size_t all_n = 0;

    for (int p = 0; p < PRIORITY_N; p++) {
        const struct fair_class *c = &q->classes[p];
        size_t n = 0;

        for (size_t i = 0; i < c->heap_n; i++)
            n += check_tenant(c, i);
        ASSERT(n == c->n);
        all_n += n;
    }
    ASSERT(all_n == q->n);
}
