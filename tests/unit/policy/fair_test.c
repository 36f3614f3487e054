/* SPDX-License-Identifier: MIT */
/* Who is next among those who wait: against a model that looks at everybody, and what tenants get of a server
 * that they share. */
#include "policy/fair.h"

#include "base/rng.h"
#include "tap.h"

#define TENANTS_N 5
#define ENTRIES_N 60
#define KINDS_N 3
#define STEPS_N 60000

struct item {
    struct fair_entry entry;
    int kind; /* what fits is asked about */
    bool waits;
    double since; /* the group's time when its tenant began to wait */
    uint64_t came;
};

struct scene {
    struct fair_shares shares;
    struct fair_queue queue;
    struct item items[ENTRIES_N];
    double since[PRIORITY_N][TENANTS_N];
    uint64_t step;
};

static struct item *item_of(const struct fair_entry *e)
{
    return CONTAINER_OF((struct fair_entry *)(uintptr_t)e, struct item, entry);
}

static bool is_of_kind(void *ud, const struct fair_entry *e)
{
    return item_of(e)->kind == *(int *)ud;
}

static bool is_any(void *ud, const struct fair_entry *e)
{
    (void)ud;
    (void)e;
    return true;
}

static double max2(double a, double b)
{
    return a > b ? a : b;
}

static double start_of(const struct scene *s, const struct item *it)
{
    return max2(s->since[it->entry.priority][it->entry.tenant],
                s->shares.classes[it->entry.priority].of[it->entry.tenant].finish);
}

/* Whether a is served before b, of those who fit, by the words of the header. */
static bool is_before(const struct scene *s, const struct item *a, const struct item *b)
{
    if (a->entry.tenant != b->entry.tenant)
        return start_of(s, a) < start_of(s, b);
    if (a->entry.deadline_us != b->entry.deadline_us)
        return a->entry.deadline_us < b->entry.deadline_us;
    if (a->entry.arrived_us != b->entry.arrived_us)
        return a->entry.arrived_us < b->entry.arrived_us;
    return a->came < b->came;
}

static const struct item *expected(const struct scene *s, int p, int kind)
{
    const struct item *best = NULL;

    for (int i = 0; i < ENTRIES_N; i++) {
        const struct item *it = &s->items[i];

        if (it->waits && (int)it->entry.priority == p && it->kind == kind &&
            (best == NULL || is_before(s, it, best)))
            best = it;
    }
    return best;
}

/* Of its own tenant and class. */
static size_t before_of(const struct scene *s, const struct item *it)
{
    size_t n = 0;

    for (int i = 0; i < ENTRIES_N; i++) {
        const struct item *o = &s->items[i];

        n += o->waits && o->entry.priority == it->entry.priority && o->entry.tenant == it->entry.tenant &&
             is_before(s, o, it);
    }
    return n;
}

static void add(struct scene *s, struct item *it, struct rng *dice)
{
    struct fair_entry *e = &it->entry;

    e->tenant = (int)rng_below(dice, TENANTS_N);
    e->priority = (enum priority)rng_below(dice, PRIORITY_N);
    e->deadline_us = (int64_t)rng_below(dice, 20);
    e->arrived_us = (int64_t)rng_below(dice, 4);
    it->kind = (int)rng_below(dice, KINDS_N);
    it->waits = true;
    it->came = s->step;
    if (fair_waiting(&s->queue, e->priority, e->tenant) == 0)
        s->since[e->priority][e->tenant] = s->shares.classes[e->priority].now;
    fair_add(&s->queue, &s->shares, e);
    CHECK_INT((long long)e->before, (long long)before_of(s, it));
}

static void drop(struct scene *s, struct item *it)
{
    it->waits = false;
    fair_remove(&s->queue, &s->shares, &it->entry);
}

static void correct(struct fair_queue *q, struct fair_shares *s, const struct fair_entry *e, int64_t charged,
                    int64_t served)
{
    fair_correct(s, e->priority, e->tenant, charged, served);
    fair_moved(q, s, e->priority, e->tenant);
}

static void serve(struct scene *s, struct rng *dice)
{
    int p = (int)rng_below(dice, PRIORITY_N), kind = (int)rng_below(dice, KINDS_N);
    const struct item *want = expected(s, p, kind);
    double start = -1;
    struct fair_entry *got = fair_next(&s->queue, &s->shares, (enum priority)p, is_of_kind, &kind, &start);
    int64_t cost = 1 + (int64_t)rng_below(dice, 1000);

    if (want == NULL || got == NULL) {
        CHECK(want == NULL && got == NULL);
        return;
    }
    CHECK(start == start_of(s, want)); /* among tenants that start at the same point either may be first */
    CHECK(start_of(s, item_of(got)) == start);
    CHECK(got->tenant != want->entry.tenant || item_of(got) == want);
    drop(s, item_of(got));
    fair_charge(&s->shares, got->priority, got->tenant, cost);
    if (rng_below(dice, 2) == 0)
        correct(&s->queue, &s->shares, got, cost, (int64_t)rng_below(dice, 2000));
}

TEST(a_random_queue_serves_as_the_plain_model_does)
{
    struct scene *s = calloc(1, sizeof *s);
    struct rng dice;

    rng_seed(&dice, 7);
    fair_shares_init(&s->shares, TENANTS_N);
    fair_queue_init(&s->queue);
    for (int i = 0; i < ENTRIES_N; i++)
        list_init(&s->items[i].entry.node);
    for (s->step = 0; s->step < STEPS_N; s->step++) {
        struct item *it = &s->items[rng_below(&dice, ENTRIES_N)];

        if (rng_below(&dice, 3) == 0)
            serve(s, &dice);
        else if (!it->waits)
            add(s, it, &dice);
        else if (rng_below(&dice, 4) == 0)
            drop(s, it);
        fair_check(&s->queue);
        if (s->step % 100 != 0)
            continue;
        fair_count(&s->queue);
        for (int i = 0; i < ENTRIES_N; i++)
            CHECK(!s->items[i].waits || s->items[i].entry.before == before_of(s, &s->items[i]));
    }
    for (int i = 0; i < ENTRIES_N; i++) {
        if (s->items[i].waits)
            drop(s, &s->items[i]);
    }
    fair_queue_fini(&s->queue);
    fair_shares_fini(&s->shares);
    free(s);
}

/* A server that is never idle and tenants that always have somebody waiting. */
struct share_test {
    struct fair_shares shares;
    struct fair_queue queue;
    struct fair_entry entries[3];
    int64_t cost[3], served[3];
};

static void begin(struct share_test *t)
{
    *t = (struct share_test){.cost = {10, 200, 1000}};
    fair_shares_init(&t->shares, 3);
    fair_queue_init(&t->queue);
    for (int i = 0; i < 3; i++) {
        t->entries[i] = (struct fair_entry){.tenant = i, .priority = PRIORITY_NORMAL};
        list_init(&t->entries[i].node);
    }
}

static void end(struct share_test *t)
{
    for (int i = 0; i < 3; i++) {
        if (!list_empty(&t->entries[i].node))
            fair_remove(&t->queue, &t->shares, &t->entries[i]);
    }
    fair_queue_fini(&t->queue);
    fair_shares_fini(&t->shares);
}

static int serve_one(struct share_test *t)
{
    double start;
    struct fair_entry *e = fair_next(&t->queue, &t->shares, PRIORITY_NORMAL, is_any, NULL, &start);
    int tenant = e->tenant;

    fair_remove(&t->queue, &t->shares, e);
    fair_charge(&t->shares, PRIORITY_NORMAL, tenant, t->cost[tenant]);
    t->served[tenant] += t->cost[tenant];
    fair_add(&t->queue, &t->shares, e);
    return tenant;
}

TEST(tenants_that_wait_all_the_time_get_the_same_tokens_whatever_their_requests_cost)
{
    struct share_test t;

    begin(&t);
    for (int i = 0; i < 3; i++)
        fair_add(&t.queue, &t.shares, &t.entries[i]);
    for (int i = 0; i < 5000; i++) {
        serve_one(&t);
        for (int a = 0; a < 3; a++) {
            for (int b = 0; b < 3; b++) /* the bound of start-time fair queueing, Goyal et al. theorem 1 */
                CHECK(t.served[a] - t.served[b] <= t.cost[a] + t.cost[b]);
        }
    }
    CHECK(t.served[0] > 10000);
    end(&t);
}

TEST(a_tenant_that_was_away_comes_back_without_a_claim_on_the_past)
{
    struct share_test t;
    int firsts = 0;

    begin(&t);
    fair_add(&t.queue, &t.shares, &t.entries[1]);
    for (int i = 0; i < 1000; i++)
        serve_one(&t);
    t.cost[2] = t.cost[1];
    fair_add(&t.queue, &t.shares, &t.entries[2]);
    for (int i = 0; i < 100; i++)
        firsts += serve_one(&t) == 2;
    CHECK(firsts >= 49 && firsts <= 51);
    end(&t);
}

/* Eight of its calls were under way together, each charged for a long answer, and all were short. */
TEST(what_was_charged_too_much_is_no_claim_to_be_served_many_times_running)
{
    struct share_test t;
    int firsts = 0;

    begin(&t);
    for (int i = 0; i < 8; i++)
        fair_charge(&t.shares, PRIORITY_NORMAL, 0, 500);
    fair_add(&t.queue, &t.shares, &t.entries[0]);
    for (int i = 0; i < 8; i++)
        correct(&t.queue, &t.shares, &t.entries[0], 500, 10);
    t.cost[1] = t.cost[0];
    fair_add(&t.queue, &t.shares, &t.entries[1]);
    for (int i = 0; i < 100; i++)
        firsts += serve_one(&t) == 1;
    CHECK(firsts >= 49 && firsts <= 51);
    end(&t);
}

TEST(what_an_answer_really_cost_counts_and_not_its_estimate)
{
    struct share_test t;

    begin(&t);
    t.cost[0] = t.cost[1] = 100;
    fair_add(&t.queue, &t.shares, &t.entries[0]);
    fair_add(&t.queue, &t.shares, &t.entries[1]);
    for (int i = 0; i < 4000; i++) {
        if (serve_one(&t) == 0) { /* tenant 0's answers are three times as long as it seemed */
            correct(&t.queue, &t.shares, &t.entries[0], 100, 300);
            t.served[0] += 200;
        } else { /* tenant 1's half as long */
            correct(&t.queue, &t.shares, &t.entries[1], 100, 50);
            t.served[1] -= 50;
        }
    }
    CHECK(t.served[0] - t.served[1] <= 400 && t.served[1] - t.served[0] <= 400);
    end(&t);
}

TEST(one_who_floods_delays_another_by_one_entry_at_most)
{
    static struct fair_entry flood[1000];
    struct fair_shares shares;
    struct fair_queue queue;
    struct fair_entry quiet = {.tenant = 1, .priority = PRIORITY_NORMAL, .deadline_us = 900};
    double start;
    int before = 0;

    fair_shares_init(&shares, 2);
    fair_queue_init(&queue);
    list_init(&quiet.node);
    for (int i = 0; i < 1000; i++) {
        flood[i] = (struct fair_entry){.tenant = 0, .priority = PRIORITY_NORMAL, .deadline_us = i};
        list_init(&flood[i].node);
        fair_add(&queue, &shares, &flood[i]);
    }
    fair_add(&queue, &shares, &quiet);
    CHECK_INT(fair_ahead(&queue, &shares, &quiet, &(size_t){0}), 0);
    CHECK_INT(fair_ahead(&queue, &shares, &flood[10], &(size_t){0}), 11);
    for (;; before++) {
        struct fair_entry *e = fair_next(&queue, &shares, PRIORITY_NORMAL, is_any, NULL, &start);

        fair_remove(&queue, &shares, e);
        fair_charge(&shares, e->priority, e->tenant, 500);
        if (e == &quiet)
            break;
    }
    CHECK(before <= 1);
    while (queue.n > 0)
        fair_remove(&queue, &shares, fair_next(&queue, &shares, PRIORITY_NORMAL, is_any, NULL, &start));
    fair_queue_fini(&queue);
    fair_shares_fini(&shares);
}

TEST(shares_go_on_among_others)
{
    struct fair_shares a, b;
    const struct fair_class_shares *from = &a.classes[PRIORITY_BULK], *to = &b.classes[PRIORITY_BULK];

    fair_shares_init(&a, 2);
    fair_shares_init(&b, 3);
    for (int i = 0; i < 4; i++)
        fair_charge(&a, PRIORITY_BULK, 1, 100);
    fair_correct(&a, PRIORITY_BULK, 1, 100, 270);
    for (int i = 0; i < 9; i++)
        fair_charge(&b, PRIORITY_BULK, 0, 500); /* where they go has a time of its own */
    fair_inherit(&b, &a);
    CHECK(to->of[1].finish - to->now == from->of[1].finish - from->now);
    CHECK(to->cost == 500);          /* the average of the larger number */
    CHECK(to->of[0].finish == 4500); /* what it has had here counts */
    CHECK(to->of[2].finish == 0 && b.classes[PRIORITY_HIGH].of == NULL);
    fair_shares_fini(&a);
    fair_shares_fini(&b);
}

/* A third one is served ten times as much in a better class. */
TEST(what_goes_on_in_a_better_class_does_not_make_tokens_into_turns)
{
    struct share_test t;

    begin(&t);
    t.cost[0] = 100;
    t.cost[1] = 1000;
    fair_add(&t.queue, &t.shares, &t.entries[0]);
    fair_add(&t.queue, &t.shares, &t.entries[1]);
    for (int i = 0; i < 5000; i++) {
        fair_charge(&t.shares, PRIORITY_HIGH, 2, 10000);
        serve_one(&t);
        CHECK(t.served[0] - t.served[1] <= 1100 && t.served[1] - t.served[0] <= 1100);
    }
    end(&t);
}
