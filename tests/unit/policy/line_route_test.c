/* SPDX-License-Identifier: MIT */
/* policy/line: slots of endpoints beside those of accounts, nearest regions first, spilling after a wait, and
 * prices. */
#include "policy/line.h"

#include "base/clock.h"
#include "config_kit.h"
#include "tap.h"

#define S CLOCK_SECOND_US
#define TICKETS_N 40
#define STEPS_N 60000

enum { BOTH, SECOND, MODELS_N };

/* The account has three slots; its first endpoint takes two calls itself, its second three of which one may
 * be for n. */
static const struct config SLOTTED = {
    .opt = {.line_max = 100, .attempts_max = 3, .failures_max = 5},
    ACCOUNTS({.name = "main", SLOTS({NAME("*"), 3})}, {.name = "endpoint:a", SLOTS({NAME("*"), 2})},
             {.name = "endpoint:b", SLOTS({NAME("m"), 2}, {NAME("n"), 1})}),
    ENDPOINTS({.account = 0, .own = 2}, {.account = 0, .own = 3}, {.account = -1, .own = 3}),
    MODELS([BOTH] = {.name = NAME("m"),
                     TIERS({TARGETS({.endpoint = 0}, {.endpoint = 1, .model = NAME("m")})})},
           [SECOND] = {.name = NAME("n"),
                       TIERS({TARGETS({.endpoint = 2, .model = NAME("n")}, {.endpoint = 0})})})};

struct scene {
    struct line *line;
    struct rng dice;
    struct list grants;
    int64_t now_us;
};

static void begin(struct scene *s, const struct config *cfg)
{
    static const int all[] = {0, 1};

    s->line = line_new(cfg, all, cfg->models_n);
    rng_seed(&s->dice, 1);
    list_init(&s->grants);
    s->now_us = S;
}

static void end(struct scene *s)
{
    line_check(s->line);
    CHECK_INT((long long)line_used(s->line), 0);
    CHECK_INT((long long)line_waiting(s->line), 0);
    line_free(&s->line);
}

static enum line_verdict ask(struct scene *s, struct ticket *t, int model)
{
    enum line_verdict v;

    ticket_init(t);
    t->model = model;
    t->arrived_us = s->now_us;
    t->upstream = model == 0 ? SLICE("m") : SLICE("n");
    v = line_admit(s->line, t, s->now_us, &s->dice);
    line_check(s->line);
    return v;
}

static void leave(struct scene *s, struct ticket *t)
{
    line_cancel(s->line, t, s->now_us, &s->dice, &s->grants);
    line_check(s->line);
}

static void answered(struct scene *s, struct ticket *t)
{
    struct call_report r = {.outcome = OUTCOME_OK, .retry_after_us = -1};

    line_settle(s->line, t, &r, s->now_us, &s->dice, &s->grants);
    line_check(s->line);
}

/* Who was granted by the last step: all of them are taken. */
static int take_grants(struct scene *s)
{
    struct list *node;
    int n = 0;

    while ((node = list_pop_front(&s->grants))) {
        line_take(s->line, CONTAINER_OF(node, struct ticket, node));
        n++;
    }
    return n;
}

/* -- slots of endpoints ---------------------------------------------------------------------------------- */

TEST(a_call_needs_a_slot_of_its_account_and_one_of_its_endpoint)
{
    struct scene s;
    struct ticket t[5];
    int at[2] = {0, 0};

    begin(&s, &SLOTTED);
    for (int i = 0; i < 3; i++) {
        CHECK(ask(&s, &t[i], BOTH) == LINE_TAKEN);
        at[t[i].endpoint]++;
    }
    CHECK(at[0] <= 2 && at[1] <= 2);
    CHECK(ask(&s, &t[3], BOTH) == LINE_QUEUED); /* the account is full, one of the endpoints is not */
    CHECK(ask(&s, &t[4], SECOND) == LINE_TAKEN);
    CHECK_INT(t[4].endpoint, 2); /* which has no account */
    answered(&s, &t[4]);
    CHECK_INT(take_grants(&s), 0); /* a slot that is of no use to who waits */
    answered(&s, &t[0]);
    CHECK_INT(take_grants(&s), 1);
    CHECK(t[3].state == TICKET_TAKEN);
    for (int i = 1; i < 4; i++)
        leave(&s, &t[i]);
    end(&s);
}

TEST(a_full_endpoint_is_waited_for_although_its_account_has_room)
{
    const struct config cfg = {
        .opt = {.line_max = 100, .attempts_max = 3, .failures_max = 5},
        ACCOUNTS({.name = "main", SLOTS({NAME("*"), 9})}, {.name = "endpoint:a", SLOTS({NAME("*"), 1})}),
        ENDPOINTS({.account = 0, .own = 2}),
        MODELS({.name = NAME("m"), TIERS({TARGETS({.endpoint = 0})})})};
    struct scene s;
    struct ticket t[3];

    begin(&s, &cfg);
    CHECK(ask(&s, &t[0], 0) == LINE_TAKEN);
    CHECK(ask(&s, &t[1], 0) == LINE_QUEUED && ask(&s, &t[2], 0) == LINE_QUEUED);
    answered(&s, &t[0]);
    CHECK(take_grants(&s) == 1 && t[1].state == TICKET_TAKEN);
    leave(&s, &t[1]);
    CHECK(take_grants(&s) == 1 && t[2].state == TICKET_TAKEN);
    leave(&s, &t[2]);
    end(&s);
}

/* The account counts the models apart, the endpoint together. */
TEST(a_slot_of_the_endpoint_goes_to_whoever_waits_for_it)
{
    const struct config cfg = {
        .opt = {.line_max = 100, .attempts_max = 3, .failures_max = 5},
        ACCOUNTS({.name = "main", SLOTS({NAME("m"), 1}, {NAME("n"), 1})},
                 {.name = "endpoint:a", SLOTS({NAME("*"), 1})}),
        ENDPOINTS({.account = 0, .own = 2}),
        MODELS({.name = NAME("m"), TIERS({TARGETS({.endpoint = 0, .model = NAME("m")})})},
               {.name = NAME("n"), TIERS({TARGETS({.endpoint = 0})})})};
    struct scene s;
    struct ticket m, n;

    begin(&s, &cfg);
    CHECK(ask(&s, &m, 0) == LINE_TAKEN && ask(&s, &n, 1) == LINE_QUEUED);
    answered(&s, &m);
    CHECK(take_grants(&s) == 1 && n.state == TICKET_TAKEN);
    CHECK(ask(&s, &m, 0) == LINE_QUEUED);
    answered(&s, &n);
    CHECK(take_grants(&s) == 1 && m.state == TICKET_TAKEN);
    leave(&s, &m);
    end(&s);
}

/* What the tickets hold, counted from them alone. */
static void count(const struct ticket *t, int n, int by_account[3], int by_own[3])
{
    for (int i = 0; i < n; i++) {
        const struct config_endpoint *e = &SLOTTED.endpoints[t[i].endpoint < 0 ? 0 : t[i].endpoint];

        if (t[i].state != TICKET_TAKEN && t[i].state != TICKET_GRANTED)
            continue;
        by_account[0] += e->account == 0;
        by_own[e->own == 2 ? 0 : t[i].model == BOTH ? 1 : 2]++;
    }
}

/* line_check asserts besides that nobody waits who could be granted a target. */
TEST(both_are_exact_whatever_happens)
{
    struct scene s;
    struct ticket t[TICKETS_N];
    int wrong_n = 0, full_n = 0;

    begin(&s, &SLOTTED);
    for (int i = 0; i < TICKETS_N; i++)
        ticket_init(&t[i]);
    for (int step = 0; step < STEPS_N; step++) {
        struct ticket *it = &t[rng_below(&s.dice, TICKETS_N)];
        int account[3] = {0}, own[3] = {0};

        s.now_us += (int64_t)rng_below(&s.dice, 1000);
        if (it->state == TICKET_FREE)
            (void)ask(&s, it, (int)rng_below(&s.dice, MODELS_N));
        else if (it->state == TICKET_TAKEN && rng_below(&s.dice, 3) > 0)
            answered(&s, it);
        else
            leave(&s, it);
        if (rng_below(&s.dice, 2) == 0)
            take_grants(&s);
        count(t, TICKETS_N, account, own);
        wrong_n += account[0] > 3 || own[0] > 2 || own[1] > 2 || own[2] > 1;
        full_n += account[0] == 3 && own[0] < 2;
    }
    CHECK_INT(wrong_n, 0);
    CHECK(full_n > STEPS_N / 20); /* the account was full with an endpoint that was not */
    take_grants(&s);
    for (int i = 0; i < TICKETS_N; i++) {
        leave(&s, &t[i]);
        take_grants(&s);
    }
    end(&s);
}

static struct line *the_only_line(void *ud, int edition, int model)
{
    (void)edition;
    (void)model;
    return ud;
}

TEST(calls_in_flight_count_on_after_a_reload)
{
    const struct config_account fewer[] = {{.name = "main", SLOTS({NAME("*"), 3})},
                                           {.name = "endpoint:a", SLOTS({NAME("*"), 1})},
                                           {.name = "endpoint:b", SLOTS({NAME("*"), 1})}};
    const struct config_account *rules[] = {&fewer[0], &fewer[1], &fewer[2]};
    int models[] = {BOTH, SECOND};
    struct line_part before = {.cfg = &SLOTTED, .models = models, .models_n = 2}, after = before;
    struct scene s;
    struct ticket t[4];
    struct line *next;

    after.accounts = rules;
    begin(&s, &SLOTTED);
    for (int i = 0; i < 3; i++)
        CHECK(ask(&s, &t[i], BOTH) == LINE_TAKEN);
    CHECK(ask(&s, &t[3], BOTH) == LINE_QUEUED);
    next = line_new_of(&after, 1);
    line_move(s.line, the_only_line, next);
    CHECK_INT((long long)line_used(s.line), 0);
    line_free(&s.line);
    s.line = next;
    line_offer(s.line, s.now_us, &s.dice, &s.grants);
    CHECK_INT(take_grants(&s), 0);
    for (int i = 0; i < 2; i++) {
        answered(&s, &t[i]);
        (void)take_grants(&s);
    }
    leave(&s, &t[2]);
    (void)take_grants(&s);
    CHECK(t[3].state == TICKET_TAKEN);
    leave(&s, &t[3]);
    end(&s);
}

/* -- regions --------------------------------------------------------------------------------------------- */

#define ROUTED .opt = {.line_max = 100, .attempts_max = 3, .failures_max = 2, .outage_us = 30 * S}

TEST(weights_split_among_the_nearest_and_the_others_step_in_when_these_are_full)
{
    const struct config cfg = {
        ROUTED, ACCOUNTS({.name = "endpoint:near", SLOTS({NAME("*"), 4})}),
        ENDPOINTS({.account = -1, .own = 1}, {.account = -1, .distance_us = 180000},
                  {.account = -1, .own = 1}),
        MODELS({.name = NAME("m"),
                TIERS({TARGETS({.endpoint = 0, .weight = 1}, {.endpoint = 1, .weight = 98},
                               {.endpoint = 2, .weight = 1})})})};
    struct scene s;
    struct ticket t[6];
    int at[3] = {0};

    begin(&s, &cfg);
    for (int i = 0; i < 6; i++) {
        CHECK(ask(&s, &t[i], 0) == LINE_TAKEN);
        at[t[i].endpoint]++;
        CHECK((t[i].endpoint == 1) == (i >= 4));
    }
    CHECK(at[0] == 2 && at[2] == 2);
    for (int i = 0; i < 6; i++)
        leave(&s, &t[i]);
    end(&s);
}

TEST(without_weights_distance_is_a_cost_like_any_other)
{
    const struct config cfg = {
        ROUTED, ENDPOINTS({.account = -1, .distance_us = 180000}, {.account = -1}),
        MODELS({.name = NAME("m"), TIERS({TARGETS({.endpoint = 0}, {.endpoint = 1})})})};
    struct scene s;
    struct ticket t[60];
    int first_far = -1;

    begin(&s, &cfg);
    for (int i = 0; i < 60; i++) {
        CHECK(ask(&s, &t[i], 0) == LINE_TAKEN);
        if (t[i].endpoint == 0 && first_far < 0)
            first_far = i;
    }
    CHECK(first_far > 10 &&
          first_far < 60); /* when the near one has so much before it that it is later there */
    for (int i = 0; i < 60; i++)
        leave(&s, &t[i]);
    end(&s);
}

/* -- prices ---------------------------------------------------------------------------------------------- */

TEST(of_equal_costs_the_cheapest_wins_at_its_time_of_day)
{
    static const struct config_price_window night[] = {{0x7f, 0, 360, {100, 100}}};
    static const struct config_price dear = {{900, 900}, night, 1}, plain = {{500, 500}, NULL, 0};
    const struct config cfg = {
        ROUTED, ENDPOINTS({.account = -1, .price = &dear}, {.account = -1}),
        MODELS({.name = NAME("m"), TIERS({TARGETS({.endpoint = 0}, {.endpoint = 1, .price = &plain})})})};
    struct scene s;

    begin(&s, &cfg);
    for (int hour = 0; hour < 24; hour++) {
        struct ticket t;
        int64_t until_us = line_reprice(s.line, hour * 3600 * S);

        CHECK(until_us == (hour < 6 ? 6 : 24) * 3600 * S);
        CHECK(ask(&s, &t, 0) == LINE_TAKEN);
        CHECK_INT(t.endpoint, hour < 6 ? 0 : 1);
        leave(&s, &t);
    }
    end(&s);
}

/* -- spilling -------------------------------------------------------------------------------------------- */

#define SPILLING(after, slots)                                                                               \
    {                                                                                                        \
        ROUTED, ACCOUNTS({.name = "endpoint:first", SLOTS({NAME("*"), slots})}),                             \
            ENDPOINTS({.account = -1, .own = 1}, {.account = -1}, {.account = -1}),                          \
            MODELS(                                                                                          \
                {.name = NAME("m"),                                                                          \
                 .spill_after_us = (after),                                                                  \
                 TIERS({TARGETS({.endpoint = 0})}, {TARGETS({.endpoint = 1})}, {TARGETS({.endpoint = 2})})}) \
    }

/* Time passes until the line says that it is due, which is then offered. */
static void pass_until(struct scene *s, int64_t until_us)
{
    while (line_wake_us(s->line) <= until_us) {
        if (line_wake_us(s->line) > s->now_us)
            s->now_us = line_wake_us(s->line);
        line_offer(s->line, s->now_us, &s->dice, &s->grants);
        line_check(s->line);
    }
    s->now_us = until_us;
}

TEST(without_spill_after_a_full_tier_is_passed_at_once)
{
    const struct config at_once = SPILLING(CLOCK_NEVER_US, 1);
    struct scene s;
    struct ticket t[2];

    begin(&s, &at_once);
    CHECK(ask(&s, &t[0], 0) == LINE_TAKEN && ask(&s, &t[1], 0) == LINE_TAKEN);
    CHECK(t[0].tier == 0 && t[1].tier == 1);
    leave(&s, &t[0]);
    leave(&s, &t[1]);
    end(&s);
}

TEST(with_it_who_has_waited_so_long_goes_on_to_the_next)
{
    const struct config late = SPILLING(2 * S, 1);
    struct scene s;
    struct ticket t[3];

    begin(&s, &late);
    CHECK(ask(&s, &t[0], 0) == LINE_TAKEN && ask(&s, &t[1], 0) == LINE_QUEUED);
    s.now_us += S;
    CHECK(ask(&s, &t[2], 0) == LINE_QUEUED);
    pass_until(&s, s.now_us + S - 1);
    CHECK_INT(take_grants(&s), 0);
    pass_until(&s, s.now_us + 1); /* two seconds behind the second ticket */
    CHECK(take_grants(&s) == 1 && t[1].state == TICKET_TAKEN && t[1].tier == 1);
    pass_until(&s, s.now_us + S);
    CHECK(take_grants(&s) == 1 && t[2].state == TICKET_TAKEN && t[2].tier == 1);
    for (int i = 0; i < 3; i++)
        leave(&s, &t[i]);
    end(&s);
}

TEST(a_tier_that_is_of_no_use_is_not_waited_for)
{
    const struct config late = SPILLING(3600 * S, 1);
    struct call_report bad = {.outcome = OUTCOME_SERVER_ERROR, .retry_after_us = -1};
    struct scene s;
    struct ticket t[2];

    begin(&s, &late);
    CHECK(ask(&s, &t[0], 0) == LINE_TAKEN);
    line_settle(s.line, &t[0], &bad, s.now_us, &s.dice, &s.grants);
    CHECK(line_admit(s.line, &t[0], s.now_us, &s.dice) == LINE_TAKEN); /* failed there, it goes on */
    CHECK_INT(t[0].tier, 1);
    leave(&s, &t[0]);
    CHECK(ask(&s, &t[0], 0) == LINE_TAKEN && t[0].tier == 0);
    line_settle(s.line, &t[0], &bad, s.now_us, &s.dice,
                &s.grants); /* the second in a row: its breaker opens */
    CHECK(ask(&s, &t[1], 0) == LINE_TAKEN);
    CHECK_INT(t[1].tier, 1);
    leave(&s, &t[1]);
    end(&s);
}

/* Each call takes a second on one slot: after some of them the line knows, and who would have to wait for
 * more than two of them goes elsewhere when it comes. */
TEST(who_would_wait_for_longer_does_not_wait_at_all)
{
    const struct config late = SPILLING(2500000, 1);
    struct scene s;
    struct ticket busy, waiting[12];
    int spilled_n = 0, waits_n = 0;

    begin(&s, &late);
    CHECK(ask(&s, &busy, 0) == LINE_TAKEN);
    for (int i = 0; i < 12; i++) { /* one waits, always */
        CHECK(ask(&s, &waiting[0], 0) == LINE_QUEUED);
        pass_until(&s, s.now_us + S);
        answered(&s, &busy);
        CHECK_INT(take_grants(&s), 1);
        CHECK_INT(waiting[0].tier, 0);
        leave(&s, &waiting[0]);
        CHECK(ask(&s, &busy, 0) == LINE_TAKEN);
    }
    for (int i = 0; i < 12; i++) {
        enum line_verdict v = ask(&s, &waiting[i], 0);

        waits_n += v == LINE_QUEUED;
        spilled_n += v == LINE_TAKEN && waiting[i].tier == 1;
    }
    CHECK(waits_n >= 2 && waits_n <= 4);
    CHECK_INT(waits_n + spilled_n, 12);
    pass_until(&s, s.now_us + 3 * S); /* nobody waits for longer than that */
    CHECK_INT(take_grants(&s), waits_n);
    leave(&s, &busy);
    for (int i = 0; i < 12; i++)
        leave(&s, &waiting[i]);
    end(&s);
}

/* Random steps with time passing as the line asks for it; line_check after each. */
TEST(nobody_is_forgotten_while_tiers_open)
{
    const struct config late = SPILLING(50000, 2);
    struct scene s;
    struct ticket t[TICKETS_N];
    int spilled_n = 0, longest_us = 0;

    begin(&s, &late);
    for (int i = 0; i < TICKETS_N; i++)
        ticket_init(&t[i]);
    for (int step = 0; step < STEPS_N / 2; step++) {
        struct ticket *it = &t[rng_below(&s.dice, TICKETS_N)];

        pass_until(&s, s.now_us + (int64_t)rng_below(&s.dice, 3000));
        take_grants(&s);
        if (it->state == TICKET_FREE) {
            (void)ask(&s, it, 0);
        } else if (it->state == TICKET_TAKEN) {
            spilled_n += it->tier > 0;
            answered(&s, it);
        } else if (rng_below(&s.dice, 20) == 0) {
            leave(&s, it);
        } else if (s.now_us - it->arrived_us > longest_us) {
            longest_us = (int)(s.now_us - it->arrived_us);
        }
        take_grants(&s);
    }
    CHECK(spilled_n > 1000);
    CHECK(longest_us <= 50000); /* the second tier takes everybody */
    for (int i = 0; i < TICKETS_N; i++) {
        leave(&s, &t[i]);
        take_grants(&s);
    }
    end(&s);
}
