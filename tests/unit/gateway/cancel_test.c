/* SPDX-License-Identifier: MIT */
/* Clients that leave: in every state, everything they held is given back at once. */
#include "support/story.h"
#include "tap.h"

#define LATENCY_US 400 /* both ways of the virtual net, and a turn on each side */

#define SLOTS                                                                                           \
    "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"                                 \
    "accounts: [{name: main, slots: {'*': 1}}]\n"                                                       \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n"

/* A client that leaves after `leave_us`; returns how long its endpoint then went on working for it, or -1. */
static int64_t work_after_leaving(const char *model, bool stream, int64_t leave_us)
{
    struct story s;
    struct world *w;
    struct caller *c;
    int64_t left_us, seen_us;

    story_init(&s, SLOTS);
    w = story_begin(&s);
    c = story_ask_with(w, story_body(model, stream, "leaving", NULL), leave_us, NULL, NULL);
    CHECK(story_wait(w, c, leave_us + STORY_S));
    CHECK(c->left);
    left_us = c->ended_us;
    world_run(w, 10 * STORY_S);
    CHECK(world_is_idle(w));
    CHECK_INT((long long)sim_stats(w->sims[0])->cancelled_n, 1);
    seen_us = sim_stats(w->sims[0])->last_cancel_us - left_us;
    caller_free(&c);
    story_end(&w);
    return seen_us;
}

TEST(t06_a_client_that_leaves_ends_its_call_within_50_ms_in_every_phase)
{
    static const struct {
        const char *phase, *model;
        bool stream;
        int64_t leave_us;
    } ROWS[] = {
        {"before a head", "any~hang", true, STORY_S},
        {"before a head, plain", "any~hang", false, STORY_S},
        {"queued at the provider", "any~queue=60s", true, STORY_S},
        {"queued at the provider, plain", "any~queue=60s", false, STORY_S},
        {"before the first token", "any~ttft=60s", true, STORY_S},
        {"between tokens", "any~gap=1s,tokens=50", true, 5 * STORY_S},
        {"while a plain answer is made", "any~gap=1s,tokens=50", false, 5 * STORY_S},
        {"after its head was held open", "any~ttft=60s", true, 8 * STORY_S},
        {"stalled", "any~stall=2", true, 3 * STORY_S},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        int64_t us = work_after_leaving(ROWS[i].model, ROWS[i].stream, ROWS[i].leave_us);

        if (!CHECK(us >= 0 && us <= 50 * STORY_MS))
            printf("# %s: %lld us\n", ROWS[i].phase, (long long)us);
        CHECK(us <= 10 * LATENCY_US); /* no timer stands in between */
    }
}

TEST(t06_a_client_that_leaves_the_line_frees_its_place_and_one_that_holds_the_slot_hands_it_over)
{
    struct story s;
    struct world *w;
    struct caller *holder, *second, *third;

    story_init(&s, SLOTS);
    s.workers = 2;
    w = story_begin(&s);
    holder =
        story_ask_with(w, story_body("any~gap=1s,tokens=60", true, "holder", NULL), 10 * STORY_S, NULL, NULL);
    world_run(w, STORY_S);
    second = story_ask_with(w, story_body("any", true, "second", NULL), 2 * STORY_S, NULL, NULL);
    third = story_ask(w, story_body("any", true, "third", NULL));
    world_run(w, STORY_S);
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), 2);
    world_run(w, 2 * STORY_S);
    CHECK(second->left);
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), 1);
    CHECK(story_wait(w, third, 20 * STORY_S));
    CHECK(third->complete);
    CHECK(third->ended_us - holder->ended_us < 100 * STORY_MS);
    CHECK_INT((long long)sim_stats(w->sims[0])->requests_n, 2);
    caller_free(&holder);
    caller_free(&second);
    caller_free(&third);
    story_end(&w);
}

TEST(t06_a_client_that_leaves_while_connecting_leaves_nothing_behind)
{
    struct story s;
    struct world *w;
    struct caller *c;
    struct addr hole;

    story_init(&s, SLOTS);
    w = story_begin(&s);
    (void)!addr_parse(SLICE("10.0.0.1:80"), &hole);
    vnet_blackhole(w->net, &hole, true);
    c = story_ask_with(w, story_body("any", true, "hole", NULL), STORY_S, NULL, NULL);
    world_run(w, STORY_S + 50 * STORY_MS);
    CHECK(c->left);
    CHECK(world_is_idle(w));
    caller_free(&c);
    story_end(&w);
}

TEST(a_deadline_in_the_line_is_told_and_frees_the_place)
{
    struct story s;
    struct world *w;
    struct caller *holder, *c;

    story_init(&s, SLOTS);
    w = story_begin(&s);
    holder = story_ask(w, story_body("any~gap=1s,tokens=30", true, "holder", NULL));
    world_run(w, STORY_S);
    c = story_ask_with(w, story_body("any", false, "late", NULL), 0, "x-tidegate-deadline-ms", "3000");
    CHECK(story_wait(w, c, 10 * STORY_S));
    CHECK_INT(c->status, 504);
    CHECK_STR(story_error_code(c), "deadline_exceeded");
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), 0);
    CHECK(story_wait(w, holder, 60 * STORY_S) && holder->complete);
    caller_free(&holder);
    caller_free(&c);
    story_end(&w);
}

TEST(a_full_line_refuses_at_once_with_retry_after)
{
    struct story s;
    struct world *w;
    struct caller *c[4];

    story_init(&s, SLOTS);
    s.more = "limits: {line: 2}\n";
    w = story_begin(&s);
    for (int i = 0; i < 4; i++) {
        c[i] = story_ask(w, story_body("any~ttft=2s", false, "full", NULL));
        world_run(w, 10 * STORY_MS);
    }
    CHECK_INT(c[3]->status, 429);
    CHECK_STR(story_error_code(c[3]), "queue_full");
    CHECK_STR(c[3]->retry_after, "1");
    for (int i = 0; i < 4; i++) {
        CHECK(story_wait(w, c[i], 20 * STORY_S));
        CHECK_INT(c[i]->status, i < 3 ? 200 : 429);
        caller_free(&c[i]);
    }
    story_end(&w);
}
