/* SPDX-License-Identifier: MIT */
/* policy/line_layout: lines for several configurations at once, and moving everybody to them. At random
 * moments of a random run the configurations in use change; after every step nobody may wait who could use a
 * free slot, and nobody may get one past the newest limit. */
#include "policy/line.h"

#include "base/mem.h"
#include "config_kit.h"
#include "policy/accounts.h"
#include "tap.h"

#define TICKETS_N 24
#define STEPS_N 20000
#define CONFIGS_N 4

/* The same two accounts with other limits, other models on them, in another order. */
static const struct config CONFIGS[CONFIGS_N] = {
    {.opt = {.line_max = 100},
     ACCOUNTS({.name = "a", SLOTS({NAME("m"), 2}, {NAME("n"), 1})}, {.name = "b", SLOTS({NAME("*"), 2})}),
     ENDPOINTS({.name = "x", .account = 0}, {.name = "y", .account = 1}),
     MODELS({.name = NAME("m"), TIERS({TARGETS({.endpoint = 0})}, {TARGETS({.endpoint = 1})})},
            {.name = NAME("n"), TIERS({TARGETS({.endpoint = 0})})})},
    {.opt = {.line_max = 100},
     ACCOUNTS({.name = "b", SLOTS({NAME("*"), 1})}, {.name = "a", SLOTS({NAME("m"), 5}, {NAME("*"), 1})}),
     ENDPOINTS({.name = "y", .account = 0}, {.name = "x", .account = 1}),
     MODELS({.name = NAME("n"), TIERS({TARGETS({.endpoint = 1}, {.endpoint = 0})})},
            {.name = NAME("m"), TIERS({TARGETS({.endpoint = 1})})})},
    {.opt = {.line_max = 100},
     ACCOUNTS({.name = "a", SLOTS({NAME("m"), 1}, {NAME("n"), 1})}),
     ENDPOINTS({.name = "x", .account = 0}, {.name = "z", .account = -1}),
     MODELS({.name = NAME("m"), TIERS({TARGETS({.endpoint = 0})})},
            {.name = NAME("o"), TIERS({TARGETS({.endpoint = 1})})})},
    {.opt = {.line_max = 100}, /* without accounts, nothing is limited */
     ENDPOINTS({.name = "x", .account = -1}),
     MODELS({.name = NAME("m"), TIERS({TARGETS({.endpoint = 0})})})},
};

/* Everything in one line, for the configurations whose numbers are given, ascending. */
struct hall {
    struct line *line;
    int editions[16], config_of[16];
    size_t n;
    int last;
};

static struct line *line_of(void *ud, int edition, int model)
{
    (void)edition;
    (void)model;
    return ud;
}

/* Makes the line anew for what is in use, and moves everybody; returns how many were granted. */
static size_t lay_out(struct hall *h)
{
    const struct config *newest_first[16];
    static const int all[] = {0, 1, 2, 3};
    struct line_part parts[16];
    struct accounts accounts;
    struct list grants;
    struct rng dice;
    struct line *old = h->line;
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++)
        newest_first[h->n - 1 - i] = &CONFIGS[h->config_of[i]];
    accounts_init(&accounts, newest_first, h->n);
    for (size_t i = 0; i < h->n; i++) {
        const struct config *cfg = &CONFIGS[h->config_of[i]];

        parts[i] =
            (struct line_part){h->editions[i], cfg, accounts.rule[h->n - 1 - i], all, cfg->models_n, 0};
    }
    h->line = line_new_of(parts, h->n);
    if (old != NULL) {
        line_move(old, line_of, h->line);
        CHECK_INT((long long)(line_used(old) + line_waiting(old)), 0);
    }
    list_init(&grants);
    rng_seed(&dice, 1);
    line_offer(h->line, 0, &dice, &grants);
    for (struct list *node; (node = list_pop_front(&grants)) != NULL; n++)
        line_take(h->line, CONTAINER_OF(node, struct ticket, node));
    line_check(h->line);
    line_free(&old);
    accounts_fini(&accounts);
    return n;
}

static int enter(struct hall *h, int config)
{
    h->editions[h->n] = ++h->last;
    h->config_of[h->n++] = config;
    return h->last;
}

static void leave(struct hall *h, size_t i)
{
    memmove(&h->editions[i], &h->editions[i + 1], (h->n - i - 1) * sizeof h->editions[0]);
    memmove(&h->config_of[i], &h->config_of[i + 1], (h->n - i - 1) * sizeof h->config_of[0]);
    h->n--;
}

static enum line_verdict ask(struct hall *h, struct ticket *t, int edition, int model, int64_t arrived_us)
{
    struct rng dice;

    rng_seed(&dice, 1);
    ticket_init(t);
    t->edition = edition;
    t->model = model;
    t->arrived_us = arrived_us;
    for (size_t i = 0; i < h->n; i++) {
        if (h->editions[i] == edition)
            t->upstream = CONFIGS[h->config_of[i]].models[model].name;
    }
    return line_admit(h->line, t, arrived_us, &dice);
}

static size_t give_back(struct hall *h, struct ticket *t)
{
    struct list grants;
    struct rng dice;
    size_t n = 0;

    rng_seed(&dice, 1);
    list_init(&grants);
    line_cancel(h->line, t, 9, &dice, &grants);
    for (struct list *node; (node = list_pop_front(&grants)) != NULL; n++)
        line_take(h->line, CONTAINER_OF(node, struct ticket, node));
    line_check(h->line);
    return n;
}

TEST(a_lower_limit_counts_what_is_in_flight_and_lets_nobody_in_before_it_is_kept)
{
    struct hall h = {.last = -1};
    struct ticket t[4];
    int first = enter(&h, 0), second;

    lay_out(&h);
    CHECK_INT(ask(&h, &t[0], first, 0, 1), LINE_TAKEN);
    CHECK_INT(ask(&h, &t[1], first, 0, 2), LINE_TAKEN);
    second = enter(&h, 2); /* one slot for m instead of two */
    CHECK_INT((long long)lay_out(&h), 0);
    CHECK_INT((long long)line_used(h.line), 2);
    CHECK_INT(ask(&h, &t[2], second, 0, 3), LINE_QUEUED);
    CHECK_INT((long long)give_back(&h, &t[0]), 0); /* two were too many: this one goes to nobody */
    CHECK_INT((long long)give_back(&h, &t[1]), 1);
    CHECK_INT(t[2].state, TICKET_TAKEN);
    give_back(&h, &t[2]);
    line_free(&h.line);
}

TEST(a_higher_limit_is_given_to_those_who_wait_in_their_order)
{
    struct hall h = {.last = -1};
    struct ticket t[6];
    int first = enter(&h, 2);

    lay_out(&h);
    for (int i = 0; i < 6; i++)
        CHECK_INT(ask(&h, &t[i], first, 0, 10 - i), i == 0 ? LINE_TAKEN : LINE_QUEUED);
    enter(&h, 1); /* five */
    CHECK_INT((long long)lay_out(&h), 4);
    CHECK_INT(t[1].state, TICKET_WAITING); /* came last */
    CHECK_INT((long long)give_back(&h, &t[5]), 1);
    CHECK_INT(t[1].state, TICKET_TAKEN);
    for (int i = 0; i < 5; i++)
        give_back(&h, &t[i]);
    line_free(&h.line);
}

TEST(who_waits_under_the_old_configuration_is_before_who_comes_under_the_new_one)
{
    struct hall h = {.last = -1};
    struct ticket t[4];
    int first = enter(&h, 2), second;

    lay_out(&h);
    CHECK_INT(ask(&h, &t[0], first, 0, 1), LINE_TAKEN);
    CHECK_INT(ask(&h, &t[1], first, 0, 2), LINE_QUEUED);
    second = enter(&h, 2);
    lay_out(&h);
    CHECK_INT(ask(&h, &t[2], second, 0, 3), LINE_QUEUED);
    CHECK_INT((long long)line_position(h.line, &t[1]), 1);
    CHECK_INT((long long)line_position(h.line, &t[2]), 2);
    CHECK_INT((long long)give_back(&h, &t[0]), 1);
    CHECK_INT(t[1].state, TICKET_TAKEN);
    CHECK_INT((long long)give_back(&h, &t[1]), 1);
    give_back(&h, &t[2]);
    line_free(&h.line);
}

TEST(an_account_that_is_gone_keeps_its_limit_for_those_who_are_counted_by_it)
{
    struct hall h = {.last = -1};
    struct ticket t[3];
    int first = enter(&h, 2);

    lay_out(&h);
    for (int i = 0; i < 3; i++)
        ask(&h, &t[i], first, 0, i);
    enter(&h, 3);
    CHECK_INT((long long)lay_out(&h), 0);
    CHECK_INT((long long)give_back(&h, &t[0]), 1);
    CHECK_INT((long long)give_back(&h, &t[1]), 1);
    give_back(&h, &t[2]);
    line_free(&h.line);
}

/* Configurations come, and go when nobody of theirs is left. */
static void change_editions(struct hall *h, const struct ticket *t, struct rng *dice)
{
    bool used[16] = {false};

    for (int k = 0; k < TICKETS_N; k++) {
        for (size_t i = 0; i < h->n && t[k].state != TICKET_FREE; i++)
            used[i] = used[i] || h->editions[i] == t[k].edition;
    }
    for (size_t i = h->n; i-- > 0;) {
        if (!used[i] && i + 1 < h->n)
            leave(h, i);
    }
    if (h->n < 6)
        enter(h, (int)rng_below(dice, CONFIGS_N));
    lay_out(h);
}

TEST(random_changes_keep_every_promise_of_the_line)
{
    struct hall h = {.last = -1};
    struct ticket t[TICKETS_N];
    struct rng dice;
    size_t changes_n = 0, queued_n = 0;

    rng_seed(&dice, 7);
    enter(&h, 0);
    lay_out(&h);
    for (int k = 0; k < TICKETS_N; k++)
        ticket_init(&t[k]);
    for (int step = 0; step < STEPS_N; step++) {
        struct ticket *one = &t[rng_below(&dice, TICKETS_N)];
        size_t newest = h.n - 1;

        if (rng_below(&dice, 20) == 0) {
            change_editions(&h, t, &dice);
            changes_n++;
        } else if (one->state == TICKET_FREE) {
            int model = (int)rng_below(&dice, CONFIGS[h.config_of[newest]].models_n);

            queued_n += ask(&h, one, h.editions[newest], model, step) == LINE_QUEUED;
        } else {
            give_back(&h, one);
        }
        line_check(h.line); /* nobody waits who could use a free slot; counts agree */
    }
    for (int k = 0; k < TICKETS_N; k++)
        give_back(&h, &t[k]);
    CHECK_INT((long long)(line_used(h.line) + line_waiting(h.line)), 0);
    CHECK(changes_n > 500 && queued_n > 1000);
    line_free(&h.line);
}
