/* SPDX-License-Identifier: MIT */
/* Clients that repeat an invalid request as fast as they can: few of them reach the provider, and nobody else
 * notices, neither other requests of the same client nor other clients. */
#include "support/story.h"
#include "tap.h"

#define STORM_N 1000
#define SIDE_BY_SIDE_N 20
#define LET_N 5 /* limits.refusals */

#define YAML(account, more)                                                                             \
    "listen: 10.0.0.9:80\n"                                                                             \
    "keys:\n"                                                                                           \
    "  - {name: a, key: key-for-tests, limits: {rpm: 100}}\n"                                           \
    "  - {name: b, key: key-of-another}\n"                                                              \
    "accounts: [{name: main, slots: {'*': " account "}}]\n"                                             \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n" more

struct storm {
    struct world *w;
    struct slice body;
    const struct header *key;
    int64_t pause_us; /* between an end and the next request */
    int left_n, open_n;
    int refused_n, from_memory_n, other_n;
    char code[64];
    struct timer timer;
};

static void on_end(void *ud, struct caller *c);

static const struct header A[] = {{{"Authorization", 13}, {"Bearer key-for-tests", 20}}};
static const struct header B[] = {{{"Authorization", 13}, {"Bearer key-of-another", 21}}};

static struct caller *ask(struct world *w, struct slice body, const struct header *key, caller_cb cb,
                          void *ud)
{
    struct caller_ask a = {
        .to = w->listen, .path = "/v1/chat/completions", .body = body, .headers = key, .headers_n = 1};

    return caller_start(w->client_loop, &a, cb, ud);
}

static void next(struct storm *s)
{
    if (s->left_n == 0)
        return;
    s->left_n--;
    s->open_n++;
    ask(s->w, s->body, s->key, on_end, s);
}

static void on_timer(struct timer *t)
{
    next(CONTAINER_OF(t, struct storm, timer));
}

/* What an endpoint said carries its name, what memory says does not. */
static void on_end(void *ud, struct caller *c)
{
    struct storm *s = ud;

    s->open_n--;
    if (c->status == 400 && c->endpoint[0] == '\0' && c->retry_after[0] >= '1')
        s->from_memory_n++;
    else if (c->status == 400 && strcmp(c->endpoint, "one") == 0)
        s->refused_n++;
    else
        s->other_n++;
    snprintf(s->code, sizeof s->code, "%s", story_error_code(c));
    caller_free(&c);
    if (s->pause_us == 0)
        next(s);
    else if (s->left_n > 0)
        timer_set(&s->w->client_loop->wheel, &s->timer, s->w->client_loop->now_us + s->pause_us);
}

static void storm_begin(struct storm *s, struct world *w, const struct header *key, int n, int at_a_time)
{
    *s = (struct storm){.w = w, .key = key, .left_n = n};
    s->body = story_body("m~400", false, "not valid", NULL);
    timer_init(&s->timer, on_timer);
    for (int i = 0; i < at_a_time; i++)
        next(s);
}

static void storm_end(struct storm *s)
{
    while (s->left_n + s->open_n > 0)
        world_run(s->w, STORY_S);
}

static struct world *begin(const char *yaml, int workers)
{
    struct story s;

    story_init(&s, yaml);
    s.workers = workers;
    return story_begin(&s);
}

static uint64_t asked(const struct world *w)
{
    return sim_stats(w->sims[0])->requests_n;
}

TEST(a_thousand_repeated_refusals_are_a_few_calls)
{
    for (int workers = 1; workers <= 3; workers++) {
        struct world *w = begin(YAML("100", ""), workers);
        struct storm s;

        storm_begin(&s, w, B, STORM_N, 1);
        storm_end(&s);
        CHECK_INT((long long)asked(w), LET_N);
        CHECK_INT(s.refused_n, LET_N);
        CHECK_INT(s.from_memory_n, STORM_N - LET_N);
        CHECK_STR(s.code, "invalid_value"); /* the provider's own, as clients know it */
        CHECK_INT(world_metric(w, METRIC_REFUSED_BEFORE, 0), STORM_N - LET_N);
        CHECK_INT(world_metric(w, METRIC_ERRORS, ERR_REFUSED_BEFORE), STORM_N - LET_N);
        story_end(&w);
    }
}

TEST(side_by_side_those_under_way_come_on_top)
{
    struct world *w = begin(YAML("100", ""), 2);
    struct storm s;

    storm_begin(&s, w, B, STORM_N, SIDE_BY_SIDE_N);
    storm_end(&s);
    CHECK(asked(w) <= LET_N + SIDE_BY_SIDE_N);
    CHECK_INT(s.other_n, 0);
    story_end(&w);
}

/* Five, then one after each pause: 1, 2, 4, 8, 16, 30 s, and every 30 s from then on. */
TEST(who_does_not_stop_is_let_through_ever_more_seldom)
{
    struct world *w = begin(YAML("100", ""), 1);
    struct storm s;

    storm_begin(&s, w, B, STORM_N, 0);
    s.pause_us = 150 * STORY_MS;
    next(&s);
    storm_end(&s);
    CHECK(asked(w) >= LET_N + 6 && asked(w) <= LET_N + 9);
    CHECK_INT(s.refused_n, (long long)asked(w));
    CHECK_INT(s.other_n, 0);
    story_end(&w);
}

TEST(another_tenants_same_request_is_not_answered_from_it)
{
    struct world *w = begin(YAML("100", ""), 2);
    struct storm s, t;

    storm_begin(&s, w, A, 50, 1);
    storm_end(&s);
    CHECK_INT(s.from_memory_n, 50 - LET_N);
    storm_begin(&t, w, B, 1, 1);
    storm_end(&t);
    CHECK_INT(t.refused_n, 1);
    CHECK_INT((long long)asked(w), LET_N + 1);
    story_end(&w);
}

/* Not another body, and not by a limit either: what memory answers is charged to nobody. */
TEST(the_tenants_other_requests_are_answered)
{
    struct world *w = begin(YAML("100", ""), 1);
    struct storm s;
    struct caller *c;

    storm_begin(&s, w, A, 200, 1); /* of 100 a minute */
    storm_end(&s);
    CHECK_INT(s.from_memory_n, 200 - LET_N);
    c = ask(w, story_body("m", true, "not valid", NULL), A, NULL, NULL);
    CHECK(story_wait(w, c, 5 * STORY_S));
    CHECK_INT(c->status, 200);
    CHECK(c->done);
    caller_free(&c);
    c = ask(w, story_body("m~400", false, "not valid either", NULL), A, NULL, NULL);
    CHECK(story_wait(w, c, 5 * STORY_S));
    CHECK_STR(c->endpoint, "one");
    caller_free(&c);
    story_end(&w);
}

TEST(without_a_limit_each_is_sent)
{
    struct world *w = begin(YAML("100", "limits: {refusals: 0}\n"), 1);
    struct storm s;

    storm_begin(&s, w, B, 100, 1);
    storm_end(&s);
    CHECK_INT((long long)asked(w), 100);
    CHECK_INT(s.from_memory_n, 0);
    story_end(&w);
}

TEST(another_configuration_begins_anew)
{
    struct world *w = begin(YAML("100", ""), 2);
    struct config_report report = {.text = ""};
    struct storm s;

    storm_begin(&s, w, B, 10, 1);
    storm_end(&s);
    CHECK_INT(s.from_memory_n, 10 - LET_N);
    CHECK_INT(world_reload(w, YAML("99", "workers: 2\n"), &report), ERR_OK);
    world_run(w, STORY_S / 10);
    storm_begin(&s, w, B, 1, 1);
    storm_end(&s);
    CHECK_INT(s.refused_n, 1);
    story_end(&w);
}

/* Here m~400 is refused by one simulator; a header leads to the other, by another name of the model. */
TEST(a_rule_that_leads_elsewhere_makes_it_another_request)
{
    static const struct header ELSEWHERE[] = {{{"Authorization", 13}, {"Bearer key-for-tests", 20}},
                                              {{"x-team", 6}, {"blue", 4}}};
    struct world *w =
        begin("listen: 10.0.0.9:80\n"
              "keys: [{name: a, key: key-for-tests}]\n"
              "endpoints:\n"
              "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}\n"
              "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"
              "models: [{name: 'm~400', tiers: [[{endpoint: one}], [{endpoint: two, model: m}]]}]\n"
              "rules: [{if: {header: {x-team: blue}}, use: [two]}]\n",
              1);
    struct caller_ask a = {
        .to = w->listen, .path = "/v1/chat/completions", .headers = ELSEWHERE, .headers_n = 2};
    struct storm s;
    struct caller *c;

    storm_begin(&s, w, A, 10, 1);
    storm_end(&s);
    CHECK_INT(s.from_memory_n, 10 - LET_N);
    a.body = s.body;
    c = caller_start(w->client_loop, &a, NULL, NULL);
    CHECK(story_wait(w, c, 5 * STORY_S));
    CHECK_INT(c->status, 200);
    CHECK_STR(c->endpoint, "two");
    caller_free(&c);
    story_end(&w);
}

/* Hashed by a helper. */
TEST(a_large_request_is_known_again)
{
    static char prompt[400 * 1024];
    struct world *w = begin(YAML("100", ""), 1);
    struct storm s;

    memset(prompt, 'x', sizeof prompt - 1);
    storm_begin(&s, w, B, 20, 0);
    s.body = story_body("m~400", false, prompt, NULL);
    next(&s);
    storm_end(&s);
    CHECK_INT((long long)asked(w), LET_N);
    CHECK_INT(s.from_memory_n, 20 - LET_N);
    prompt[sizeof prompt / 2] = 'y';
    storm_begin(&s, w, B, 1, 0);
    s.body = story_body("m~400", false, prompt, NULL);
    next(&s);
    storm_end(&s);
    CHECK_INT(s.refused_n, 1);
    story_end(&w);
}

/* One slot. What a good request of another client takes beside the storm, once the first few are through. */
static int64_t slowest_us(bool storm)
{
    struct world *w = begin(YAML("1", ""), 1);
    struct storm s = {.left_n = 0};
    int64_t slowest = 0;

    if (storm) {
        storm_begin(&s, w, A, 100000, SIDE_BY_SIDE_N);
        world_run(w, STORY_S);
    }
    for (int i = 0; i < 20; i++) {
        struct caller *c = ask(w, story_body("m", false, "hello", NULL), B, NULL, NULL);

        CHECK(story_wait(w, c, 10 * STORY_S));
        CHECK_INT(c->status, 200);
        if (c->ended_us - c->started_us > slowest)
            slowest = c->ended_us - c->started_us;
        caller_free(&c);
    }
    s.left_n = 0;
    if (storm)
        storm_end(&s);
    story_end(&w);
    return slowest;
}

TEST(nobody_else_waits_longer)
{
    int64_t alone = slowest_us(false), beside = slowest_us(true);

    CHECK(alone > 0 && beside <= 2 * alone); /* at most one service time more */
}
