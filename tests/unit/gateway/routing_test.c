/* SPDX-License-Identifier: MIT */
/* Regions, spilling, prices and slots of endpoints in the whole gateway, in virtual time. */
#include <stdio.h>

#include "sim/timeline.h"
#include "support/story.h"
#include "tap.h"

#define CLIENTS_N 24

#define HEAD                \
    "listen: 10.0.0.9:80\n" \
    "keys: [{name: tester, key: key-for-tests}]\n"
#define ONE(more) "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none" more "}\n"
#define TWO(more) "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none" more "}\n"

static struct caller *ask_and_wait(struct world *w)
{
    struct caller *c = story_ask(w, story_body("m", true, "hello", NULL));

    CHECK(story_wait(w, c, 100 * STORY_S));
    CHECK_INT(c->status, 200);
    return c;
}

static bool goes_to(struct world *w, const char *endpoint)
{
    struct caller *c = ask_and_wait(w);
    bool same = strcmp(c->endpoint, endpoint) == 0;

    caller_free(&c);
    return same;
}

static void on_alarm(struct timer *t)
{
    (void)t;
}

/* Time passes, also when nothing happens in it. */
static void rest(struct world *w, int64_t us)
{
    struct timer alarm;

    timer_init(&alarm, on_alarm);
    timer_set(&w->client_loop->wheel, &alarm, vnet_now_us(w->net) + us);
    world_run(w, us);
    timer_stop(&w->client_loop->wheel, &alarm);
}

/* Weighted or not: the near region answers; when it is gone the far one does, and no request is lost; when it
 * is back it answers again. */
TEST(a_region_that_is_gone_is_stood_in_for_until_it_is_back)
{
    static const char *const TIERS[] = {"[[{endpoint: one}, {endpoint: two}]]",
                                        "[[{endpoint: one, weight: 1}, {endpoint: two, weight: 9}]]"};

    for (size_t i = 0; i < COUNT_OF(TIERS); i++) {
        struct sim_timeline_row rows[] = {
            {.at_us = 10 * STORY_S, .until_us = 40 * STORY_S, .rule = {.items = {"500", 3}}, .p = 1}};
        struct sim_timeline t = {rows, 1};
        char yaml[1024];
        struct story s;
        struct world *w;

        snprintf(yaml, sizeof yaml,
                 HEAD "region: eu\nregions: {us: {eu: 90ms}}\nendpoints:\n" ONE(", region: eu")
                     TWO(", region: us") "models: [{name: '*', tiers: %s}]\n",
                 TIERS[i]);
        story_init(&s, yaml);
        s.one.timeline = &t;
        w = story_begin(&s);
        for (int k = 0; k < 10; k++)
            CHECK(goes_to(w, "one"));
        rest(w, 11 * STORY_S - vnet_now_us(w->net));
        for (int k = 0; k < 40; k++)
            CHECK(goes_to(w, "two"));
        rest(w, 100 * STORY_S - vnet_now_us(w->net));
        for (int k = 0; k < 40; k++) { /* probes first, then more and more */
            struct caller *c = ask_and_wait(w);

            caller_free(&c);
            rest(w, STORY_S);
        }
        CHECK(goes_to(w, "one"));
        story_end(&w);
    }
}

/* Nothing but time happens: the worker has to come back for those who wait. */
TEST(a_request_spills_when_it_has_waited_so_long)
{
    struct story s;
    struct world *w;
    struct caller *long_one, *c;

    story_init(
        &s,
        HEAD "endpoints:\n" ONE(", slots: 1") TWO(
            "") "models: [{name: '*', spill_after: 2s, tiers: [[{endpoint: one}], [{endpoint: two}]]}]\n");
    s.one.ttft.median_us = 4 * STORY_S;
    w = story_begin(&s);
    long_one = story_ask(w, story_body("m", true, "hello", NULL));
    world_run(w, STORY_MS);
    c = story_ask(w, story_body("m", true, "hello", NULL));
    CHECK(story_wait(w, c, 100 * STORY_S));
    CHECK_STR(c->endpoint, "two");
    CHECK(c->first_us - c->started_us >= 2 * STORY_S && c->first_us - c->started_us < 2100 * STORY_MS);
    CHECK(story_wait(w, long_one, 100 * STORY_S));
    CHECK_STR(long_one->endpoint, "one");
    caller_free(&long_one);
    caller_free(&c);
    story_end(&w);
}

/* The cheap tier is kept full, and what is too much for it goes on: everybody is answered in time. */
TEST(a_crowd_fills_the_first_tier_before_it_spills)
{
    struct story s;
    struct world *w;
    struct caller *c[CLIENTS_N];
    int at_one = 0;

    story_init(
        &s,
        HEAD "endpoints:\n" ONE(", slots: 2") TWO(
            "") "models: [{name: '*', spill_after: 1s, tiers: [[{endpoint: one}], [{endpoint: two}]]}]\n");
    s.workers = 2;
    s.one.ttft.median_us = s.two.ttft.median_us = 400 * STORY_MS;
    w = story_begin(&s);
    for (int i = 0; i < CLIENTS_N; i++)
        c[i] = story_ask(w, story_body("m", true, "hello", NULL));
    for (int i = 0; i < CLIENTS_N; i++) {
        CHECK(story_wait(w, c[i], 100 * STORY_S));
        CHECK(c[i]->status == 200 && c[i]->complete);
        CHECK(c[i]->first_us - c[i]->started_us < 1600 * STORY_MS);
        at_one += strcmp(c[i]->endpoint, "one") == 0;
        caller_free(&c[i]);
    }
    CHECK(at_one >= 4 && at_one <= 8);
    story_end(&w);
}

/* 00:00 UTC is at 1793318400 s; a world begins then. */
TEST(the_cheaper_one_is_taken_by_the_time_of_day)
{
    struct story s;
    struct world *w;

    story_init(
        &s, HEAD "endpoints:\n" ONE(", price: {input: 2, output: 2}")
                TWO(", price: {input: 3, output: 3, windows: [{from: '00:10', to: '00:20', input: 1, output: "
                    "1}]}") "models: [{name: '*', tiers: [[{endpoint: one}, {endpoint: two}]]}]\n");
    s.one.ttft.sigma = s.two.ttft.sigma = 0;
    w = story_begin(&s);
    for (int i = 0; i < 10; i++)
        CHECK(goes_to(w, "one"));
    rest(w, 11 * 60 * STORY_S);
    for (int i = 0; i < 10; i++)
        CHECK(goes_to(w, "two"));
    rest(w, 10 * 60 * STORY_S);
    for (int i = 0; i < 10; i++)
        CHECK(goes_to(w, "one"));
    story_end(&w);
}

static int most_working(struct world *w, struct caller **c, const char *reload)
{
    int most = 0;

    for (int i = 0; i < CLIENTS_N; i++) {
        while (c[i]->ended_us == 0) {
            const struct sim_stats *st = sim_stats(w->sims[0]);
            struct config_report report;

            world_run(w, 20 * STORY_MS);
            most = st->working_n > most ? st->working_n : most;
            if (reload != NULL && i == CLIENTS_N / 4)
                CHECK(world_reload(w, reload, &report) == ERR_OK);
            if (i == CLIENTS_N / 4)
                reload = NULL;
        }
        CHECK_INT(c[i]->status, 200);
        caller_free(&c[i]);
    }
    return most;
}

TEST(an_endpoints_slots_are_exact_over_workers_and_a_reload)
{
    static const char *const SLOTS = HEAD
        "endpoints:\n" ONE(", slots: 3, account: wide") "accounts: [{name: wide, slots: {'*': 50}}]\nmodels: "
                                                        "[{name: '*', tiers: [[{endpoint: one}]]}]\n";
    struct story s;
    struct world *w;
    struct caller *c[CLIENTS_N];
    char again[1024];

    story_init(&s, SLOTS);
    s.workers = 3;
    s.one.ttft.median_us = 200 * STORY_MS;
    s.one.account_limit = 3; /* one more would be refused */
    w = story_begin(&s);
    for (int i = 0; i < CLIENTS_N; i++)
        c[i] = story_ask(w, story_body("m", i % 2 == 0, "hello", NULL));
    snprintf(again, sizeof again, "%sworkers: 3\nlog_level: warn\n", SLOTS);
    CHECK_INT(most_working(w, c, again), 3);
    CHECK_INT((long long)sim_stats(w->sims[0])->refused_n, 0);
    story_end(&w);
}
