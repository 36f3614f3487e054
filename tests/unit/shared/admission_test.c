/* SPDX-License-Identifier: MIT */
/* shared/admission on one thread: its promises one by one, then every order in which a few workers' steps can
 * fall. */
#include "shared/admission.h"

#include "admission_kit.h"
#include "base/mem.h"
#include "tap.h"

enum { NARROW, TWIN, LONER };

/* NARROW and TWIN share one slot; LONER is a group of its own. */
static const struct config_slots one_slot[] = {{NAME("*"), 1}}, two_slots[] = {{NAME("*"), 2}};

static struct config example(const struct config_slots *slots)
{
    static struct config_account accounts[2];
    static const struct config_endpoint endpoints[] = {{.account = 0}, {.account = 1}};
    static const struct config_target targets[] = {{.endpoint = 0}, {.endpoint = 1}};
    static const struct config_tier near_tier = {&targets[0], 1}, far_tier = {&targets[1], 1};
    static const struct config_model models[] = {
        [NARROW] = {.tiers = &near_tier, .tiers_n = 1},
        [TWIN] = {.tiers = &near_tier, .tiers_n = 1},
        [LONER] = {.tiers = &far_tier, .tiers_n = 1},
    };

    accounts[0] = accounts[1] = (struct config_account){.slots = slots, .slots_n = 1};
    return (struct config){
        .opt = {.line_max = 10},
        .accounts = accounts,
        .accounts_n = 2,
        .endpoints = endpoints,
        .endpoints_n = 2,
        .models = models,
        .models_n = 3,
    };
}

struct chair {
    struct seat seat;
    int grants_n;
    struct chair *leaves; /* when this one is granted */
};

static void leave(struct chair *c)
{
    struct rng dice;

    rng_seed(&dice, 1);
    admission_leave(&c->seat, 5, &dice);
    CHECK_INT(c->seat.ticket.state, TICKET_FREE);
}

static void on_grant(struct seat *s)
{
    struct chair *c = CONTAINER_OF(s, struct chair, seat);

    CHECK_INT(s->ticket.state, TICKET_TAKEN);
    c->grants_n++;
    if (c->leaves)
        leave(c->leaves);
}

static enum line_verdict enter(struct chair *c, int model, int64_t arrived_us)
{
    struct rng dice;

    rng_seed(&dice, 1);
    c->seat.ticket.model = model;
    c->seat.ticket.arrived_us = arrived_us;
    c->seat.ticket.upstream = SLICE("m");
    return admission_enter(&c->seat, 5, &dice);
}

struct room {
    struct config cfg;
    struct admission *admission;
    struct mailbox box;
    struct chair chairs[4];
};

static void room_begin(struct room *r, const struct config_slots *slots)
{
    *r = (struct room){.cfg = example(slots)};
    r->admission = admission_new(&r->cfg);
    mailbox_init(&r->box, NULL, NULL);
    for (int i = 0; i < 4; i++)
        seat_init(&r->chairs[i].seat, r->admission, &r->box, on_grant);
}

static void room_end(struct room *r)
{
    CHECK_INT(admission_used(r->admission), 0);
    mailbox_fini(&r->box);
    admission_free(&r->admission);
    CHECK(r->admission == NULL);
    admission_free(&r->admission);
}

TEST(a_grant_comes_by_mailbox_and_is_taken_on_arrival)
{
    struct room r;

    room_begin(&r, one_slot);
    struct chair *a = &r.chairs[0], *b = &r.chairs[1];
    CHECK_INT(enter(a, NARROW, 1), LINE_TAKEN);
    CHECK_INT(enter(b, TWIN, 2), LINE_QUEUED);
    CHECK_INT(admission_depth(r.admission, TWIN), 1);
    CHECK_INT(admission_depth(r.admission, NARROW), 0);
    CHECK_INT(admission_used(r.admission), 2);
    CHECK_INT(admission_position(&b->seat, 0, &(int64_t){0}), 1);
    CHECK_INT(admission_position(&a->seat, 0, &(int64_t){0}), 0);
    leave(a);
    CHECK_INT(b->seat.ticket.state, TICKET_GRANTED);
    CHECK_INT(admission_used(r.admission), 1);
    CHECK_INT(admission_position(&b->seat, 0, &(int64_t){0}), 0);
    CHECK_INT(b->grants_n, 0);
    CHECK_INT(mailbox_deliver(&r.box), 1);
    CHECK_INT(b->grants_n, 1);
    leave(b);
    leave(b); /* a second time does nothing */
    room_end(&r);
}

TEST(a_seat_that_never_asked_can_leave)
{
    struct room r;

    room_begin(&r, one_slot);
    leave(&r.chairs[0]);
    CHECK_INT(admission_position(&r.chairs[0].seat, 0, &(int64_t){0}), 0);
    room_end(&r);
}

TEST(groups_do_not_wait_for_each_other)
{
    struct room r;

    room_begin(&r, one_slot);
    CHECK_INT(enter(&r.chairs[0], NARROW, 1), LINE_TAKEN);
    CHECK_INT(enter(&r.chairs[1], LONER, 2), LINE_TAKEN);
    CHECK_INT(enter(&r.chairs[2], LONER, 3), LINE_QUEUED);
    leave(&r.chairs[0]);
    CHECK_INT(r.chairs[2].seat.ticket.state, TICKET_WAITING);
    leave(&r.chairs[2]);
    leave(&r.chairs[1]);
    room_end(&r);
}

TEST(the_configuration_is_held_as_long_as_it_is_used)
{
    struct room r;

    CHECK_INT(atomic_load(&config_refs_n), 0);
    room_begin(&r, one_slot);
    CHECK_INT(atomic_load(&config_refs_n), 1);
    room_end(&r);
    CHECK_INT(atomic_load(&config_refs_n), 0);
}

TEST(a_seat_can_be_freed_while_its_grant_is_in_the_box)
{
    struct room r;
    struct chair *gone = MEM_NEW(struct chair);

    room_begin(&r, one_slot);
    seat_init(&gone->seat, r.admission, &r.box, on_grant);
    CHECK_INT(enter(&r.chairs[0], NARROW, 1), LINE_TAKEN);
    CHECK_INT(enter(gone, NARROW, 2), LINE_QUEUED);
    CHECK_INT(enter(&r.chairs[1], NARROW, 3), LINE_QUEUED);
    leave(&r.chairs[0]);
    leave(gone);
    memset(gone, 0xa5, sizeof(*gone));
    mem_free(gone);
    CHECK_INT(mailbox_deliver(&r.box), 1);
    CHECK_INT(r.chairs[1].grants_n, 1);
    leave(&r.chairs[1]);
    room_end(&r);
}

TEST(a_grant_can_withdraw_the_next_one_of_the_same_delivery)
{
    struct room r;

    room_begin(&r, two_slots);
    for (int i = 0; i < 4; i++)
        CHECK_INT(enter(&r.chairs[i], NARROW, i), i < 2 ? LINE_TAKEN : LINE_QUEUED);
    leave(&r.chairs[0]);
    leave(&r.chairs[1]);
    r.chairs[2].leaves = &r.chairs[3];
    CHECK_INT(mailbox_deliver(&r.box), 1);
    CHECK_INT(r.chairs[2].grants_n, 1);
    CHECK_INT(r.chairs[3].grants_n, 0);
    leave(&r.chairs[2]);
    room_end(&r);
}

TEST(a_grant_can_give_itself_back_at_once)
{
    struct room r;

    room_begin(&r, one_slot);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(enter(&r.chairs[i], NARROW, i), i < 1 ? LINE_TAKEN : LINE_QUEUED);
        r.chairs[i].leaves = &r.chairs[i];
    }
    leave(&r.chairs[0]);
    for (int i = 1; i < 4; i++) {
        CHECK_INT(mailbox_deliver(&r.box), 1);
        CHECK_INT(r.chairs[i].grants_n, 1);
    }
    room_end(&r);
}

/* -- every order of the atomic steps --------------------------------------------------------------------- */

/* A depth-first walk through all runs: run after run makes the same choices but for the last that has another
 * way. */
#define CHOICES_MAX 64

struct walk {
    int choice[CHOICES_MAX], width[CHOICES_MAX];
    int depth, known; /* of the run under way; choices that it takes over from the run before */
};

static int choose(struct walk *w, int width)
{
    ASSERT(w->depth < CHOICES_MAX);
    if (w->depth >= w->known)
        w->choice[w->depth] = 0;
    w->width[w->depth] = width;
    return w->choice[w->depth++];
}

static bool walk_next(struct walk *w)
{
    while (w->depth > 0 && w->choice[w->depth - 1] + 1 == w->width[w->depth - 1])
        w->depth--;
    if (w->depth == 0)
        return false;
    w->choice[w->depth - 1]++;
    w->known = w->depth;
    w->depth = 0;
    return true;
}

#define CHAIRS_N 3

/* Chairs on workers. A delivery is two steps, detaching the messages and delivering each; between them
 * anybody may do anything: a hook message, put before the others, lets them. */
struct house {
    struct walk walk;
    struct config cfg;
    struct admission *admission;
    struct worker {
        struct house *house;
        struct mailbox box;
        struct message hook;
        bool delivering;
    } workers[CHAIRS_N];
    struct chair chairs[CHAIRS_N];
    int worker_of[CHAIRS_N];
    int rounds_left[CHAIRS_N];
    int slots_n;
    bool sound;
    long runs_n, grants_n, withdrawn_n, nested_n;
};

static void check_house(struct house *h)
{
    int held = 0, waiting = 0;

    for (int i = 0; i < CHAIRS_N; i++) {
        enum ticket_state s = h->chairs[i].seat.ticket.state;
        held += s == TICKET_GRANTED || s == TICKET_TAKEN;
        waiting += s == TICKET_WAITING;
        /* a message is on its way exactly while its ticket is granted */
        h->sound = h->sound && list_empty(&h->chairs[i].seat.message.node) == (s != TICKET_GRANTED);
    }
    h->sound = h->sound && held <= h->slots_n;                   /* not doubled */
    h->sound = h->sound && (waiting == 0 || held == h->slots_n); /* not lost */
    h->sound = h->sound && (int)admission_used(h->admission) == held + waiting;
}

static void step_chair(struct house *h, int i)
{
    struct chair *c = &h->chairs[i];

    if (c->seat.ticket.state == TICKET_FREE) {
        h->rounds_left[i]--;
        enter(c, i == 0 ? TWIN : NARROW, i);
        return;
    }
    h->withdrawn_n += c->seat.ticket.state == TICKET_GRANTED;
    leave(c);
}

static void step_deliver(struct house *h, struct worker *w)
{
    list_push_front(&w->box.queue, &w->hook.node);
    w->delivering = true;
    mailbox_deliver(&w->box);
    w->delivering = false;
    (void)h;
}

/* One step of anybody. False if there is none, or if the walk chose to go on with what was interrupted. */
static bool step(struct house *h, bool nested)
{
    int options[2 * CHAIRS_N + 1], n = 0;

    if (nested)
        options[n++] = -1;
    for (int i = 0; i < CHAIRS_N; i++) {
        struct worker *w = &h->workers[i];
        if (h->chairs[i].seat.ticket.state != TICKET_FREE || h->rounds_left[i] > 0)
            options[n++] = i;
        if (!w->delivering && !list_empty(&w->box.queue))
            options[n++] = CHAIRS_N + i;
    }
    int chosen = n > 0 ? options[choose(&h->walk, n)] : -1;
    if (chosen < 0)
        return false;
    h->nested_n += nested;
    if (chosen < CHAIRS_N)
        step_chair(h, chosen);
    else
        step_deliver(h, &h->workers[chosen - CHAIRS_N]);
    check_house(h);
    return true;
}

static void on_hook(struct message *m)
{
    struct worker *w = CONTAINER_OF(m, struct worker, hook);

    while (step(w->house, true))
        continue;
}

/* Runs every order; worker_of says which chairs share a worker, rounds how often each enters. */
static void run_all(const struct config_slots *slots, const int *worker_of, const int *rounds)
{
    struct house h = {.cfg = example(slots), .slots_n = slots[0].n, .sound = true};

    h.admission = admission_new(&h.cfg);
    for (int i = 0; i < CHAIRS_N; i++) {
        h.workers[i].house = &h;
        mailbox_init(&h.workers[i].box, NULL, NULL);
        message_init(&h.workers[i].hook, on_hook);
    }
    for (int i = 0; i < CHAIRS_N; i++)
        seat_init(&h.chairs[i].seat, h.admission, &h.workers[worker_of[i]].box, on_grant);
    do {
        memcpy(h.rounds_left, rounds, sizeof(h.rounds_left));
        while (h.sound && step(&h, false))
            continue;
        h.runs_n++;
        for (int i = 0; i < CHAIRS_N; i++) {
            h.sound = h.sound && mailbox_is_empty(&h.workers[i].box);
            h.grants_n += h.chairs[i].grants_n;
            h.chairs[i].grants_n = 0;
        }
        h.sound = h.sound && admission_used(h.admission) == 0;
    } while (h.sound && walk_next(&h.walk));
    if (!CHECK(h.sound)) {
        for (int i = 0; i < h.walk.depth; i++)
            printf("# choice %d of %d\n", h.walk.choice[i], h.walk.width[i]);
        return;
    }
    printf("# %ld runs, %ld grants, %ld withdrawn, %ld steps inside a delivery\n", h.runs_n, h.grants_n,
           h.withdrawn_n, h.nested_n);
    CHECK(h.runs_n > 100 && h.grants_n > 100 && h.withdrawn_n > 10 && h.nested_n > 100);
    for (int i = 0; i < CHAIRS_N; i++)
        mailbox_fini(&h.workers[i].box);
    admission_free(&h.admission);
}

TEST(one_slot_three_workers_in_every_order)
{
    run_all(one_slot, (const int[]){0, 1, 2}, (const int[]){1, 1, 1});
}

TEST(one_slot_and_tickets_that_come_back_in_every_order)
{
    run_all(one_slot, (const int[]){0, 1, 2}, (const int[]){2, 1, 1});
}

TEST(one_slot_two_seats_on_one_worker_in_every_order)
{
    run_all(one_slot, (const int[]){0, 0, 1}, (const int[]){1, 2, 1});
}

TEST(two_slots_all_seats_on_one_worker_in_every_order)
{
    run_all(two_slots, (const int[]){0, 0, 0}, (const int[]){1, 2, 2});
}
