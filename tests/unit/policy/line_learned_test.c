/* SPDX-License-Identifier: MIT */
/* policy/line with slots that are learned: room then depends on time, and nobody may be forgotten.
 *
 * Random asks, first tokens, ends of every outcome, and passing time, against a provider that takes so many
 * at a time and now and then nobody. After every step line_check holds; and whenever somebody waits while
 * nothing is in flight, the line names the time at which it must be looked at again. */
#include "policy/line.h"

#include "base/clock.h"
#include "config_kit.h"
#include "tap.h"

#define TICKETS_N 64
#define STEPS_N 60000

static const struct config cfg = {
    .opt = {.line_max = 1000, .attempts_max = 3, .outage_us = 30 * CLOCK_SECOND_US},
    ACCOUNTS({.name = "capped", .learn = true, SLOTS({NAME("m"), 20})},
             {.name = "open", .learn = true, SLOTS({NAME("*"), 0})}),
    ENDPOINTS({.account = 0}, {.account = 1}),
    MODELS({.name = NAME("m"), TIERS({TARGETS({.endpoint = 0})})},
           {.name = NAME("n"), TIERS({TARGETS({.endpoint = 1})})},
           {.name = NAME("o"),
            TIERS({TARGETS({.endpoint = 0, .model = NAME("m")})}, {TARGETS({.endpoint = 1})})}),
};

struct world {
    struct line *line;
    struct rng dice;
    struct list grants;
    struct ticket tickets[TICKETS_N];
    int64_t now_us;
    size_t woken_n, refused_n, waited_n; /* that everything has happened */
};

static void take_grants(struct world *w)
{
    struct list *n;

    while ((n = list_pop_front(&w->grants)) != NULL)
        line_take(w->line, CONTAINER_OF(n, struct ticket, node));
}

static void ask(struct world *w, struct ticket *t)
{
    t->model = (int)rng_below(&w->dice, cfg.models_n);
    t->priority = (enum priority)rng_below(&w->dice, PRIORITY_N);
    t->arrived_us = w->now_us;
    t->tried = t->never = 0;
    t->tries = (struct retry_tries){0};
    t->rested = false;
    t->upstream = cfg.models[t->model].name;
    t->call.prompt_tokens = (int64_t)rng_below(&w->dice, 10000);
    w->waited_n += line_admit(w->line, t, w->now_us, &w->dice) == LINE_QUEUED;
}

/* More than 8 at a time are refused; every tenth second everybody is. */
static enum outcome fate(struct world *w)
{
    bool shut = w->now_us / CLOCK_SECOND_US % 10 == 9;

    if (shut || (line_used(w->line) > 8 && rng_below(&w->dice, 2) == 0))
        return OUTCOME_ACCOUNT_BUSY;
    return rng_below(&w->dice, 4) == 0 ? (enum outcome)rng_below(&w->dice, OUTCOME_N) : OUTCOME_OK;
}

static void end(struct world *w, struct ticket *t)
{
    struct call_report r = {fate(w), (int64_t)rng_below(&w->dice, 3) * 100 * CLOCK_MS_US, 0, 0};

    w->refused_n += r.outcome == OUTCOME_ACCOUNT_BUSY;
    line_settle(w->line, t, &r, w->now_us, &w->dice, &w->grants);
}

static void step(struct world *w)
{
    struct ticket *t = &w->tickets[rng_below(&w->dice, TICKETS_N)];

    if (t->state == TICKET_FREE)
        ask(w, t);
    else if (t->state == TICKET_WAITING && rng_below(&w->dice, 8) == 0)
        line_cancel(w->line, t, w->now_us, &w->dice, &w->grants);
    else if (t->state == TICKET_TAKEN && t->learns && rng_below(&w->dice, 3) > 0)
        line_first(w->line, t, w->now_us, &w->dice, &w->grants);
    else if (t->state == TICKET_TAKEN)
        end(w, t);
    take_grants(w);
}

/* Somebody is always there to look again when the line says so. */
static void ring(struct world *w)
{
    if (line_wake_us(w->line) > w->now_us)
        return;
    line_offer(w->line, w->now_us, &w->dice, &w->grants);
    w->woken_n += !list_empty(&w->grants);
    take_grants(w);
    CHECK(line_wake_us(w->line) > w->now_us);
}

static bool is_alive(const struct world *w)
{
    line_check(w->line);
    return line_waiting(w->line) == 0 || line_used(w->line) > 0 || line_wake_us(w->line) < CLOCK_NEVER_US;
}

/* Nobody asks any more: everybody who waits gets a slot in the end. */
static void drain(struct world *w)
{
    for (int i = 0; i < 100000 && line_used(w->line) + line_waiting(w->line) > 0; i++) {
        struct ticket *t = &w->tickets[i % TICKETS_N];

        if (t->state == TICKET_TAKEN)
            end(w, t);
        take_grants(w);
        w->now_us += CLOCK_MS_US;
        ring(w);
        CHECK(is_alive(w));
    }
    CHECK_INT((int)line_used(w->line), 0);
    CHECK_INT((int)line_waiting(w->line), 0);
}

static void run(uint64_t seed)
{
    static const int all[] = {0, 1, 2};
    struct world w = {.now_us = 1000 * CLOCK_SECOND_US};

    w.line = line_new(&cfg, all, COUNT_OF(all));
    rng_seed(&w.dice, seed);
    list_init(&w.grants);
    for (int i = 0; i < TICKETS_N; i++)
        ticket_init(&w.tickets[i]);
    for (int i = 0; i < STEPS_N; i++) {
        w.now_us += (int64_t)rng_below(&w.dice, 4 * CLOCK_MS_US);
        if (rng_below(&w.dice, 3) > 0) /* a worker may come late */
            ring(&w);
        step(&w);
        if (!CHECK(is_alive(&w))) {
            printf("# seed %llu, step %d\n", (unsigned long long)seed, i);
            return;
        }
    }
    drain(&w);
    CHECK(w.woken_n > 10 && w.refused_n > 1000 && w.waited_n > 1000);
    line_free(&w.line);
}

TEST(nobody_is_forgotten_1)
{
    run(1);
}

TEST(nobody_is_forgotten_2)
{
    run(2);
}

TEST(nobody_is_forgotten_3)
{
    run(3);
}

/* Eight refusals in a row close the account for a while; whoever waits then is woken by time alone. */
TEST(a_newcomer_takes_nothing_from_those_whom_time_lets_in)
{
    static const int all[] = {0, 1, 2};
    struct world w = {.now_us = 1000 * CLOCK_SECOND_US};
    struct ticket *first = &w.tickets[LIMITER_RUN], *late = &w.tickets[LIMITER_RUN + 1];
    struct call_report busy = {OUTCOME_ACCOUNT_BUSY, -1, 0, 0};

    w.line = line_new(&cfg, all, COUNT_OF(all));
    list_init(&w.grants);
    for (int i = 0; i < TICKETS_N; i++) {
        ticket_init(&w.tickets[i]);
        w.tickets[i].model = 0;
        w.tickets[i].upstream = cfg.models[0].name;
    }
    for (int i = 0; i < LIMITER_RUN; i++)
        CHECK_INT(line_admit(w.line, &w.tickets[i], w.now_us, &w.dice), LINE_TAKEN);
    for (int i = 0; i < LIMITER_RUN; i++)
        line_settle(w.line, &w.tickets[i], &busy, w.now_us += 1000, &w.dice, &w.grants);
    CHECK_INT(line_admit(w.line, first, w.now_us, &w.dice), LINE_QUEUED);
    CHECK(line_wake_us(w.line) > w.now_us && line_wake_us(w.line) < CLOCK_NEVER_US);
    w.now_us = line_wake_us(w.line) + 1;
    CHECK_INT(line_admit(w.line, late, w.now_us, &w.dice), LINE_QUEUED); /* although there is room */
    line_check(w.line);
    line_offer(w.line, w.now_us, &w.dice, &w.grants);
    CHECK(first->state == TICKET_GRANTED && late->state == TICKET_WAITING);
    take_grants(&w);
    line_cancel(w.line, late, w.now_us, &w.dice, &w.grants);
    line_release(w.line, first, w.now_us, &w.dice, &w.grants);
    line_check(w.line);
    line_free(&w.line);
}
