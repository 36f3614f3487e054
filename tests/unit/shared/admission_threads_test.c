/* SPDX-License-Identifier: MIT */
/* shared/admission under real threads: seats enter, leave and cancel at random; every seat's memory is freed
 * as soon as it has left; meanwhile admissions may succeed each other. Meant to be run under the thread and
 * the address sanitizer as well. */
#include "shared/admission.h"

#include <sched.h>

#include "admission_kit.h"
#include "base/mem.h"
#include "tap.h"

#define WORKERS_N 4
#define SEATS_N 12   /* per worker */
#define PHASES_N 12  /* each ends with everything given back */
#define STEPS_N 1500 /* per phase and worker */
#define ACCOUNTS_N 3

static const struct config shape = {
    .opt = {.line_max = 16},
    ACCOUNTS({.name = "wide", SLOTS({NAME("*"), 3})}, {.name = "side", SLOTS({NAME("*"), 2})},
             {.name = "solo", SLOTS({NAME("*"), 1})}),
    ENDPOINTS({.account = 0}, {.account = 0}, {.account = 1}, {.account = 2}),
    MODELS({.name = NAME("a"), TIERS({TARGETS({.endpoint = 0}, {.endpoint = 1})})},
           {.name = NAME("b"), TIERS({TARGETS({.endpoint = 1})}, {TARGETS({.endpoint = 2})})},
           {.name = NAME("c"), TIERS({TARGETS({.endpoint = 3})})}), /* another group */
};

#define ERAS_MAX 8

/* One admission and how many seats are of it. */
struct era {
    struct admission *admission;
    int guests_n;
};

struct hall {
    struct config cfg;
    pthread_mutex_t lock;
    struct era eras[ERAS_MAX]; /* under lock; admission NULL: free */
    struct era *now;           /* under lock */
    atomic_int at_work;        /* workers that are not done */
    atomic_long changes_n;     /* of the admission */
    long changes_wanted_n;     /* workers go on until there were so many */
    atomic_int in_use[ACCOUNTS_N];
    atomic_int over_n; /* how often a limit was passed */
};

enum place { WAITING, SEATED };

struct guest {
    struct seat seat;
    struct worker *worker;
    struct era *era;
    enum place place;
};

struct worker {
    struct hall *hall;
    struct mailbox box;
    pthread_mutex_t lock;
    pthread_cond_t bell;
    bool rung; /* under lock */
    struct rng dice;
    struct guest *guests[SEATS_N]; /* NULL: free */
    int64_t now_us;
    long taken_n, granted_n, cancelled_n, refused_n, wrong_n;
};

static void ring(void *ud)
{
    struct worker *w = ud;

    pthread_mutex_lock(&w->lock);
    w->rung = true;
    pthread_cond_signal(&w->bell);
    pthread_mutex_unlock(&w->lock);
}

static void sleep_until_rung(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->rung)
        pthread_cond_wait(&w->bell, &w->lock);
    w->rung = false;
    pthread_mutex_unlock(&w->lock);
}

static void sit_down(struct guest *g)
{
    struct hall *h = g->worker->hall;
    int account = shape.endpoints[g->seat.ticket.endpoint].account;
    int limit = shape.accounts[account].slots[0].n;

    g->place = SEATED;
    g->worker->wrong_n += g->seat.ticket.state != TICKET_TAKEN;
    if (atomic_fetch_add(&h->in_use[account], 1) >= limit)
        atomic_fetch_add(&h->over_n, 1);
}

static void on_grant(struct seat *s)
{
    struct guest *g = CONTAINER_OF(s, struct guest, seat);

    g->worker->wrong_n += g->place != WAITING;
    g->worker->granted_n++;
    sit_down(g);
}

static struct era *take_era(struct hall *h)
{
    pthread_mutex_lock(&h->lock);
    struct era *e = h->now;
    e->guests_n++;
    pthread_mutex_unlock(&h->lock);
    return e;
}

static void leave_era(struct hall *h, struct era *e)
{
    pthread_mutex_lock(&h->lock);
    e->guests_n--;
    pthread_mutex_unlock(&h->lock);
}

/* Frees one era that nobody is of any more; returns a free place, or NULL. */
static struct era *free_era(struct hall *h)
{
    struct era *place = NULL, *over = NULL;

    pthread_mutex_lock(&h->lock);
    for (int i = 0; i < ERAS_MAX; i++) {
        struct era *e = &h->eras[i];
        if (e->admission && e != h->now && e->guests_n == 0)
            over = e;
        else if (!e->admission)
            place = e;
    }
    pthread_mutex_unlock(&h->lock);
    if (over)
        admission_free(&over->admission);
    return over ? over : place;
}

/* The control thread: one admission after the other, for as long as there are workers. */
static void reload(struct hall *h)
{
    while (atomic_load(&h->at_work) > 0) {
        struct era *e = free_era(h);
        if (e) {
            struct admission *next = admission_succeed(h->now->admission, &h->cfg);
            pthread_mutex_lock(&h->lock);
            e->admission = next;
            h->now = e;
            pthread_mutex_unlock(&h->lock);
            atomic_fetch_add(&h->changes_n, 1);
        }
        sched_yield();
    }
}

static void go(struct worker *w, struct guest **slot)
{
    struct guest *g = *slot;

    if (g->place == SEATED)
        atomic_fetch_sub(&w->hall->in_use[shape.endpoints[g->seat.ticket.endpoint].account], 1);
    else
        w->cancelled_n++;
    admission_leave(&g->seat, w->now_us, &w->dice);
    leave_era(w->hall, g->era);
    memset(g, 0xa5, sizeof(*g)); /* a late grant must not find it */
    mem_free(g);
    *slot = NULL;
}

static void come(struct worker *w, struct guest **slot)
{
    struct guest *g = MEM_NEW(struct guest);
    struct ticket *t = &g->seat.ticket;

    g->era = take_era(w->hall);
    seat_init(&g->seat, g->era->admission, &w->box, on_grant);
    g->worker = w;
    t->model = (int)rng_below(&w->dice, shape.models_n);
    t->priority = (enum priority)rng_below(&w->dice, PRIORITY_N);
    t->arrived_us = w->now_us++;
    t->tried = rng_below(&w->dice, 4) == 0 ? rng_below(&w->dice, 4) : 0;
    t->upstream = shape.models[t->model].name;
    *slot = g;
    switch (admission_enter(&g->seat, w->now_us, &w->dice)) {
    case LINE_TAKEN:
        w->taken_n++;
        sit_down(g);
        return;
    case LINE_QUEUED:
        g->place = WAITING; /* the grant may already be in our box, but only we deliver it */
        return;
    default:
        w->refused_n++;
        g->place = WAITING;
        go(w, slot);
    }
}

static void wander(struct worker *w)
{
    for (int i = 0; i < STEPS_N; i++) {
        struct guest **slot = &w->guests[rng_below(&w->dice, SEATS_N)];
        if (!*slot)
            come(w, slot);
        else if ((*slot)->place == SEATED || rng_below(&w->dice, 4) == 0)
            go(w, slot);
        if (rng_below(&w->dice, 3) == 0)
            mailbox_deliver(&w->box);
    }
}

/* Gives back what was granted and waits, without cancelling, until all who wait have been granted: it would
 * sleep for ever if a grant or a slot were lost. */
static void settle(struct worker *w)
{
    for (;;) {
        int waiting = 0;
        for (int i = 0; i < SEATS_N; i++) {
            if (w->guests[i] && w->guests[i]->place == SEATED)
                go(w, &w->guests[i]);
            waiting += w->guests[i] != NULL;
        }
        if (waiting == 0)
            return;
        if (mailbox_deliver(&w->box) == 0)
            sleep_until_rung(w);
    }
}

static void *work(void *ud)
{
    struct worker *w = ud;

    for (int i = 0; i < PHASES_N || atomic_load(&w->hall->changes_n) < w->hall->changes_wanted_n; i++) {
        wander(w);
        settle(w);
    }
    atomic_fetch_sub(&w->hall->at_work, 1);
    return NULL;
}

static void run(uint64_t seed, bool with_reloads)
{
    struct hall h = {.cfg = shape, .changes_wanted_n = with_reloads ? 20 : 0};
    struct worker workers[WORKERS_N] = {0};
    pthread_t threads[WORKERS_N];
    long granted_n = 0, cancelled_n = 0, taken_n = 0, refused_n = 0;

    pthread_mutex_init(&h.lock, NULL);
    h.now = &h.eras[0];
    h.now->admission = admission_new(&h.cfg);
    atomic_store(&h.at_work, WORKERS_N);
    for (int i = 0; i < WORKERS_N; i++) {
        struct worker *w = &workers[i];
        w->hall = &h;
        mailbox_init(&w->box, ring, w);
        pthread_mutex_init(&w->lock, NULL);
        pthread_cond_init(&w->bell, NULL);
        rng_seed(&w->dice, seed * WORKERS_N + (uint64_t)i);
    }
    for (int i = 0; i < WORKERS_N; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    if (with_reloads)
        reload(&h);
    for (int i = 0; i < WORKERS_N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < WORKERS_N; i++) {
        struct worker *w = &workers[i];
        CHECK_INT(w->wrong_n, 0);
        CHECK(mailbox_is_empty(&w->box));
        mailbox_fini(&w->box);
        granted_n += w->granted_n;
        cancelled_n += w->cancelled_n;
        taken_n += w->taken_n;
        refused_n += w->refused_n;
    }
    printf("# %ld taken, %ld granted, %ld cancelled or refused, %ld of them refused\n", taken_n, granted_n,
           cancelled_n, refused_n);
    CHECK(granted_n > 1000 && cancelled_n - refused_n > 1000);
    CHECK_INT(atomic_load(&h.over_n), 0);
    for (int i = 0; i < ACCOUNTS_N; i++)
        CHECK_INT(atomic_load(&h.in_use[i]), 0);
    CHECK_INT(admission_used(h.now->admission), 0);
    CHECK(atomic_load(&h.changes_n) >= h.changes_wanted_n);
    for (int i = 0; i < ERAS_MAX; i++)
        admission_free(&h.eras[i].admission);
    CHECK_INT(atomic_load(&config_refs_n), 0);
}

TEST(four_workers_seed_1)
{
    run(1, false);
}

TEST(four_workers_seed_2)
{
    run(2, false);
}

TEST(four_workers_seed_3)
{
    run(3, false);
}

TEST(four_workers_while_admissions_succeed_each_other)
{
    for (uint64_t seed = 4; seed < 7; seed++)
        run(seed, true);
}
