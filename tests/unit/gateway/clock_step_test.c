/* SPDX-License-Identifier: MIT */
/* A wall clock that is set while requests are under way, and a machine that slept: waits are counted on a
 * clock that nobody sets, dates on the one that says what time it is. */
#include "http/date.h"
#include "support/story.h"
#include "tap.h"
#include "wire_kit.h"

#define HOUR_US (3600 * STORY_S)

static const int64_t STEPS_US[] = {-HOUR_US, HOUR_US, -400 * 24 * HOUR_US};

#define LINE_YAML                                                                                       \
    "listen: 10.0.0.9:80\n"                                                                             \
    "keys: [{name: tester, key: key-for-tests}]\n"                                                      \
    "accounts: [{name: main, slots: {'*': 1}}]\n"                                                       \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n"                                               \
    "timeouts: {deadline: 2500ms, transport: 2s}\n"

/* Time passes also where nothing is to be done. */
static void wait_us(struct world *w, int64_t us)
{
    int64_t until_us = vnet_now_us(w->net) + us;

    world_run(w, us);
    vnet_sleep(w->net, until_us - vnet_now_us(w->net));
    world_run(w, 0);
}

/* When each of three ended: one that streams, one that waits behind it, one that waits in vain. */
static void ends_with_step(int64_t step_us, int64_t ends_us[3])
{
    static const char *const TOKENS[] = {"\"max_tokens\":20", "\"max_tokens\":15", "\"max_tokens\":100"};
    struct caller *c[3];
    struct story s;
    struct world *w;

    story_init(&s, LINE_YAML);
    s.one.gap = (struct sim_time){50 * STORY_MS, 0};
    w = story_begin(&s);
    for (int i = 0; i < 3; i++)
        c[i] = story_ask(w, story_body("any", i == 0, "hello", TOKENS[i]));
    world_run(w, 500 * STORY_MS);
    vnet_step_wall(w->net, step_us);
    world_run(w, 20 * STORY_S);
    CHECK_INT(c[0]->status, 200);
    CHECK(c[0]->done);
    for (int i = 0; i < 3; i++) {
        ends_us[i] = c[i]->ended_us - c[i]->started_us;
        caller_free(&c[i]);
    }
    story_end(&w);
}

TEST(nobody_waits_longer_or_shorter_because_the_clock_was_set)
{
    int64_t plain_us[3], stepped_us[3];

    ends_with_step(0, plain_us);
    CHECK(plain_us[0] > 700 * STORY_MS && plain_us[1] > plain_us[0] && plain_us[2] >= 2500 * STORY_MS);
    for (size_t i = 0; i < COUNT_OF(STEPS_US); i++) {
        ends_with_step(STEPS_US[i], stepped_us);
        for (int k = 0; k < 3; k++)
            CHECK_INT(stepped_us[k], plain_us[k]);
    }
}

TEST(a_limit_goes_on_counting_when_the_clock_is_set)
{
    for (size_t i = 0; i < COUNT_OF(STEPS_US); i++) {
        struct caller *c[4];
        struct story s;
        struct world *w;

        story_init(&s, "listen: 10.0.0.9:80\n"
                       "keys: [{name: tester, key: key-for-tests, limits: {rpm: 2}}]\n"
                       "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n"
                       "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n");
        w = story_begin(&s);
        for (int k = 0; k < 2; k++)
            c[k] = story_ask(w, story_body("any", false, "hello", NULL));
        wait_us(w, 10 * STORY_S);
        vnet_step_wall(w->net, STEPS_US[i]);
        c[2] = story_ask(w, story_body("any", false, "hello", NULL));
        wait_us(w, 51 * STORY_S); /* a minute after the first two */
        c[3] = story_ask(w, story_body("any", false, "hello", NULL));
        world_run(w, STORY_S);
        CHECK_INT(c[2]->status, 429);
        CHECK(strtol(c[2]->retry_after, NULL, 10) >= 49 && strtol(c[2]->retry_after, NULL, 10) <= 51);
        for (int k = 0; k < 4; k++)
            caller_free(&c[k]);
        story_end(&w);
    }
}

/* The Date of the last response, in seconds since 1970. */
static long long date_of(const struct wire *c)
{
    ptrdiff_t at = slice_find(buf_slice(&c->got), SLICE("\r\nDate: "));
    int64_t at_s = 0;

    CHECK(at >= 0 && date_parse((struct slice){c->got.p + at + 8, DATE_BYTES}, 1793318400 * STORY_S, &at_s));
    return at_s;
}

TEST(dates_follow_the_clock_at_once_in_both_directions)
{
    struct world *w = wire_world(STORY_TWO, -1, NULL);
    struct wire c;
    long long before_s;

    wire_open(&c, w);
    wire_ask(&c, "", SLICE("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"));
    CHECK(wire_wait(&c, "\"usage\"", STORY_S));
    before_s = date_of(&c);
    for (int i = 0; i < 2; i++) {
        vnet_step_wall(w->net, i == 0 ? -HOUR_US : 2 * HOUR_US);
        c.got.n = 0;
        wire_ask(&c, "", SLICE("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}"));
        CHECK(wire_wait(&c, "\"usage\"", STORY_S));
        CHECK(date_of(&c) - before_s - (i == 0 ? -3600 : 3600) <= 1);
        CHECK(date_of(&c) - before_s - (i == 0 ? -3600 : 3600) >= 0);
    }
    wire_close(&c);
    story_end(&w);
}

/* Everything that was due meanwhile is due now, once; what was asked before the sleep gets an honest end, and
 * what is asked after it an answer. */
TEST(a_machine_that_slept_ends_what_is_overdue_and_serves_on)
{
    struct caller *waits, *next;
    struct story s;
    struct world *w;
    uint64_t turns;

    story_init(&s, LINE_YAML);
    s.one.fault_p[SIM_HANG] = 1;
    w = story_begin(&s);
    waits = story_ask(w, story_body("any", false, "hello", NULL));
    world_run(w, STORY_S);
    turns = w->worker_loops[0]->turns;
    vnet_sleep(w->net, 10 * HOUR_US);
    world_run(w, STORY_S);
    CHECK_INT(waits->status, 504);
    CHECK_STR(story_error_code(waits), "deadline_exceeded");
    CHECK(w->worker_loops[0]->turns - turns < 20); /* no storm of what was missed */
    next = story_ask(w, story_body("any~tokens=3", false, "hello", NULL));
    world_run(w, 5 * STORY_S);
    CHECK_INT(next->status, 504); /* that endpoint still hangs: in its own time, not at once */
    CHECK(next->ended_us - next->started_us >= 2500 * STORY_MS);
    caller_free(&waits);
    caller_free(&next);
    story_end(&w);
}
