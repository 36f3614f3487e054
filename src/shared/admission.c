/* SPDX-License-Identifier: MIT */
/* Admission across workers: lock, ask policy, post the grants, unlock.
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

#include "base/mem.h"
#include "policy/groups.h"

/* Padded so that two groups' locks never share a cache line. */
#define GROUP_BYTES 128

struct group {
    pthread_mutex_t lock;
    struct line *line; /* under lock */
    char pad[GROUP_BYTES - sizeof(pthread_mutex_t) - sizeof(struct line *)];
};

struct admission {
    struct config *cfg;
    int *group_of; /* by model */
    struct group *groups;
    size_t groups_n;
};

struct admission *admission_new(struct config *cfg)
{
    struct admission *a = MEM_NEW(struct admission);
    int *models = mem_alloc(cfg->models_n * sizeof(*models));

    config_ref(cfg);
    a->cfg = cfg;
    a->group_of = mem_alloc(cfg->models_n * sizeof(*a->group_of));
    a->groups_n = groups_of_models(cfg, a->group_of);
    a->groups = mem_zalloc(a->groups_n * sizeof(*a->groups));
    for (size_t g = 0; g < a->groups_n; g++) {
        size_t n = 0;
        for (size_t i = 0; i < cfg->models_n; i++) {
            if (a->group_of[i] == (int)g)
                models[n++] = (int)i;
        }
        a->groups[g].line = line_new(cfg, models, n);
        ASSERT(pthread_mutex_init(&a->groups[g].lock, NULL) == 0);
    }
    mem_free(models);
    return a;
}

void admission_free(struct admission **ap)
{
    struct admission *a = *ap;

    if (!a)
        return;
    for (size_t g = 0; g < a->groups_n; g++) {
        line_free(&a->groups[g].line);
        ASSERT(pthread_mutex_destroy(&a->groups[g].lock) == 0);
    }
    mem_free(a->groups);
    mem_free(a->group_of);
    config_unref(&a->cfg);
    mem_free(a);
    *ap = NULL;
}

/* Locks the group of a model and returns it. */
static struct group *lock_group(struct admission *a, int model)
{
    ASSERT(model >= 0 && (size_t)model < a->cfg->models_n);
    struct group *g = &a->groups[a->group_of[model]];
    pthread_mutex_lock(&g->lock);
    return g;
}

static void unlock_group(struct group *g)
{
    pthread_mutex_unlock(&g->lock);
}

/* Thread: the seat's worker. */
static void on_message(struct message *m)
{
    struct seat *s = CONTAINER_OF(m, struct seat, message);
    struct group *g = lock_group(s->admission, s->ticket.model);

    line_take(g->line, &s->ticket);
    unlock_group(g);
    s->on_grant(s);
}

void seat_init(struct seat *s, struct admission *a, struct mailbox *box, void (*on_grant)(struct seat *))
{
    ticket_init(&s->ticket);
    message_init(&s->message, on_message);
    s->box = box;
    s->on_grant = on_grant;
    s->admission = a;
}

enum line_verdict admission_enter(struct seat *s, int64_t now_us, struct rng *dice)
{
    struct group *g = lock_group(s->admission, s->ticket.model);
    enum line_verdict verdict = line_admit(g->line, &s->ticket, now_us, dice);

    unlock_group(g);
    return verdict;
}

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

void admission_leave(struct seat *s, int64_t now_us, struct rng *dice)
{
    struct list grants;

    if (s->ticket.model < 0)
        return; /* it never asked */
    list_init(&grants);
    struct group *g = lock_group(s->admission, s->ticket.model);
    if (s->ticket.state == TICKET_GRANTED) {
        bool withdrawn = mailbox_withdraw(s->box, &s->message);
        ASSERT(withdrawn);
    }
    line_cancel(g->line, &s->ticket, now_us, dice, &grants);
    post_grants(&grants);
    unlock_group(g);
}

size_t admission_position(const struct seat *s, int64_t now_us)
{
    size_t place = 0;

    if (s->ticket.model < 0)
        return 0;
    struct group *g = lock_group(s->admission, s->ticket.model);
    if (s->ticket.state == TICKET_WAITING)
        place = line_place(g->line, &s->ticket, now_us);
    unlock_group(g);
    return place;
}

size_t admission_depth(struct admission *a, int model)
{
    struct group *g = lock_group(a, model);
    size_t n = line_depth(g->line, model);

    unlock_group(g);
    return n;
}

size_t admission_used(struct admission *a)
{
    size_t n = 0;

    for (size_t i = 0; i < a->groups_n; i++) {
        pthread_mutex_lock(&a->groups[i].lock);
        n += line_used(a->groups[i].line);
        pthread_mutex_unlock(&a->groups[i].lock);
    }
    for (size_t i = 0; i < a->cfg->models_n; i++)
        n += admission_depth(a, (int)i);
    return n;
}
