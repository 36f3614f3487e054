/* SPDX-License-Identifier: MIT */
/* Outages and refusals with everything that decides about them in force: breakers, pacing, the retry budget
 * and the line; in virtual time. */
#include "base/clock.h"
#include "gateway/stats.h"
#include "sim/timeline.h"
#include "support/story.h"
#include "tap.h"

#define CLIENTS_N 60

struct ends {
    int full_n, failed_n;
    int64_t longest_us;
    const char *code; /* of the last that failed */
};

/* `n` clients, one each `apart_us`. */
static struct ends crowd(struct world *w, int n, int64_t apart_us, const char *more)
{
    struct caller *c[2000];
    struct ends e = {.code = ""};
    static char code[64];

    ASSERT(n <= (int)COUNT_OF(c));
    for (int i = 0; i < n; i++) {
        c[i] = story_ask(w, story_body("any", i % 2 == 0, "hello", more));
        world_run(w, apart_us);
    }
    for (int i = 0; i < n; i++) {
        CHECK(story_wait(w, c[i], 700 * STORY_S));
        if (c[i]->status == 200 && c[i]->complete && !c[i]->error_event) {
            e.full_n++;
        } else {
            e.failed_n++;
            snprintf(code, sizeof code, "%s", story_error_code(c[i]));
            e.code = code;
        }
        if (c[i]->ended_us - c[i]->started_us > e.longest_us)
            e.longest_us = c[i]->ended_us - c[i]->started_us;
        caller_free(&c[i]);
    }
    return e;
}

static struct world *begin(const char *yaml, const char *more, struct sim_timeline *one, double half)
{
    struct story s;

    story_init(&s, yaml);
    s.patient = true;
    s.more = more;
    s.workers = 2;
    s.one.timeline = one;
    s.one.fault_p[SIM_503] = half;
    return story_begin(&s);
}

static int64_t asked(const struct world *w, int sim)
{
    return (int64_t)sim_stats(w->sims[sim])->requests_n;
}

#define TOTAL(name, fault, seconds)                                                                        \
    struct sim_timeline_row name##_row[] = {                                                               \
        {.at_us = 0, .until_us = (seconds)*STORY_S, .rule = {.items = {(fault), strlen(fault)}}, .p = 1}}; \
    struct sim_timeline name = {name##_row, 1}

TEST(t11_an_outage_of_three_seconds_is_waited_out)
{
    static const char *const FAULTS[] = {"refuse", "500", "503", "429", "drop"};

    for (size_t i = 0; i < COUNT_OF(FAULTS); i++) {
        TOTAL(out, FAULTS[i], 3);
        struct world *w = begin(STORY_ONE("openai", "/v1"), "timeouts: {deadline: 10s}\n", &out, 0);
        struct ends e = crowd(w, CLIENTS_N, 40 * STORY_MS, NULL);

        if (!CHECK_INT(e.full_n, CLIENTS_N))
            printf("# %s: %s\n", FAULTS[i], e.code);
        CHECK(e.longest_us < 10 * STORY_S);
        story_end(&w);
    }
}

/* Nobody can answer for ten minutes: each is told so after retry.outage, and the endpoint is asked little
 * more than twice a second besides. */
TEST(t10_a_long_outage_costs_little_and_everybody_is_told)
{
    TOTAL(out, "500", 3600);
    struct world *w = begin(STORY_ONE("openai", "/v1"), NULL, &out, 0);
    struct ends e = crowd(w, 1200, 100 * STORY_MS, NULL);

    CHECK_INT(e.failed_n, 1200);
    CHECK_STR(e.code, "upstream_error");
    CHECK(e.longest_us <=
          61 * STORY_S); /* one look, then at most retry.outage behind its own first failure */
    if (!CHECK(asked(w, 0) * 10 <= 1200 * 11))
        printf("# %lld calls\n", (long long)asked(w, 0));
    story_end(&w);
}

TEST(half_of_all_calls_refused_is_not_noticed)
{
    struct world *w = begin(STORY_ONE("openai", "/v1"), "timeouts: {deadline: 60s}\n", NULL, 0.5);
    struct ends e = crowd(w, 1000, 50 * STORY_MS, NULL);

    CHECK_INT(e.full_n, 1000);
    CHECK(asked(w, 0) > 1700 && asked(w, 0) < 2300);
    story_end(&w);
}

TEST(t12_an_endpoint_that_fails_is_left_alone_while_another_answers)
{
    TOTAL(out, "500", 60);
    struct world *w = begin(STORY_TWO, NULL, &out, 0);
    struct ends e = crowd(w, 600, 100 * STORY_MS, NULL);
    int64_t tried_n = asked(w, 0);

    CHECK_INT(e.full_n, 600);
    CHECK(tried_n >= 5 && tried_n < 25); /* until it opened, then single probes: 0.5, 1, 2, 4, 8, 16 s */
    CHECK(e.longest_us < STORY_S);
    world_run(w, 20 * STORY_S); /* it is back */
    e = crowd(w, 200, 50 * STORY_MS, NULL);
    CHECK_INT(e.full_n, 200);
    CHECK(asked(w, 0) > tried_n + 150);
    story_end(&w);
}

/* T23: what one worker learns holds for all, within the same instant. */
TEST(t23_workers_share_what_they_know)
{
    TOTAL(out, "500", 600);
    struct story s;
    struct world *w;
    struct ends e;

    story_init(&s, STORY_TWO);
    s.patient = true;
    s.workers = 4;
    s.one.timeline = &out;
    w = story_begin(&s);
    e = crowd(w, 100, 20 * STORY_MS, NULL);
    CHECK_INT(e.full_n, 100);
    CHECK(asked(w, 0) < 10);
    story_end(&w);
}

TEST(t13_who_fails_fast_is_not_attractive)
{
    static const char yaml[] = "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\nendpoints:\n"
                               "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}\n"
                               "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"
                               "models: [{name: '*', tiers: [[{endpoint: one}, {endpoint: two}]]}]\n";
    TOTAL(out, "503", 600);
    struct world *w = begin(yaml, NULL, &out, 0);
    struct ends e = crowd(w, 500, 20 * STORY_MS, NULL);

    CHECK_INT(e.full_n, 500);
    CHECK(asked(w, 0) < 100);
    story_end(&w);
}

TEST(a_parked_key_is_told_at_once_and_asked_again_when_it_may_have_been_mended)
{
    TOTAL(out, "401", 12);
    struct world *w = begin(STORY_ONE("deepseek", ""), NULL, &out, 0);
    struct ends e = crowd(w, 100, 100 * STORY_MS, NULL);

    CHECK_INT(e.failed_n, 100);
    CHECK_STR(e.code, "upstream_credential_refused");
    CHECK(e.longest_us < STORY_S);
    CHECK_INT(asked(w, 0), 2); /* at once, and 5 s later */
    world_run(w, 6 * STORY_S);
    e = crowd(w, 10, 10 * STORY_MS, NULL);
    CHECK_INT(e.full_n, 10);
    story_end(&w);
}

TEST(t05_who_left_while_it_waited_for_its_backoff_asks_nothing_more)
{
    TOTAL(out, "503", 600);
    struct world *w = begin(STORY_ONE("openai", "/v1"), NULL, &out, 0);
    struct caller *c = story_ask_with(w, story_body("any", true, "hello", NULL), 50 * STORY_MS, NULL, NULL);
    int64_t asked_n;

    CHECK(story_wait(w, c, STORY_S));
    asked_n = asked(w, 0);
    world_run(w, 60 * STORY_S);
    CHECK_INT(asked(w, 0), asked_n);
    caller_free(&c);
    story_end(&w);
}
