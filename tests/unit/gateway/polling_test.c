/* SPDX-License-Identifier: MIT */
/* Engines that are asked for their load, in a whole gateway in virtual time: nobody waits in the engine who
 * could wait in line, whatever the engine's page does. */
#include "gateway/polling.h"

#include "gateway/edition.h"
#include "http/message.h"
#include "shared/admission.h"
#include "sim/timeline.h"
#include "support/story.h"
#include "tap.h"

#define CLIENTS_N 30
#define SLOTS_N 3

#define YAML(endpoint)                                                               \
    "listen: 10.0.0.9:80\n"                                                          \
    "keys: [{name: tester, key: key-for-tests}]\n"                                   \
    "endpoints: [{name: one, url: 'http://10.0.0.1/v1', key: none, " endpoint "}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n"

static struct world *begin(const char *yaml)
{
    struct story s;

    story_init(&s, yaml);
    s.workers = 2;
    s.one.slots = SLOTS_N;
    s.one.ttft.median_us = 100 * STORY_MS;
    return story_begin(&s);
}

struct seen {
    int full_n, working_n, queued_n; /* answers; the most at the engine at a time */
};

static void look(struct world *w, struct seen *s)
{
    const struct sim_stats *st = sim_stats(w->sims[0]);

    s->working_n = st->working_n > s->working_n ? st->working_n : s->working_n;
    s->queued_n = st->queued_n > s->queued_n ? st->queued_n : s->queued_n;
}

static struct seen crowd(struct world *w)
{
    struct caller *c[CLIENTS_N];
    struct seen s = {0};

    for (int i = 0; i < CLIENTS_N; i++)
        c[i] = story_ask(w, story_body("m", i % 2 == 0, "hello", NULL));
    for (int i = 0; i < CLIENTS_N; i++) {
        while (c[i]->ended_us == 0) {
            world_run(w, 5 * STORY_MS);
            look(w, &s);
        }
        s.full_n += c[i]->status == 200 && c[i]->complete;
        caller_free(&c[i]);
    }
    return s;
}

/* Long enough for the first question and its answer. */
static void listen_to_it(struct world *w)
{
    world_run(w, STORY_S);
}

TEST(an_engine_that_says_how_many_slots_it_has_gets_no_more_calls)
{
    static const char *const YAMLS[] = {YAML("provider: llama"), YAML("provider: sglang"),
                                        YAML("provider: llama, slots: 100"),
                                        YAML("provider: llama, learn: true")};

    for (size_t i = 0; i < COUNT_OF(YAMLS); i++) {
        struct world *w = begin(YAMLS[i]);
        struct seen s;

        listen_to_it(w);
        s = crowd(w);
        CHECK_INT(s.full_n, CLIENTS_N);
        CHECK_INT(s.working_n, SLOTS_N);
        CHECK_INT(s.queued_n, 0);
        story_end(&w);
    }
}

/* The same without asking: all of them wait in the engine, where nobody is before anybody. */
TEST(who_is_not_asked_gets_them_all)
{
    static const char *const YAMLS[] = {YAML("provider: llama, signals: false"), YAML("provider: openai"),
                                        YAML("provider: llama") "timeouts: {signals: 0s}\n"};

    for (size_t i = 0; i < COUNT_OF(YAMLS); i++) {
        struct world *w = begin(YAMLS[i]);
        struct seen s;

        listen_to_it(w);
        s = crowd(w);
        CHECK_INT(s.full_n, CLIENTS_N);
        CHECK(s.queued_n > CLIENTS_N / 2);
        story_end(&w);
    }
}

TEST(fewer_of_the_file_stay_fewer)
{
    struct world *w = begin(YAML("provider: llama, slots: 2"));
    struct seen s;

    listen_to_it(w);
    s = crowd(w);
    CHECK_INT(s.full_n, CLIENTS_N);
    CHECK_INT(s.working_n, 2);
    story_end(&w);
}

TEST(what_an_engine_has_said_goes_on_over_a_reload)
{
    struct config_report report;
    struct world *w = begin(YAML("provider: llama"));
    struct seen s;

    listen_to_it(w);
    CHECK(world_reload(w, YAML("provider: llama, region: eu") "workers: 2\n", &report) == ERR_OK);
    s = crowd(w); /* at once: the new edition has asked nobody yet */
    CHECK_INT(s.full_n, CLIENTS_N);
    CHECK_INT(s.queued_n, 0);
    story_end(&w);
}

/* vLLM says how many wait, and not how many it works on: that is for slots that are learned. */
TEST(a_queue_in_the_engine_is_a_sign_of_too_many)
{
    struct world *w = begin(YAML("provider: vllm, slots: 24, learn: true"));
    struct seen first, second;

    first = crowd(w);
    CHECK(first.queued_n > 10);
    for (int i = 0; i < 6; i++)
        second = crowd(w);
    CHECK_INT(second.full_n, CLIENTS_N);
    CHECK(second.queued_n < first.queued_n / 2);
    story_end(&w);
}

/* 503 while it loads, then nothing at all, then a page: calls go on as ever, and it is heard in the end. */
TEST(a_page_that_is_not_there_says_nothing)
{
    struct story s;
    struct world *w;
    struct caller *c;
    struct seen seen;

    story_init(&s, YAML("provider: llama"));
    s.one.slots = SLOTS_N;
    s.one.loading_us = 7 * STORY_S;
    w = story_begin(&s);
    c = story_ask(w, story_body("m", false, "hello", NULL));
    CHECK(story_wait(w, c, 100 * STORY_S));
    caller_free(&c);
    world_run(w, 20 * STORY_S);
    seen = crowd(w);
    CHECK_INT(seen.full_n, CLIENTS_N);
    CHECK_INT(seen.queued_n, 0);
    story_end(&w);
}

static void note_limit(void *ud, const struct slots_counter *c)
{
    *(int *)ud = slots_limit(c);
}

static int limit_of(const struct world *w)
{
    int limit = -1;

    admission_counters(w->app->edition->admission, note_limit, &limit);
    return limit;
}

/* vLLM tells it with plain answers as well, when it is asked to. */
TEST(the_head_of_an_answer_says_the_same)
{
    struct header waiting = {SLICE("Endpoint-Load-Metrics"),
                             SLICE("TEXT named_metrics.num_requests_waiting=15.0")};
    struct http_response rs = {.status = 200, .headers = &waiting, .headers_n = 1};
    struct world *w = begin(YAML("provider: vllm, slots: 24, learn: true") "timeouts: {signals: 0s}\n");
    struct caller *c[CLIENTS_N];
    int before;

    for (int i = 0; i < CLIENTS_N; i++)
        c[i] = story_ask(w, story_body("m", true, "hello", NULL));
    world_run(w, 50 * STORY_MS);
    before = limit_of(w);
    polling_hear(w->app->edition, 0, 0, &rs, w->worker_loops[0]);
    CHECK_INT(before, 24);
    CHECK_INT(limit_of(w), 9); /* as many as it works on */
    waiting.value = SLICE("nothing of the kind");
    polling_hear(w->app->edition, 0, 0, &rs, w->worker_loops[0]);
    CHECK_INT(limit_of(w), 9);
    for (int i = 0; i < CLIENTS_N; i++) {
        CHECK(story_wait(w, c[i], 100 * STORY_S));
        caller_free(&c[i]);
    }
    story_end(&w);
}
