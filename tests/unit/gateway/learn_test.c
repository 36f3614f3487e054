/* SPDX-License-Identifier: MIT */
/* Slots that are learned, in a whole gateway: an account whose limit nobody has published, and one that takes
 * nothing for a while. Whoever is refused goes back to the line, and is answered when there is room. */
#include "policy/limiter.h"
#include "sim/timeline.h"
#include "support/story.h"
#include "tap.h"

#define CLIENTS_N 120
#define KNEE 5 /* fewer than a limiter begins with */

#define YAML(account)                                                                                   \
    "listen: 10.0.0.9:80\n"                                                                             \
    "keys: [{name: tester, key: key-for-tests}]\n"                                                      \
    "accounts: [" account "]\n"                                                                         \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n"                                               \
    "timeouts: {deadline: 120s}\n"
#define LEARNED YAML("{name: main, learn: true}")
#define FIXED YAML("{name: main, slots: {'*': 100}}")

static struct world *begin(const char *yaml, int workers)
{
    struct story s;

    story_init(&s, yaml);
    s.patient = strstr(yaml, "learn") != NULL;
    s.workers = workers;
    s.one.account_limit = KNEE;
    s.one.ttft.median_us = 200 * STORY_MS;
    return story_begin(&s);
}

struct ends {
    int full_n, refused_n;
    uint64_t upstream_refused_n;
};

/* All of them at once. */
static struct ends crowd(struct world *w)
{
    struct caller *c[CLIENTS_N];
    struct ends e = {0};

    for (int i = 0; i < CLIENTS_N; i++)
        c[i] = story_ask(w, story_body("m", i % 2 == 0, "hello", NULL));
    for (int i = 0; i < CLIENTS_N; i++) {
        CHECK(story_wait(w, c[i], 130 * STORY_S));
        e.full_n += c[i]->status == 200;
        e.refused_n += c[i]->status == 429;
        caller_free(&c[i]);
    }
    e.upstream_refused_n = sim_stats(w->sims[0])->refused_n;
    return e;
}

TEST(a_crowd_at_an_account_of_unknown_limit_is_answered_whole)
{
    for (int workers = 1; workers <= 2; workers++) {
        struct world *w = begin(LEARNED, workers);
        struct ends e = crowd(w);

        CHECK_INT(e.full_n, CLIENTS_N);
        CHECK(e.upstream_refused_n > 0 && e.upstream_refused_n < CLIENTS_N / 3);
        story_end(&w);
    }
}

/* What the same costs without: most are told no. */
TEST(a_crowd_past_a_limit_that_was_given_too_high_is_refused)
{
    struct world *w = begin(FIXED, 1);
    struct ends e = crowd(w);

    CHECK(e.refused_n > CLIENTS_N / 2);
    CHECK_INT(e.full_n + e.refused_n, CLIENTS_N);
    story_end(&w);
}

/* For 5 s nobody is let in: eight refusals close the account, and then it is asked ever more seldom. Nothing
 * happens in between, so that time alone must wake those who wait. */
TEST(an_account_that_takes_nothing_for_a_while_is_waited_for)
{
    struct sim_timeline_row rows[] = {
        {.at_us = 0, .until_us = 5 * STORY_S, .rule = {.items = {"429", 3}}, .p = 1}};
    struct sim_timeline t = {rows, 1};
    struct story s;
    struct world *w;
    struct ends e;

    story_init(&s, LEARNED);
    s.patient = true;
    s.workers = 2;
    s.one.timeline = &t;
    w = story_begin(&s);
    e = crowd(w);
    CHECK_INT(e.full_n, CLIENTS_N);
    CHECK(e.upstream_refused_n >= LIMITER_RUN && e.upstream_refused_n < CLIENTS_N / 2);
    story_end(&w);
}

/* With another endpoint beside it nobody waits for the one that is full. */
TEST(another_endpoint_is_asked_first)
{
    struct story s;
    struct world *w;
    struct ends e;

    story_init(&s, "listen: 10.0.0.9:80\n"
                   "keys: [{name: tester, key: key-for-tests}]\n"
                   "accounts: [{name: main, learn: true}]\n"
                   "endpoints:\n"
                   "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}\n"
                   "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"
                   "models: [{name: '*', tiers: [[{endpoint: one}], [{endpoint: two}]]}]\n");
    s.one.account_limit = 1;
    s.one.ttft.median_us = STORY_S;
    w = story_begin(&s);
    e = crowd(w);
    CHECK_INT(e.full_n, CLIENTS_N);
    CHECK(sim_stats(w->sims[1])->answered_n > CLIENTS_N * 3 / 4);
    story_end(&w);
}
