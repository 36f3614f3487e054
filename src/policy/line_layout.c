/* SPDX-License-Identifier: MIT */
/* Laying lines out: making them for one configuration or for several, and moving everybody from old lines to
 * new ones.
 *
 * A reload changes which models share accounts and how many slots these have, while tickets of the old
 * configuration wait and hold slots. So all lines are made anew for all configurations in use together, and
 * every ticket moves: who waits keeps class and arrival, who holds a slot holds one of the same account and
 * upstream model, under the newest limit. When a limit was lowered below what is in use, nobody gets a slot
 * until enough have been given back; when it was raised, line_offer gives the new slots away at once. */
#include "base/arena.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "policy/line_private.h"
#include "policy/price.h"

_Static_assert(LINE_TARGETS_MAX <= 64, "a set of targets is 64 bits");
#define KEYS_BLOCK 4096

_Static_assert(BALANCE_PEERS_MAX >= LINE_TARGETS_MAX, "one tier may hold all targets");

/* What is known while a line is made: health records by key. */
struct known {
    struct map healths; /* number of the record + 1 */
    struct arena arena; /* the keys */
};

static const struct config_account *account_rule(const struct line_part *p, int account)
{
    ASSERT(account < (int)p->cfg->accounts_n);
    if (account < 0)
        return NULL;
    return p->accounts != NULL ? p->accounts[account] : &p->cfg->accounts[account];
}

/* Tickets of every model but "*" have its name where a target sets none. */
static void target_init(struct line *l, const struct line_part *p, int model, const struct config_target *ct,
                        struct line_target *t)
{
    struct slice name = ct->model.p != NULL ? ct->model : p->cfg->models[model].name;

    t->endpoint = ct->endpoint;
    t->account = slots_of_account(&l->slots, account_rule(p, p->cfg->endpoints[ct->endpoint].account));
    t->owns = slots_of_account(&l->slots, account_rule(p, p->cfg->endpoints[ct->endpoint].own - 1));
    t->fixed = name.p != NULL && (ct->model.p != NULL || !slice_eq(name, SLICE("*")));
    t->counter = t->fixed ? slots_find(&l->slots, t->account, name) : SLOTS_UNLIMITED;
    t->own = t->fixed ? slots_find(&l->slots, t->owns, name) : SLOTS_UNLIMITED;
}

/* One record for each endpoint, by name and url, and model there, over all configurations: a reload that
 * leaves an endpoint as it is forgets nothing of it. */
static struct slice health_key(const struct line_part *p, const struct config_target *ct, struct arena *a)
{
    const struct config_endpoint *ep = &p->cfg->endpoints[ct->endpoint];

    if (ep->name == NULL)
        return arena_printf(a, "%d %d %.*s", p->edition, ct->endpoint, SLICE_ARG(ct->model));
    return arena_printf(a, "%s\n%.*s\n%.*s", ep->name, SLICE_ARG(ep->url), SLICE_ARG(ct->model));
}

static size_t find_health(struct line *l, const struct line_part *p, const struct config_target *ct,
                          struct known *known)
{
    const struct config_endpoint *ep = &p->cfg->endpoints[ct->endpoint];
    struct slice key = health_key(p, ct, &known->arena);
    uintptr_t found = (uintptr_t)map_find(&known->healths, key);
    struct health *h;

    if (found == 0) {
        found = ++l->healths_n;
        (void)!map_put(&known->healths, key, (void *)found);
    }
    h = &l->healths[found - 1];
    if (h->endpoint != ep) { /* a newer configuration's */
        health_init(h, &l->loads[found - 1], (int)p->cfg->opt.failures_max);
        h->endpoint = ep;
        l->loads[found - 1].distance_us = ep->distance_us;
        l->prices[found - 1] = NULL;
        h->account = account_rule(p, ep->account);
        h->model = ct->model;
    }
    if (l->prices[found - 1] == NULL)
        l->prices[found - 1] = ct->price != NULL ? ct->price : ep->price;
    return found - 1;
}

static void model_init(struct line *l, struct line_model *m, const struct line_part *p, int model,
                       struct known *known)
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
    m->health = mem_zalloc(n * sizeof(*m->health));
    m->tiers = mem_zalloc(cm->tiers_n * sizeof(*m->tiers));
    m->spill_us = cm->spill_after_us;
    if (m->spill_us > 0 && m->spill_us != CLOCK_NEVER_US && cm->tiers_n > 1)
        m->etas = mem_zalloc(cm->tiers_n * sizeof(*m->etas));
    fair_queue_init(&m->queue);
    for (size_t i = 0; i < cm->tiers_n; i++) {
        for (size_t k = 0; k < cm->tiers[i].targets_n; k++) {
            const struct config_target *ct = &cm->tiers[i].targets[k];
            struct line_target *t = &m->targets[m->targets_n];
            target_init(l, p, model, ct, t);
            t->tier = (int)i;
            m->health[m->targets_n] = (uint32_t)find_health(l, p, ct, known);
            m->peers[m->targets_n++].weight = ct->weight > 0 ? ct->weight : 1;
            m->tiers[i].weighted |= ct->weight > 0;
        }
        m->tiers[i].end = m->targets_n;
    }
}

/* No more records than targets are needed. */
static size_t targets_of(const struct line_part *p)
{
    size_t n = 0;

    for (size_t k = 0; k < p->models_n; k++) {
        const struct config_model *m = &p->cfg->models[p->models[k]];

        for (size_t i = 0; i < m->tiers_n; i++)
            n += m->tiers[i].targets_n;
    }
    return n;
}

struct line *line_new_of(const struct line_part *parts, size_t parts_n)
{
    struct line *l = MEM_NEW(struct line);
    struct known known;
    size_t n = 0, targets_n = 0;

    for (size_t i = 0; i < parts_n; i++) {
        size_t tenants_n = parts[i].tenants_n > 0 ? parts[i].tenants_n : parts[i].cfg->keys_n + 1;

        l->tenants_n = tenants_n > l->tenants_n ? tenants_n : l->tenants_n;
        n += parts[i].models_n;
        targets_n += targets_of(&parts[i]);
    }
    l->models = mem_zalloc(n * sizeof(*l->models));
    l->healths = mem_zalloc(targets_n * sizeof(*l->healths));
    l->loads = mem_zalloc(targets_n * sizeof(*l->loads));
    l->prices = mem_zalloc(targets_n * sizeof(const struct config_price *));
    map_init(&known.healths);
    arena_init(&known.arena, NULL, 0, KEYS_BLOCK);
    list_init(&l->held);
    list_init(&l->resting);
    retry_init(&l->retry, 0);
    l->wake_us = l->spills_us = CLOCK_NEVER_US;
    slots_init(&l->slots);
    for (size_t i = 0; i < parts_n; i++) {
        const struct line_part *p = &parts[i];
        ASSERT(i == 0 || p->edition > parts[i - 1].edition);
        for (size_t k = 0; k < p->models_n; k++) {
            ASSERT(k == 0 || p->models[k] > p->models[k - 1]);
            model_init(l, &l->models[l->models_n++], p, p->models[k], &known);
        }
    }
    map_fini(&known.healths);
    arena_fini(&known.arena);
    line_make_domains(l);
    return l;
}

int64_t line_reprice(struct line *l, int64_t wall_us)
{
    int64_t until_us = CLOCK_NEVER_US;

    for (size_t i = 0; i < l->healths_n; i++) {
        int64_t us;

        l->loads[i].price = price_now(l->prices[i], wall_us, &us);
        until_us = us < until_us ? us : until_us;
    }
    return until_us;
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
        mem_free(l->models[i].health);
        mem_free(l->models[i].tiers);
        mem_free(l->models[i].etas);
        fair_queue_fini(&l->models[i].queue);
    }
    line_free_domains(l);
    slots_fini(&l->slots);
    mem_free(l->healths);
    mem_free(l->loads);
    mem_free(l->prices);
    mem_free(l->models);
    mem_free(l);
    *lp = NULL;
}

/* The line was laid out for this moment: nobody waits in it yet. */
static void move_waiting(struct line *l, struct line_model *from, struct line *to)
{
    struct line_model *m = line_model_of(to, from->edition, from->model);

    line_move_queue(l, from, to, m);
    m->waiting_n = from->waiting_n;
    to->spills_us = to->seen_us; /* they are looked at with the first offer */
    m->waiting_bytes = from->waiting_bytes;
    to->waiting_n += from->waiting_n;
    from->waiting_n = 0;
    from->waiting_bytes = 0;
}

/* How fast a model is served, and what its answers have taught, goes on for all models of that name. */
static void move_speed(const struct line_model *m, struct line *to)
{
    struct slice name = m->cfg->models[m->model].name;

    for (size_t i = 0; i < to->models_n && (m->eta.known || m->learned.answers_n > 0); i++) {
        struct line_model *n = &to->models[i];

        if (n->edition < m->edition || !slice_eq(n->cfg->models[n->model].name, name))
            continue;
        if (n->edition == m->edition || !n->eta.known)
            eta_inherit(&n->eta, &m->eta);
        if (n->learned.answers_n <= m->learned.answers_n)
            n->learned = m->learned;
    }
}

static void move_held(struct line *from, struct ticket *t, struct line *to)
{
    struct line_model *m = line_model_of(to, t->edition, t->model);
    int counter, own;

    list_remove(&t->held);
    from->held_n--;
    m->held_n++;
    from->unlimited_n -= t->counter == SLOTS_UNLIMITED;
    counter = line_counter_of(to, &m->targets[t->target], t);
    slots_carry(&from->slots, t->counter, &to->slots, counter);
    t->counter = counter;
    from->own_n -= t->own != SLOTS_UNLIMITED;
    own = line_own_of(to, &m->targets[t->target], t);
    slots_carry(&from->slots, t->own, &to->slots, own);
    t->own = own;
    to->own_n += own != SLOTS_UNLIMITED;
    __atomic_store_n(&t->learns, slots_learns(&to->slots, counter) || slots_learns(&to->slots, own),
                     __ATOMIC_RELAXED);
    list_push_back(&to->held, &t->held);
    to->held_n++;
    to->unlimited_n += t->counter == SLOTS_UNLIMITED;
}

/* What was learned of the accounts and endpoints of a model that is in both. */
static void move_learned(const struct line *from, const struct line_model *m, struct line *to)
{
    const struct line_model *n = line_model_find(to, m->edition, m->model);

    for (size_t i = 0; n != NULL && i < m->targets_n; i++) {
        slots_inherit(&to->slots, n->targets[i].account, &from->slots, m->targets[i].account);
        slots_inherit(&to->slots, n->targets[i].owns, &from->slots, m->targets[i].owns);
        health_inherit(line_health_of(to, n, i), line_health_of(from, m, i));
    }
    for (size_t k = 0; n != NULL && n->etas != NULL && k < n->tiers_n; k++)
        n->etas[k] = m->etas[k];
    if (n != NULL)
        fair_inherit(&to->shares[n->domain], &from->shares[m->domain]);
    move_speed(m, to);
    if (from->retry.firsts >= to->retry.firsts)
        to->retry = from->retry;
}

/* Those of a model's line are counted with it; here they only change the list. */
static void move_resting(struct line *from, struct line *(*line_of)(void *ud, int edition, int model),
                         void *ud)
{
    while (!list_empty(&from->resting)) {
        struct ticket *t = CONTAINER_OF(list_pop_front(&from->resting), struct ticket, node);

        from->resting_n--;
        line_rest(line_of(ud, t->edition, t->model), t);
    }
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
            move_waiting(from, m, to);
        }
    }
    move_resting(from, line_of, ud);
    while (!list_empty(&from->held)) {
        struct ticket *t = CONTAINER_OF(from->held.next, struct ticket, held);

        move_held(from, t, line_of(ud, t->edition, t->model));
    }
}
