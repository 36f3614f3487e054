/* SPDX-License-Identifier: MIT */
/* Admission across workers: lock, ask policy, post the grants, unlock. The locks and the lines are the
 * hall's, which admissions that succeed each other share; a reload moves tickets between lines under all
 * locks, which is a step like any other here: it leaves every ticket in its state, or moves WAITING to
 * GRANTED.
 *
 * States of a seat's ticket, and who moves them (always under the lock of the ticket's group):
 *
 *     FREE --enter--> TAKEN                       own worker
 *     FREE --enter--> WAITING                     own worker
 *     WAITING --another seat leaves--> GRANTED    any worker; its message is in the owner's box from then on
 *     GRANTED --message is delivered--> TAKEN     own worker
 *     any --leave--> FREE                         own worker; takes the message out of the box if GRANTED
 *
 * Invariant: outside the lock a message is in the box exactly while its ticket is GRANTED, except between the
 * moment when the owner unlinks it for delivery and on_message, both on the owner's thread, which therefore
 * cannot leave in between. That is why no generation has to be compared when a grant arrives. */
#include "shared/admission.h"

#include "base/clock.h"
#include "base/mem.h"
#include "shared/hall.h"

struct admission {
    struct hall *hall; /* shared by those that succeed each other */
    struct hall_side *side;
    int *sharers_n; /* how many share it. Thread: control's */
};

/* Under the group's lock: a seat whose grant has been posted may not look WAITING to its owner, nor the other
 * way. */
static void post_grants(struct list *grants)
{
    struct list *node;

    while ((node = list_pop_front(grants))) {
        struct ticket *t = CONTAINER_OF(node, struct ticket, node);
        struct seat *s = CONTAINER_OF(t, struct seat, ticket);
        mailbox_send(s->box, &s->message);
    }
}

static struct admission *join(struct hall *hall, int *sharers_n, struct config *cfg)
{
    struct admission *a = MEM_NEW(struct admission);

    a->hall = hall;
    a->sharers_n = sharers_n;
    ++*sharers_n;
    a->side = hall_enter(hall, cfg, post_grants);
    return a;
}

struct admission *admission_new(struct config *cfg)
{
    return join(hall_new(), MEM_NEW(int), cfg);
}

struct admission *admission_succeed(struct admission *before, struct config *cfg)
{
    return join(before->hall, before->sharers_n, cfg);
}

void admission_free(struct admission **ap)
{
    struct admission *a = *ap;

    if (!a)
        return;
    hall_leave(a->hall, &a->side, post_grants);
    if (--*a->sharers_n == 0) {
        hall_free(&a->hall);
        mem_free(a->sharers_n);
    }
    mem_free(a);
    *ap = NULL;
}

/* Locks the group of a model and returns its line. */
static struct line *lock_line(const struct admission *a, int model, int *group)
{
    *group = hall_lock(a->hall, a->side, model);
    return a->hall->lines[*group];
}

/* Thread: the seat's worker. */
static void on_message(struct message *m)
{
    struct seat *s = CONTAINER_OF(m, struct seat, message);
    int group;
    struct line *line = lock_line(s->admission, s->ticket.model, &group);

    line_take(line, &s->ticket);
    hall_unlock(s->admission->hall, group);
    s->on_grant(s);
}

void seat_init(struct seat *s, struct admission *a, struct mailbox *box, void (*on_grant)(struct seat *))
{
    ticket_init(&s->ticket);
    message_init(&s->message, on_message);
    s->box = box;
    s->on_grant = on_grant;
    s->admission = a;
    s->wait = NULL;
    s->wake_us = CLOCK_NEVER_US;
    s->ticket.edition = a->side->edition;
}

static void note_wait(struct seat *s, int64_t now_us)
{
    const struct ticket *t = &s->ticket;

    s->wait->looks = t->looks;
    s->wait->place = t->place;
    s->wait->rest_us = t->rests ? t->rest_until_us - now_us : 0;
}

enum line_verdict admission_enter(struct seat *s, int64_t now_us, struct rng *dice)
{
    int group;
    struct line *line = lock_line(s->admission, s->ticket.model, &group);
    enum line_verdict verdict = line_admit(line, &s->ticket, now_us, dice);

    s->wake_us = line_wake_us(line);
    if (verdict == LINE_QUEUED && s->wait != NULL)
        note_wait(s, now_us);
    hall_unlock(s->admission->hall, group);
    return verdict;
}

/* Posts what a step has granted, and ends it. */
static void end_step(struct seat *s, struct line *line, int group, struct list *grants)
{
    post_grants(grants);
    s->wake_us = line_wake_us(line);
    hall_unlock(s->admission->hall, group);
}

void admission_first(struct seat *s, int64_t now_us, struct rng *dice)
{
    struct list grants;
    int group;
    struct line *line = lock_line(s->admission, s->ticket.model, &group);

    list_init(&grants);
    line_first(line, &s->ticket, now_us, dice, &grants);
    end_step(s, line, group, &grants);
}

void admission_settle(struct seat *s, const struct call_report *r, int64_t now_us, struct rng *dice)
{
    struct list grants;
    int group;
    struct line *line = lock_line(s->admission, s->ticket.model, &group);

    list_init(&grants);
    line_settle(line, &s->ticket, r, now_us, dice, &grants);
    end_step(s, line, group, &grants);
}

void admission_leave(struct seat *s, int64_t now_us, struct rng *dice)
{
    struct list grants;
    int group;

    if (s->ticket.model < 0)
        return; /* it never asked */
    list_init(&grants);
    struct line *line = lock_line(s->admission, s->ticket.model, &group);
    if (s->ticket.state == TICKET_GRANTED) {
        bool withdrawn = mailbox_withdraw(s->box, &s->message);
        ASSERT(withdrawn);
    }
    line_cancel(line, &s->ticket, now_us, dice, &grants);
    end_step(s, line, group, &grants);
}

int64_t admission_ring(struct admission *a, int64_t now_us, struct rng *dice)
{
    return hall_ring(a->hall, now_us, dice, post_grants);
}

bool admission_is_out(const struct seat *s, enum outcome *why)
{
    int group;
    struct line *line = lock_line(s->admission, s->ticket.model, &group);
    bool out = s->ticket.state == TICKET_WAITING && line_is_out(line, &s->ticket, why);

    hall_unlock(s->admission->hall, group);
    return out;
}

int admission_tenant(const struct admission *a, int key)
{
    return key >= 0 ? a->side->tenant_of[key] : 0;
}

size_t admission_position(struct seat *s, int64_t now_us, int64_t *eta_us)
{
    size_t place = 0;
    int group;

    *eta_us = ETA_UNKNOWN;
    if (s->ticket.model < 0)
        return 0;
    struct line *line = lock_line(s->admission, s->ticket.model, &group);
    if (s->ticket.state == TICKET_WAITING)
        place = line_place(line, &s->ticket, now_us);
    if (place > 0)
        *eta_us = s->ticket.eta_us;
    hall_unlock(s->admission->hall, group);
    return place;
}

void admission_tell(struct admission *a, int model, int endpoint, const struct line_told *told,
                    int64_t now_us, struct rng *dice)
{
    struct list grants;
    int group;
    struct line *line = lock_line(a, model, &group);

    list_init(&grants);
    line_hear(line, a->side->edition, model, endpoint, told, now_us, dice, &grants);
    post_grants(&grants);
    hall_unlock(a->hall, group);
}

int64_t admission_reprice(struct admission *a, int64_t wall_us)
{
    return hall_reprice(a->hall, wall_us);
}

void admission_counters(struct admission *a, void (*show)(void *ud, const struct slots_counter *c), void *ud)
{
    hall_counters(a->hall, show, ud);
}

void admission_healths(struct admission *a, void (*show)(void *ud, const struct health *h), void *ud)
{
    hall_healths(a->hall, show, ud);
}

int64_t admission_eta_us(struct admission *a, int model, int64_t now_us)
{
    int group;
    struct line *line = lock_line(a, model, &group);
    int64_t us = line_eta_us(line, a->side->edition, model, now_us);

    hall_unlock(a->hall, group);
    return us;
}

size_t admission_depth(struct admission *a, int model)
{
    int group;
    struct line *line = lock_line(a, model, &group);
    size_t n = line_depth_in(line, a->side->edition, model);

    hall_unlock(a->hall, group);
    return n;
}

size_t admission_used(struct admission *a)
{
    return hall_used(a->hall);
}
