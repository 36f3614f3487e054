/* SPDX-License-Identifier: MIT */
/* policy/line against a plain model of it: random asks, takes, releases and cancels, compared after every
 * step.
 *
 * The model keeps nothing but the tickets: what is in use and who is next is counted anew each time from them
 * and from the configuration, so that it shares no idea with the line. */
#include "policy/line.h"

#include "base/clock.h"
#include "config_kit.h"
#include "policy/learned.h"
#include "tap.h"

#define TICKETS_N 48
#define STEPS_N 100000
#define LINE_MAX_N 6
#define TENANTS_N 4

static const struct config cfg = {
    .opt = {.line_max = LINE_MAX_N},
    ACCOUNTS({.name = "wide", SLOTS({NAME("x"), 3}, {NAME("*"), 1}, {NAME("y"), 2})},
             {.name = "narrow", SLOTS({NAME("x"), 1}, {NAME("*"), 2})}, {.name = "unlimited"}),
    ENDPOINTS({.account = 0}, {.account = 0}, {.account = 1}, {.account = 1}, {.account = -1},
              {.account = 2}),
    MODELS(
        {.name = NAME("x"),
         TIERS({TARGETS({.endpoint = 0, .weight = 70}, {.endpoint = 2, .weight = 30})},
               {TARGETS({.endpoint = 1, .model = NAME("y")})})},
        {.name = NAME("y"),
         TIERS({TARGETS({.endpoint = 0})}, {TARGETS({.endpoint = 3, .model = NAME("x")})})},
        {.name = NAME("*"), TIERS({TARGETS({.endpoint = 1}, {.endpoint = 3})})},
        {.name = NAME("spills"),
         TIERS({TARGETS({.endpoint = 1, .model = NAME("x")})}, {TARGETS({.endpoint = 4}, {.endpoint = 5})})}),
};

/* A ticket as the model sees it. */
struct mirror {
    struct ticket ticket;
    enum ticket_state state;
    uint64_t asked; /* when it last asked, in steps: the order among equal arrivals */
    int64_t charged;
    const struct config_slots *held; /* GRANTED or TAKEN; NULL: unlimited */
};

/* What tenants of a class were served, by the words of policy/fair.h. */
struct shares {
    double finish[TENANTS_N], now;
    double since[4][TENANTS_N]; /* by model: when the first of those began to wait who wait now */
};

struct world {
    struct line *line;
    struct shares shares[PRIORITY_N];
    struct learned learned[4];
    struct rng dice;
    struct list grants;
    struct mirror mirrors[TICKETS_N];
    int64_t now_us;
    uint64_t step;
    size_t queued_n, full_n, none_n, granted_n, spilled_n; /* that everything has happened */
};

static const struct config_target *target_at(const struct ticket *t, int i, int *tier)
{
    const struct config_model *m = &cfg.models[t->model];

    for (*tier = 0; *tier < (int)m->tiers_n; i -= (int)m->tiers[(*tier)++].targets_n) {
        if (i < (int)m->tiers[*tier].targets_n)
            return &m->tiers[*tier].targets[i];
    }
    return NULL;
}

/* The slots that a target of the ticket's model counts on; NULL: unlimited. */
static const struct config_slots *slots_of(const struct ticket *t, int i)
{
    int tier;
    const struct config_target *ct = target_at(t, i, &tier);
    int account = cfg.endpoints[ct->endpoint].account;
    struct slice name = ct->model.p ? ct->model : t->upstream;
    const struct config_slots *star = NULL;

    if (account < 0)
        return NULL;
    for (size_t k = 0; k < cfg.accounts[account].slots_n; k++) {
        const struct config_slots *s = &cfg.accounts[account].slots[k];
        if (slice_eq(s->model, name))
            return s;
        if (s->model.p[0] == '*')
            star = s;
    }
    return star;
}

static int in_use(const struct world *w, const struct config_slots *s)
{
    int n = 0;

    for (int i = 0; i < TICKETS_N; i++) {
        const struct mirror *m = &w->mirrors[i];
        n += (m->state == TICKET_GRANTED || m->state == TICKET_TAKEN) && m->held == s;
    }
    return n;
}

static bool is_free(const struct world *w, const struct config_slots *s)
{
    return !s || in_use(w, s) < s->n;
}

/* The first tier with an untried target that has room; -1: none. */
static int free_tier(const struct world *w, const struct ticket *t, bool *untried)
{
    int tier;

    *untried = false;
    for (int i = 0; target_at(t, i, &tier); i++) {
        if (t->tried >> i & 1)
            continue;
        *untried = true;
        if (is_free(w, slots_of(t, i)))
            return tier;
    }
    return -1;
}

static bool can_use(const struct ticket *t, const struct config_slots *s)
{
    int tier;

    for (int i = 0; target_at(t, i, &tier); i++) {
        if (!(t->tried >> i & 1) && slots_of(t, i) == s)
            return true;
    }
    return false;
}

static size_t waiting_n(const struct world *w, int model)
{
    size_t n = 0;

    for (int i = 0; i < TICKETS_N; i++)
        n += w->mirrors[i].state == TICKET_WAITING && (model < 0 || w->mirrors[i].ticket.model == model);
    return n;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double start_of(const struct world *w, const struct ticket *t)
{
    const struct shares *s = &w->shares[t->priority];

    return larger(s->since[t->model][t->tenant], s->finish[t->tenant]);
}

/* Whether a goes before b. All models here have slots in common. Equal starts of different tenants or models
 * are a draw. */
static bool before(const struct world *w, const struct mirror *a, const struct mirror *b)
{
    const struct ticket *t = &a->ticket, *u = &b->ticket;

    if (t->priority != u->priority)
        return t->priority < u->priority;
    if (t->tenant != u->tenant || t->model != u->model)
        return start_of(w, t) < start_of(w, u);
    if (t->deadline_us != u->deadline_us)
        return t->deadline_us < u->deadline_us;
    if (t->arrived_us != u->arrived_us)
        return t->arrived_us < u->arrived_us;
    return a->asked < b->asked;
}

static bool is_first_of_its_tenant(const struct world *w, const struct mirror *m)
{
    for (int i = 0; i < TICKETS_N; i++) {
        const struct mirror *o = &w->mirrors[i];

        if (o != m && o->state == TICKET_WAITING && o->ticket.tenant == m->ticket.tenant &&
            o->ticket.model == m->ticket.model && o->ticket.priority == m->ticket.priority)
            return false;
    }
    return true;
}

static void wait(struct world *w, struct mirror *m)
{
    struct shares *s = &w->shares[m->ticket.priority];

    m->state = TICKET_WAITING;
    if (is_first_of_its_tenant(w, m))
        s->since[m->ticket.model][m->ticket.tenant] = s->now;
}

static void charge(struct world *w, struct mirror *m)
{
    const struct ticket *t = &m->ticket;
    struct shares *s = &w->shares[t->priority];
    const struct learned *l = &w->learned[t->model];
    double start = larger(s->now, s->finish[t->tenant]);
    int64_t answer = learned_answer(l);

    if (t->answer_max >= 0 && t->answer_max < answer)
        answer = t->answer_max;
    m->charged = 1 + learned_prompt(l, t->call.prompt_tokens) + answer;
    s->finish[t->tenant] = start + (double)m->charged;
    s->now = start;
}

/* served below 0: nothing was said. */
static void correct(struct world *w, struct mirror *m, int64_t served)
{
    struct shares *s = &w->shares[m->ticket.priority];
    double more = served < 0 ? 0 : (double)(served - m->charged), *finish = &s->finish[m->ticket.tenant];

    if (more > 0 || *finish > s->now)
        *finish = more > 0 ? *finish + more : larger(s->now, *finish + more);
}

/* The ticket says where it is: a target it has not tried, with the slots that the model expects. */
static bool accept_choice(struct world *w, struct mirror *m, int want_tier)
{
    const struct ticket *t = &m->ticket;
    int tier;
    const struct config_target *ct = target_at(t, t->target, &tier);
    bool held = CHECK(ct && tier == t->tier && tier == want_tier && ct->endpoint == t->endpoint);

    held = held && CHECK(!(t->tried >> t->target & 1));
    m->held = held ? slots_of(t, t->target) : NULL;
    held = held && CHECK(is_free(w, m->held)) && CHECK_INT(t->counter < 0, m->held == NULL);
    w->spilled_n += tier > 0;
    return held;
}

static bool ask(struct world *w, struct mirror *m)
{
    static const char *const names[] = {"x", "y", "z", "w"};
    struct ticket *t = &m->ticket;
    bool untried, retry = rng_below(&w->dice, 3) == 0 && t->model >= 0;

    if (!retry) { /* else it comes back with its first arrival and what it has tried */
        t->model = (int)rng_below(&w->dice, cfg.models_n);
        t->priority = (enum priority)rng_below(&w->dice, PRIORITY_N);
        t->tenant = (int)rng_below(&w->dice, TENANTS_N);
        t->arrived_us = w->now_us;
        t->deadline_us = CLOCK_NEVER_US - (int64_t)rng_below(&w->dice, 3);
        t->call.prompt_tokens = (int64_t)rng_below(&w->dice, 2000);
        t->answer_max = (int64_t)rng_below(&w->dice, 1000) - 100;
        t->tried = 0;
        t->upstream = t->model == 2 ? slice_of(names[rng_below(&w->dice, 4)]) : cfg.models[t->model].name;
    } else {
        t->tried |= rng_below(&w->dice, 8);
    }
    m->asked = w->step;
    int want_tier = free_tier(w, t, &untried);
    size_t depth = waiting_n(w, t->model);
    switch (line_admit(w->line, t, w->now_us, &w->dice)) {
    case LINE_TAKEN: {
        bool held = CHECK(want_tier >= 0) && accept_choice(w, m, want_tier);
        for (int i = 0; i < TICKETS_N && held && m->held; i++) /* nobody barges */
            held = w->mirrors[i].state != TICKET_WAITING || !can_use(&w->mirrors[i].ticket, m->held);
        m->state = TICKET_TAKEN;
        charge(w, m);
        return CHECK(held) && CHECK_INT(t->charged, m->charged);
    }
    case LINE_QUEUED:
        wait(w, m);
        w->queued_n++;
        return CHECK(want_tier < 0 && untried && depth < LINE_MAX_N);
    case LINE_FULL:
        w->full_n++;
        return CHECK(want_tier < 0 && untried && depth == LINE_MAX_N);
    default:
        w->none_n++;
        return CHECK(!untried);
    }
}

/* The call is over: nothing came of it, or an answer, of which the endpoint may have said how long it is. */
static void settle(struct world *w, struct mirror *m)
{
    struct call_report r = {.outcome = OUTCOME_OK, .retry_after_us = -1};
    uint64_t die = rng_below(&w->dice, 3);

    if (die == 0) {
        correct(w, m, 0);
        line_release(w->line, &m->ticket, w->now_us, &w->dice, &w->grants);
        return;
    }
    if (die == 1) {
        r.prompt_tokens = 1 + (int64_t)rng_below(&w->dice, 3000);
        r.answer_tokens = (int64_t)rng_below(&w->dice, 3000);
        learned_add(&w->learned[m->ticket.model], m->ticket.call.prompt_tokens, r.prompt_tokens,
                    r.answer_tokens);
    }
    correct(w, m, die == 1 ? r.prompt_tokens + r.answer_tokens : -1);
    line_settle(w->line, &m->ticket, &r, w->now_us, &w->dice, &w->grants);
}

/* Gives back what the ticket has, one way or the other, and checks who got it. */
static bool leave(struct world *w, struct mirror *m, bool cancel)
{
    enum ticket_state was = m->state;
    bool held_slot = m->state == TICKET_GRANTED || m->state == TICKET_TAKEN;
    const struct config_slots *freed = m->held;
    struct mirror *best = NULL;

    m->state = TICKET_FREE;
    m->held = NULL;
    if (was == TICKET_TAKEN && !cancel) {
        settle(w, m);
    } else {
        if (held_slot)
            correct(w, m, 0);
        line_cancel(w->line, &m->ticket, w->now_us, &w->dice, &w->grants);
    }
    for (int i = 0; i < TICKETS_N && held_slot && freed; i++) {
        struct mirror *o = &w->mirrors[i];
        if (o->state == TICKET_WAITING && can_use(&o->ticket, freed) && (!best || before(w, o, best)))
            best = o;
    }

    struct list *node = list_pop_front(&w->grants);
    if (!CHECK(list_empty(&w->grants)) || !CHECK((node != NULL) == (best != NULL)))
        return false;
    if (!node)
        return true;
    struct mirror *got = CONTAINER_OF(node, struct mirror, ticket.node);
    bool untried;
    int want_tier = free_tier(w, &got->ticket, &untried);
    bool held = CHECK(got->state == TICKET_WAITING && !before(w, best, got) && can_use(&got->ticket, freed));
    held = accept_choice(w, got, want_tier) && held && CHECK(got->held == freed);
    got->state = TICKET_GRANTED;
    charge(w, got);
    w->granted_n++;
    return held && CHECK_INT(got->ticket.charged, got->charged);
}

static bool do_step(struct world *w)
{
    struct mirror *m = &w->mirrors[rng_below(&w->dice, TICKETS_N)];
    uint64_t die = rng_below(&w->dice, 4);

    switch (m->state) {
    case TICKET_FREE:
        return die == 0 ? leave(w, m, true) : ask(w, m);
    case TICKET_WAITING:
        return die > 0 || leave(w, m, true);
    case TICKET_GRANTED:
        if (die < 2)
            return leave(w, m, die == 0);
        line_take(w->line, &m->ticket);
        m->state = TICKET_TAKEN;
        return true;
    default:
        return leave(w, m, die == 0);
    }
}

/* The line agrees with the tickets in every count and state. */
static bool agrees(const struct world *w)
{
    size_t held_n = 0;
    bool same = true;

    for (int i = 0; i < TICKETS_N; i++) {
        const struct mirror *m = &w->mirrors[i];
        same = same && m->ticket.state == m->state;
        held_n += m->state == TICKET_GRANTED || m->state == TICKET_TAKEN;
        if (m->state != TICKET_WAITING)
            continue;
        size_t least = 1, most = waiting_n(w, m->ticket.model), place;
        for (int k = 0; k < TICKETS_N; k++) {
            const struct mirror *o = &w->mirrors[k];
            bool sure = o->ticket.priority < m->ticket.priority || o->ticket.tenant == m->ticket.tenant;
            if (o->state == TICKET_WAITING && o->ticket.model == m->ticket.model && sure)
                least += before(w, o, m);
        }
        place = line_position(w->line, &m->ticket); /* exactly: fair_test */
        same = same && place >= least && place <= most;
    }
    for (size_t i = 0; i < cfg.models_n; i++)
        same = same && line_depth(w->line, (int)i) == waiting_n(w, (int)i);
    return same && line_used(w->line) == held_n;
}

static void run(uint64_t seed)
{
    static const int all[] = {0, 1, 2, 3};
    struct world w = {.now_us = 1};

    w.line = line_new_of(
        &(struct line_part){.cfg = &cfg, .models = all, .models_n = COUNT_OF(all), .tenants_n = TENANTS_N},
        1);
    rng_seed(&w.dice, seed);
    list_init(&w.grants);
    for (int i = 0; i < TICKETS_N; i++)
        ticket_init(&w.mirrors[i].ticket);
    for (w.step = 1; w.step <= STEPS_N; w.step++) {
        w.now_us += (int64_t)rng_below(&w.dice, 3); /* equal arrivals happen */
        bool held = do_step(&w);
        line_check(w.line);
        if (!held || !CHECK(agrees(&w))) {
            printf("# seed %llu, step %llu\n", (unsigned long long)seed, (unsigned long long)w.step);
            return;
        }
    }
    for (int i = 0; i < TICKETS_N; i++) {
        leave(&w, &w.mirrors[i], true);
        line_check(w.line);
    }
    CHECK_INT(line_used(w.line), 0);
    CHECK_INT(waiting_n(&w, -1), 0);
    CHECK(agrees(&w));
    /* A run in which something never happened would prove nothing about it. */
    CHECK(w.queued_n > 1000 && w.full_n > 100 && w.none_n > 100 && w.granted_n > 1000 && w.spilled_n > 1000);
    line_free(&w.line);
}

TEST(seed_1)
{
    run(1);
}

TEST(seed_2)
{
    run(2);
}

TEST(seed_3)
{
    run(3);
}

TEST(seed_4)
{
    run(4);
}

TEST(seed_5)
{
    run(5);
}
