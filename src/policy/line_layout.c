/* SPDX-License-Identifier: MIT */
/* Laying lines out: making them for one configuration or for several, and moving everybody from old lines to
 * new ones.
 *
 * A reload changes which models share accounts and how many slots these have, while tickets of the old
 * configuration wait and hold slots. So all lines are made anew for all configurations in use together, and
 * every ticket moves: who waits keeps class and arrival, who holds a slot holds one of the same account and
 * upstream model, under the newest limit. When a limit was lowered below what is in use, nobody gets a slot
 * until enough have been given back; when it was raised, line_offer gives the new slots away at once. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "policy/line_private.h"

_Static_assert(LINE_TARGETS_MAX <= 64, "a set of targets is 64 bits");
_Static_assert(BALANCE_PEERS_MAX >= LINE_TARGETS_MAX, "one tier may hold all targets");

static void target_init(struct line *l, const struct line_part *p, const struct config_target *ct,
                        struct line_target *t)
{
    int account = p->cfg->endpoints[ct->endpoint].account;
    const struct config_account *rule = NULL;

    ASSERT(account < (int)p->cfg->accounts_n);
    if (account >= 0)
        rule = p->accounts != NULL ? p->accounts[account] : &p->cfg->accounts[account];
    t->endpoint = ct->endpoint;
    t->account = slots_of_account(&l->slots, rule);
    t->fixed = ct->model.p != NULL;
    t->counter = t->fixed ? slots_find(&l->slots, t->account, ct->model) : SLOTS_UNLIMITED;
}

static void model_init(struct line *l, struct line_model *m, const struct line_part *p, int model)
{
    const struct config_model *cm = &p->cfg->models[model];
    size_t n = 0;

    ASSERT(model >= 0 && (size_t)model < p->cfg->models_n);
    for (size_t i = 0; i < cm->tiers_n; i++)
        n += cm->tiers[i].targets_n;
    ASSERT(n > 0 && n <= LINE_TARGETS_MAX);
    m->edition = p->edition;
    m->model = model;
    m->cfg = p->cfg;
    m->tiers_n = cm->tiers_n;
    m->targets = mem_zalloc(n * sizeof(*m->targets));
    m->peers = mem_zalloc(n * sizeof(*m->peers));
    m->tier_end = mem_zalloc(cm->tiers_n * sizeof(*m->tier_end));
    for (int k = 0; k < PRIORITY_N; k++)
        list_init(&m->waiting[k]);
    for (size_t i = 0; i < cm->tiers_n; i++) {
        for (size_t k = 0; k < cm->tiers[i].targets_n; k++) {
            const struct config_target *ct = &cm->tiers[i].targets[k];
            struct line_target *t = &m->targets[m->targets_n];
            target_init(l, p, ct, t);
            t->tier = (int)i;
            m->peers[m->targets_n++].weight = ct->weight > 0 ? ct->weight : 1;
        }
        m->tier_end[i] = m->targets_n;
    }
}

struct line *line_new_of(const struct line_part *parts, size_t parts_n)
{
    struct line *l = MEM_NEW(struct line);
    size_t n = 0;

    for (size_t i = 0; i < parts_n; i++)
        n += parts[i].models_n;
    l->models = mem_zalloc(n * sizeof(*l->models));
    list_init(&l->held);
    l->wake_us = CLOCK_NEVER_US;
    slots_init(&l->slots);
    for (size_t i = 0; i < parts_n; i++) {
        const struct line_part *p = &parts[i];
        ASSERT(i == 0 || p->edition > parts[i - 1].edition);
        for (size_t k = 0; k < p->models_n; k++) {
            ASSERT(k == 0 || p->models[k] > p->models[k - 1]);
            model_init(l, &l->models[l->models_n++], p, p->models[k]);
        }
    }
    return l;
}

struct line *line_new(const struct config *cfg, const int *models, size_t models_n)
{
    struct line_part p = {.cfg = cfg, .models = models, .models_n = models_n};

    return line_new_of(&p, 1);
}

void line_free(struct line **lp)
{
    struct line *l = *lp;

    if (!l)
        return;
    ASSERT(l->waiting_n == 0 && l->held_n == 0);
    for (size_t i = 0; i < l->models_n; i++) {
        mem_free(l->models[i].targets);
        mem_free(l->models[i].peers);
        mem_free(l->models[i].tier_end);
    }
    slots_fini(&l->slots);
    mem_free(l->models);
    mem_free(l);
    *lp = NULL;
}

/* The line was laid out for this moment: nobody waits in it yet. */
static void move_waiting(struct line_model *from, struct line *to)
{
    struct line_model *m = line_model_of(to, from->edition, from->model);

    for (int p = 0; p < PRIORITY_N; p++)
        list_move(&m->waiting[p], &from->waiting[p]);
    m->waiting_n = from->waiting_n;
    to->waiting_n += from->waiting_n;
    from->waiting_n = 0;
}

static void move_held(struct line *from, struct ticket *t, struct line *to)
{
    struct line_model *m = line_model_of(to, t->edition, t->model);
    int counter;

    list_remove(&t->held);
    from->held_n--;
    from->unlimited_n -= t->counter == SLOTS_UNLIMITED;
    counter = line_counter_of(to, &m->targets[t->target], t);
    slots_carry(&from->slots, t->counter, &to->slots, counter);
    t->counter = counter;
    __atomic_store_n(&t->learns, slots_learns(&to->slots, counter), __ATOMIC_RELAXED);
    list_push_back(&to->held, &t->held);
    to->held_n++;
    to->unlimited_n += t->counter == SLOTS_UNLIMITED;
}

/* What was learned of the accounts of a model that is in both. */
static void move_learned(const struct line *from, const struct line_model *m, struct line *to)
{
    const struct line_model *n = line_model_find(to, m->edition, m->model);

    for (size_t i = 0; n != NULL && i < m->targets_n; i++)
        slots_inherit(&to->slots, n->targets[i].account, &from->slots, m->targets[i].account);
}

void line_move(struct line *from, struct line *(*line_of)(void *ud, int edition, int model), void *ud)
{
    for (size_t i = 0; i < from->models_n; i++) {
        struct line_model *m = &from->models[i];
        struct line *to = line_of(ud, m->edition, m->model);

        if (to == NULL) { /* its configuration goes out of use */
            ASSERT(m->waiting_n == 0);
            continue;
        }
        to->seen_us = from->seen_us > to->seen_us ? from->seen_us : to->seen_us;
        move_learned(from, m, to);
        if (m->waiting_n > 0) {
            from->waiting_n -= m->waiting_n;
            move_waiting(m, to);
        }
    }
    while (!list_empty(&from->held)) {
        struct ticket *t = CONTAINER_OF(from->held.next, struct ticket, held);

        move_held(from, t, line_of(ud, t->edition, t->model));
    }
}
