/* SPDX-License-Identifier: MIT */
/* policy/line tells of each decision how every target stood, with the numbers that counted. */
#include "base/clock.h"
#include "config_kit.h"
#include "policy/line.h"
#include "tap.h"

#define S CLOCK_SECOND_US
#define NOW (1000 * S)

enum { ONE, WEIGHTED, LEAST, TIERED, MANY, SPILLED };

#define FOUR                                           \
    {.endpoint = 3}, {.endpoint = 3}, {.endpoint = 3}, \
    {                                                  \
        .endpoint = 3                                  \
    }
static const struct config cfg = {
    .opt = {.line_max = 100, .attempts_max = 3, .failures_max = 5, .outage_us = 30 * S},
    ACCOUNTS({.name = "small", SLOTS({NAME("*"), 1})}),
    ENDPOINTS({.name = "a", .account = 0, .own = -1}, {.name = "b", .account = -1, .own = -1},
              {.name = "c", .account = -1, .own = -1}, {.name = "d", .account = -1, .own = -1}),
    MODELS({.name = NAME("one"), TIERS({TARGETS({.endpoint = 1})})},
           {.name = NAME("weighted"),
            TIERS({TARGETS({.endpoint = 1, .weight = 70}, {.endpoint = 2, .weight = 30})})},
           {.name = NAME("least"), TIERS({TARGETS({.endpoint = 1}, {.endpoint = 2})})},
           {.name = NAME("tiered"),
            TIERS({TARGETS({.endpoint = 0})}, {TARGETS({.endpoint = 1})}, {TARGETS({.endpoint = 2})})},
           {.name = NAME("many"), TIERS({TARGETS(FOUR, FOUR, FOUR)}, {TARGETS({.endpoint = 0})})},
           {.name = NAME("spilled"),
            .spill_after_us = 2 * S,
            TIERS({TARGETS({.endpoint = 0})}, {TARGETS({.endpoint = 1})})}),
};

struct scene {
    struct line *line;
    struct rng dice;
    struct list grants;
    struct ticket tickets[8];
    int64_t now_us;
};

static void begin(struct scene *s)
{
    static const int MODELS_ALL[] = {ONE, WEIGHTED, LEAST, TIERED, MANY, SPILLED};

    s->line = line_new(&cfg, MODELS_ALL, 6);
    s->now_us = NOW;
    rng_seed(&s->dice, 1);
    list_init(&s->grants);
    for (size_t i = 0; i < 8; i++)
        ticket_init(&s->tickets[i]);
}

static const struct looks *ask(struct scene *s, int i, int model, enum line_verdict want)
{
    struct ticket *t = &s->tickets[i];

    t->model = model;
    t->priority = PRIORITY_NORMAL;
    t->arrived_us = s->now_us;
    t->upstream = cfg.models[model].name;
    t->call.prompt_tokens = 1000;
    CHECK_INT(line_admit(s->line, t, s->now_us, &s->dice), want);
    return &t->looks;
}

static void end(struct scene *s, int i, enum outcome o, int64_t retry_after_us)
{
    struct call_report r = {o, retry_after_us, 0, 0};

    line_settle(s->line, &s->tickets[i], &r, s->now_us, &s->dice, &s->grants);
}

static void finish(struct scene *s)
{
    for (size_t i = 0; i < 8; i++)
        line_cancel(s->line, &s->tickets[i], s->now_us, &s->dice, &s->grants);
    line_free(&s->line);
}

static void check_look(const struct looks *k, size_t i, int target, enum look_is is)
{
    if (CHECK(i < k->n)) {
        CHECK_INT(k->at[i].target, target);
        CHECK_INT(k->at[i].is, is);
    }
}

TEST(where_there_is_one_nothing_is_decided)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    k = ask(&s, 0, ONE, LINE_TAKEN);
    CHECK(k->n == 0 && k->out_n == 0 && k->how == CHOOSE_ONLY && k->budget == -1);
    finish(&s);
}

TEST(weights_are_told)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    k = ask(&s, 0, WEIGHTED, LINE_TAKEN);
    CHECK(k->n == 2 && k->how == CHOOSE_WEIGHT);
    check_look(k, 0, 0, LOOK_USABLE);
    check_look(k, 1, 1, LOOK_USABLE);
    CHECK(k->at[0].v[0] == 70 && k->at[1].v[0] == 30);
    finish(&s);
}

/* As they were when they were weighed: without what this choice adds. */
TEST(costs_are_told_with_what_they_are_made_of)
{
    struct scene s;
    const struct looks *k;
    int first, other;

    begin(&s);
    k = ask(&s, 0, LEAST, LINE_TAKEN);
    CHECK(k->n == 2 && k->how == CHOOSE_DICE); /* equal */
    for (int i = 0; i < 2; i++) {
        check_look(k, (size_t)i, i, LOOK_COST);
        CHECK(k->at[i].v[0] == 0 && k->at[i].v[1] == 1000 && k->at[i].v[2] == 0);
        CHECK_INT(k->at[i].v[3], CHOOSE_TOKEN_NS);
        CHECK_INT(k->at[i].v[5], (1000 + CHOOSE_REQUEST_TOKENS) * CHOOSE_TOKEN_NS / 1000);
    }
    first = s.tickets[0].target;
    other = 1 - first;
    k = ask(&s, 1, LEAST, LINE_TAKEN);
    CHECK_INT(k->how, CHOOSE_LEAST);
    CHECK_INT(s.tickets[1].target, other);
    CHECK_INT(k->at[first].v[0], 1000 + CHOOSE_REQUEST_TOKENS);
    CHECK_INT(k->at[other].v[0], 0);
    CHECK_INT(k->at[first].v[5], 2 * (1000 + CHOOSE_REQUEST_TOKENS) * CHOOSE_TOKEN_NS / 1000);
    end(&s, 1, OUTCOME_SERVER_ERROR, -1);
    k = ask(&s, 2, LEAST, LINE_TAKEN);
    CHECK_INT(k->at[other].v[4], CHOOSE_FAULT_US); /* the penalty */
    finish(&s);
}

TEST(a_full_one_is_told_and_those_behind_the_chosen_are_not)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    k = ask(&s, 0, TIERED, LINE_TAKEN);
    CHECK_INT(k->n, 1);
    check_look(k, 0, 0, LOOK_USABLE);
    k = ask(&s, 1, TIERED, LINE_TAKEN);
    CHECK_INT(k->n, 2);
    check_look(k, 0, 0, LOOK_FULL);
    CHECK(k->at[0].v[0] == 1 && k->at[0].v[1] == 1);
    check_look(k, 1, 1, LOOK_USABLE);
    finish(&s);
}

TEST(a_tier_that_is_kept_for_later_is_told_with_its_time)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    ask(&s, 0, SPILLED, LINE_TAKEN);
    s.now_us += S / 2;
    k = ask(&s, 1, SPILLED, LINE_QUEUED);
    check_look(k, 0, 0, LOOK_FULL);
    check_look(k, 1, 1, LOOK_LATER);
    CHECK_INT(k->at[1].v[0], 2 * S);
    finish(&s);
}

TEST(who_has_failed_it_is_told_and_the_budget_of_what_follows)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    ask(&s, 0, TIERED, LINE_TAKEN);
    end(&s, 0, OUTCOME_SERVER_ERROR, -1);
    k = ask(&s, 0, TIERED, LINE_TAKEN);
    CHECK_INT(s.tickets[0].target, 1);
    check_look(k, 0, 0, LOOK_TRIED);
    check_look(k, 1, 1, LOOK_USABLE);
    CHECK_INT(k->budget, RETRY_HOLD_MIN);
    end(&s, 0, OUTCOME_CREDENTIAL, -1);
    s.tickets[0].never |= 4;
    k = ask(&s, 0, TIERED, LINE_QUEUED); /* rests */
    CHECK_INT(k->how, CHOOSE_NONE);
    check_look(k, 0, 0, LOOK_TRIED);
    check_look(k, 1, 1, LOOK_TRIED);
    check_look(k, 2, 2, LOOK_NEVER);
    CHECK_INT(k->budget, RETRY_HOLD_MIN - 1);
    CHECK(s.tickets[0].rests);
    finish(&s);
}

TEST(an_open_breaker_is_told_with_its_time)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    for (int i = 0; i < 5; i++) {
        s.tickets[0] = (struct ticket){.model = -1};
        ticket_init(&s.tickets[0]);
        ask(&s, 0, TIERED, LINE_TAKEN);
        end(&s, 0, OUTCOME_SERVER_ERROR, -1);
    }
    k = ask(&s, 1, TIERED, LINE_TAKEN);
    check_look(k, 0, 0, LOOK_OPEN);
    CHECK(k->at[0].v[0] >= BREAKER_FIRST_US / 2 && k->at[0].v[0] <= BREAKER_FIRST_US);
    s.now_us += BREAKER_FIRST_US;
    k = ask(&s, 2, TIERED, LINE_TAKEN); /* the probe */
    CHECK_INT(s.tickets[2].target, 0);
    finish(&s);
}

TEST(a_parked_one_is_told_with_the_reason)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    ask(&s, 0, TIERED, LINE_TAKEN);
    end(&s, 0, OUTCOME_BALANCE, -1);
    k = ask(&s, 1, TIERED, LINE_TAKEN);
    check_look(k, 0, 0, LOOK_PARKED);
    CHECK_INT(k->at[0].v[0], OUTCOME_BALANCE);
    CHECK_INT(k->at[0].v[1], HEALTH_PARK_US);
    finish(&s);
}

TEST(one_that_cools_is_told_with_its_time)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    ask(&s, 0, TIERED, LINE_TAKEN);
    end(&s, 0, OUTCOME_SERVER_BUSY, 7 * S);
    k = ask(&s, 1, TIERED, LINE_TAKEN);
    check_look(k, 0, 0, LOOK_COOLING);
    CHECK_INT(k->at[0].v[0], 7 * S);
    finish(&s);
}

/* The slot of the last tier is the only one that is open: the eleven before it do not push it out. */
TEST(of_many_the_chosen_one_is_always_told)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    s.tickets[0].never = (UINT64_C(1) << 12) - 1;
    k = ask(&s, 0, MANY, LINE_TAKEN);
    CHECK_INT(s.tickets[0].target, 12);
    CHECK_INT(k->n, LOOKS_MAX);
    CHECK_INT(k->out_n, 13 - LOOKS_MAX);
    check_look(k, LOOKS_MAX - 1, 12, LOOK_USABLE);
    for (size_t i = 0; i + 1 < LOOKS_MAX; i++)
        check_look(k, i, (int)i, LOOK_NEVER);
    finish(&s);
}

TEST(a_grant_tells_what_was_seen_when_it_was_made)
{
    struct scene s;
    const struct looks *k;

    begin(&s);
    ask(&s, 0, TIERED, LINE_TAKEN);
    s.tickets[1].never = 6; /* only the full one is left */
    k = ask(&s, 1, TIERED, LINE_QUEUED);
    CHECK_INT(k->how, CHOOSE_NONE);
    check_look(k, 0, 0, LOOK_FULL);
    check_look(k, 1, 1, LOOK_NEVER);
    end(&s, 0, OUTCOME_OK, -1);
    CHECK_INT(s.tickets[1].state, TICKET_GRANTED);
    CHECK_INT(k->how, CHOOSE_ONLY);
    check_look(k, 0, 0, LOOK_USABLE);
    list_pop_front(&s.grants);
    finish(&s);
}
