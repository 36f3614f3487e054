/* SPDX-License-Identifier: MIT */
/* Laying out the lines of all configurations in use, and the locks around them. */
#include "shared/hall.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "policy/accounts.h"
#include "policy/groups.h"

#define NAMES_BLOCK 1024

/* All lines, as they will be. */
struct layout {
    size_t sides_n, models_n, groups_n, tenants_n;
    struct hall_side **sides;
    const struct config **cfgs; /* newest first, as accounts wants them */
    struct accounts accounts;
    int *group_of; /* models of cfgs[0], then of cfgs[1], ... */
    size_t *first; /* of each side in group_of; by place in sides */
    struct line **lines;
};

struct hall *hall_new(void)
{
    struct hall *h = MEM_NEW(struct hall);

    for (int i = 0; i < HALL_LOCKS; i++)
        ASSERT(pthread_mutex_init(&h->locks[i].mutex, NULL) == 0);
    list_init(&h->sides);
    h->last_edition = -1;
    h->tenants_n = 1;
    map_init(&h->tenants);
    arena_init(&h->names, NULL, 0, NAMES_BLOCK);
    return h;
}

void hall_free(struct hall **hp)
{
    struct hall *h = *hp;

    *hp = NULL;
    if (!h)
        return;
    ASSERT(list_empty(&h->sides) && h->lines_n == 0);
    for (int i = 0; i < HALL_LOCKS; i++)
        ASSERT(pthread_mutex_destroy(&h->locks[i].mutex) == 0);
    map_fini(&h->tenants);
    arena_fini(&h->names);
    mem_free(h->lines);
    mem_free(h);
}

/* -- a layout -------------------------------------------------------------------------------------------- */

static void collect(struct hall *h, struct layout *y)
{
    size_t i = 0;

    y->tenants_n = h->tenants_n;
    LIST_EACH (it, &h->sides)
        y->sides_n++;
    y->sides = mem_zalloc((y->sides_n + 1) * sizeof *y->sides);
    y->cfgs = mem_zalloc((y->sides_n + 1) * sizeof(const struct config *));
    y->first = mem_zalloc((y->sides_n + 1) * sizeof *y->first);
    LIST_EACH (it, &h->sides)
        y->sides[i++] = CONTAINER_OF(it, struct hall_side, node);
    for (i = y->sides_n; i-- > 0;) {
        y->cfgs[y->sides_n - 1 - i] = y->sides[i]->cfg;
        y->first[i] = y->models_n;
        y->models_n += y->sides[i]->cfg->models_n;
    }
    y->group_of = mem_alloc((y->models_n + 1) * sizeof *y->group_of);
    accounts_init(&y->accounts, y->cfgs, y->sides_n);
    y->groups_n = groups_of_all(y->cfgs, y->sides_n, &y->accounts, y->group_of);
}

/* Every model of a side belongs to one group: counting sorts them into `models`, group after group, and
 * `start` says where each group begins. */
static void sort_models(const struct layout *y, size_t side, int *models, size_t *start)
{
    const int *group_of = y->group_of + y->first[side];
    size_t n = y->sides[side]->cfg->models_n;

    for (size_t i = 0; i < n; i++)
        start[group_of[i] + 1]++;
    for (size_t g = 0; g < y->groups_n; g++)
        start[g + 1] += start[g];
    for (size_t i = n; i-- > 0;)
        models[--start[group_of[i] + 1]] = (int)i; /* from the back, so that models ascend */
    for (size_t g = 0; g < y->groups_n; g++)
        start[g] = start[g + 1];
    start[y->groups_n] = n;
}

static void make_lines(struct layout *y)
{
    struct line_part *parts = mem_zalloc((y->sides_n + 1) * sizeof *parts);
    size_t **start = mem_zalloc((y->sides_n + 1) * sizeof *start);
    int *models = mem_zalloc((y->models_n + 1) * sizeof *models), *at = models;

    for (size_t s = 0; s < y->sides_n; s++) {
        start[s] = mem_zalloc((y->groups_n + 1) * sizeof *start[s]);
        sort_models(y, s, at, start[s]);
        parts[s] = (struct line_part){.edition = y->sides[s]->edition,
                                      .cfg = y->sides[s]->cfg,
                                      .accounts = y->accounts.rule[y->sides_n - 1 - s],
                                      .tenants_n = y->tenants_n};
        at += y->sides[s]->cfg->models_n;
    }
    y->lines = mem_zalloc((y->groups_n + 1) * sizeof(struct line *));
    for (size_t g = 0; g < y->groups_n; g++) {
        at = models;
        for (size_t s = 0; s < y->sides_n; s++) {
            parts[s].models = at + start[s][g];
            parts[s].models_n = start[s][g + 1] - start[s][g];
            at += y->sides[s]->cfg->models_n;
        }
        y->lines[g] = line_new_of(parts, y->sides_n);
    }
    for (size_t s = 0; s < y->sides_n; s++)
        mem_free(start[s]);
    mem_free(start);
    mem_free(models);
    mem_free(parts);
}

static struct line *line_of(void *ud, int edition, int model)
{
    const struct layout *y = ud;
    size_t s = 0;

    while (s < y->sides_n && y->sides[s]->edition != edition)
        s++;
    if (s == y->sides_n)
        return NULL;
    return y->lines[y->group_of[y->first[s] + (size_t)model]];
}

/* Under all locks. The old lines stay in the layout, to be freed without them. */
static void take_over(struct hall *h, struct layout *y, hall_grants post)
{
    struct line **old = h->lines;
    size_t old_n = h->lines_n;
    struct list grants;
    struct rng dice;

    rng_seed(&dice, (uint64_t)h->last_edition);
    for (size_t g = 0; g < old_n; g++)
        line_move(old[g], line_of, y);
    h->lines = y->lines;
    h->lines_n = y->groups_n;
    y->lines = old;
    y->groups_n = old_n;
    for (size_t s = 0; s < y->sides_n; s++) {
        for (size_t i = 0; i < y->sides[s]->cfg->models_n; i++)
            __atomic_store_n(&y->sides[s]->group_of[i], y->group_of[y->first[s] + i], __ATOMIC_RELEASE);
    }
    list_init(&grants);
    for (size_t g = 0; g < h->lines_n; g++)
        line_offer(h->lines[g], 0, &dice, &grants); /* at the time that the old lines have seen */
    post(&grants);
    ASSERT(list_empty(&grants));
}

static void lay_out(struct hall *h, hall_grants post)
{
    struct layout y = {0};

    collect(h, &y);
    make_lines(&y);
    for (size_t g = 0; g < y.groups_n; g++)
        (void)line_reprice(y.lines[g], h->wall_us);
    for (int i = 0; i < HALL_LOCKS; i++)
        pthread_mutex_lock(&h->locks[i].mutex);
    take_over(h, &y, post);
    for (int i = HALL_LOCKS; i-- > 0;)
        pthread_mutex_unlock(&h->locks[i].mutex);
    for (size_t g = 0; g < y.groups_n; g++)
        line_free(&y.lines[g]);
    accounts_fini(&y.accounts);
    mem_free(y.lines);
    mem_free(y.group_of);
    mem_free(y.first);
    mem_free(y.cfgs);
    mem_free(y.sides);
}

/* -- sides ----------------------------------------------------------------------------------------------- */

static int *number_tenants(struct hall *h, const struct config *cfg)
{
    int *of = mem_zalloc((cfg->keys_n + 1) * sizeof *of);

    for (size_t i = 0; i < cfg->keys_n; i++) {
        struct slice name = slice_of(cfg->keys[i].name);
        uintptr_t number = (uintptr_t)map_find(&h->tenants, name);

        if (number == 0) {
            number = h->tenants_n++;
            (void)!map_put(&h->tenants, arena_dup(&h->names, name), (void *)number);
        }
        of[i] = (int)number;
    }
    return of;
}

struct hall_side *hall_enter(struct hall *h, struct config *cfg, hall_grants post)
{
    struct hall_side *side = MEM_NEW(struct hall_side);

    config_ref(cfg);
    side->cfg = cfg;
    side->edition = ++h->last_edition;
    side->tenant_of = number_tenants(h, cfg);
    side->group_of = mem_zalloc((cfg->models_n + 1) * sizeof *side->group_of);
    list_init(&side->node);
    list_push_back(&h->sides, &side->node);
    lay_out(h, post);
    return side;
}

void hall_leave(struct hall *h, struct hall_side **sp, hall_grants post)
{
    struct hall_side *side = *sp;

    *sp = NULL;
    list_remove(&side->node);
    lay_out(h, post);
    config_unref(&side->cfg);
    mem_free(side->tenant_of);
    mem_free(side->group_of);
    mem_free(side);
}

/* -- locks ----------------------------------------------------------------------------------------------- */

int hall_lock(struct hall *h, const struct hall_side *side, int model)
{
    ASSERT(model >= 0 && (size_t)model < side->cfg->models_n);
    for (;;) {
        int g = __atomic_load_n(&side->group_of[model], __ATOMIC_ACQUIRE);

        pthread_mutex_lock(&h->locks[g % HALL_LOCKS].mutex);
        if (__atomic_load_n(&side->group_of[model], __ATOMIC_ACQUIRE) == g)
            return g;
        pthread_mutex_unlock(&h->locks[g % HALL_LOCKS].mutex); /* laid out anew meanwhile */
    }
}

void hall_unlock(struct hall *h, int group)
{
    pthread_mutex_unlock(&h->locks[group % HALL_LOCKS].mutex);
}

void hall_counters(struct hall *h, void (*show)(void *ud, const struct slots_counter *c), void *ud)
{
    for (size_t k = 0; k < HALL_LOCKS; k++) {
        pthread_mutex_lock(&h->locks[k].mutex);
        for (size_t g = k; g < h->lines_n; g += HALL_LOCKS)
            line_counters(h->lines[g], show, ud);
        pthread_mutex_unlock(&h->locks[k].mutex);
    }
}

void hall_healths(struct hall *h, void (*show)(void *ud, const struct health *x), void *ud)
{
    for (size_t k = 0; k < HALL_LOCKS; k++) {
        pthread_mutex_lock(&h->locks[k].mutex);
        for (size_t g = k; g < h->lines_n; g += HALL_LOCKS)
            line_healths(h->lines[g], show, ud);
        pthread_mutex_unlock(&h->locks[k].mutex);
    }
}

static int64_t ring_line(struct line *l, int64_t now_us, struct rng *dice, hall_grants post)
{
    struct list grants;

    if (line_wake_us(l) <= now_us) {
        list_init(&grants);
        line_offer(l, now_us, dice, &grants);
        post(&grants);
    }
    return line_wake_us(l);
}

int64_t hall_ring(struct hall *h, int64_t now_us, struct rng *dice, hall_grants post)
{
    int64_t next_us = CLOCK_NEVER_US;

    for (size_t k = 0; k < HALL_LOCKS; k++) {
        pthread_mutex_lock(&h->locks[k].mutex);
        for (size_t g = k; g < h->lines_n; g += HALL_LOCKS) {
            int64_t at_us = ring_line(h->lines[g], now_us, dice, post);

            next_us = at_us < next_us ? at_us : next_us;
        }
        pthread_mutex_unlock(&h->locks[k].mutex);
    }
    return next_us;
}

int64_t hall_reprice(struct hall *h, int64_t wall_us)
{
    int64_t until_us = CLOCK_NEVER_US;

    h->wall_us = wall_us;
    for (size_t k = 0; k < HALL_LOCKS; k++) {
        pthread_mutex_lock(&h->locks[k].mutex);
        for (size_t g = k; g < h->lines_n; g += HALL_LOCKS) {
            int64_t us = line_reprice(h->lines[g], wall_us);

            until_us = us < until_us ? us : until_us;
        }
        pthread_mutex_unlock(&h->locks[k].mutex);
    }
    return until_us;
}

size_t hall_used(struct hall *h)
{
    size_t n = 0;

    for (size_t k = 0; k < HALL_LOCKS; k++) {
        pthread_mutex_lock(&h->locks[k].mutex);
        for (size_t g = k; g < h->lines_n; g += HALL_LOCKS)
            n += line_used(h->lines[g]) + line_waiting(h->lines[g]);
        pthread_mutex_unlock(&h->locks[k].mutex);
    }
    return n;
}
