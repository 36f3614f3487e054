/* SPDX-License-Identifier: MIT */
/* Large request bodies: what they cost while they are needed, and when they are given back. */
#include "base/budget.h"
#include "base/mem.h"
#include "llm/request.h"
#include "support/story.h"
#include "tap.h"

/* A chat request of about `bytes`, most of them in one message. */
static struct slice large_body(size_t bytes, bool stream)
{
    char *prompt = mem_alloc(bytes + 1);
    struct slice body;

    memset(prompt, 'x', bytes);
    prompt[bytes] = '\0';
    body = story_body("any~tokens=20,gap=100ms", stream, prompt, NULL);
    mem_free(prompt);
    return body;
}

/* Once the answer has begun nobody can be asked again, so the request is not kept beside it. */
TEST(a_request_is_forgotten_when_its_answer_has_begun)
{
    struct story s;
    struct world *w;
    struct caller *c;
    struct slice body;

    story_init(&s, STORY_TWO);
    w = story_begin(&s);
    body = large_body(300000, true);
    c = story_ask(w, body);
    for (int ms = 0; ms < 5000 && c->head_us == 0; ms++)
        world_run(w, STORY_MS);
    CHECK(c->head_us != 0);
    CHECK(budget_used(&w->app->budget) < body.n / 4);
    CHECK(story_wait(w, c, 60 * STORY_S));
    CHECK(c->done);
    caller_free(&c);
    story_end(&w);
}

/* Two megabytes are read by a helper; whatever it takes, the answer is the same and nothing stays charged. */
TEST(a_body_that_a_helper_reads_is_answered)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct story s;
        struct world *w;
        struct caller *c;

        story_init(&s, STORY_TWO);
        s.seed = seed;
        w = story_begin(&s);
        c = story_ask(w, large_body(REQUEST_LARGE_BYTES, seed % 2 == 0));
        CHECK(story_wait(w, c, 60 * STORY_S));
        CHECK_INT(c->status, 200);
        CHECK(c->complete && (c->done || seed % 2 == 1));
        CHECK_INT(budget_used(&w->app->budget), 0);
        caller_free(&c);
        story_end(&w);
    }
}

/* While the helper reads, while the answer comes: the client may leave at any time. */
TEST(a_client_may_leave_while_its_large_body_is_read)
{
    size_t early_n = 0;

    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct story s;
        struct world *w;
        struct caller *c;
        int64_t left_us;

        story_init(&s, STORY_TWO);
        s.seed = seed;
        w = story_begin(&s);
        c = story_ask(w, large_body(REQUEST_LARGE_BYTES, true));
        while (budget_used(&w->app->budget) < REQUEST_LARGE_BYTES)
            world_run(w, STORY_MS / 10);
        world_run(w, (int64_t)(seed % 8) * STORY_MS);
        early_n += w->workers[0]->readings_n;
        caller_leave(c);
        left_us = vnet_now_us(w->net);
        while (!world_is_idle(w) && vnet_now_us(w->net) < left_us + STORY_S)
            world_run(w, STORY_MS);
        CHECK(vnet_now_us(w->net) - left_us <= 50 * STORY_MS);
        caller_free(&c);
        story_end(&w);
    }
    CHECK(early_n > 5 && early_n < 40);
}

TEST(a_large_body_that_is_no_json_is_refused_with_a_reason)
{
    struct story s;
    struct world *w;
    struct caller *c;
    struct slice body;

    story_init(&s, STORY_TWO);
    w = story_begin(&s);
    body = large_body(REQUEST_LARGE_BYTES, true);
    body.n--; /* the closing brace */
    c = story_ask(w, body);
    CHECK(story_wait(w, c, 10 * STORY_S));
    CHECK_INT(c->status, 400);
    CHECK_STR(story_error_code(c), "invalid_json");
    CHECK(slice_find(buf_slice(&c->body), SLICE("it ends too early")) > 0);
    CHECK_INT(sim_stats(w->sims[0])->requests_n, 0);
    caller_free(&c);
    story_end(&w);
}

/* A drain and a cut wait for what helpers still have in hand, since it comes home to the worker. */
TEST(a_cut_waits_for_the_helpers)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct story s;
        struct world *w;
        struct caller *c;

        story_init(&s, STORY_TWO);
        s.seed = seed;
        w = story_begin(&s);
        c = story_ask(w, large_body(REQUEST_LARGE_BYTES, true));
        while (budget_used(&w->app->budget) < REQUEST_LARGE_BYTES)
            world_run(w, STORY_MS / 10);
        control_cut(w->control);
        world_run_until(w, 10 * STORY_S, &w->drained);
        CHECK(w->drained && w->workers[0]->readings_n == 0);
        CHECK(c->status == 503 || c->status == 0 || c->status == 200);
        caller_free(&c);
        story_end(&w);
    }
}

/* Helpers that have too much to do hold nobody past the deadline. */
TEST(the_deadline_holds_while_a_helper_reads)
{
    struct story s;
    struct world *w;
    struct caller *c;
    size_t late_n = 0;
    char more[100];

    for (uint64_t seed = 1; seed <= 30; seed++) {
        story_init(&s, STORY_TWO);
        snprintf(more, sizeof more, "timeouts: {deadline: %dms, connect: 1ms}\n", (int)seed);
        s.more = more;
        s.seed = seed;
        w = story_begin(&s);
        c = story_ask(w, large_body(REQUEST_LARGE_BYTES, false));
        CHECK(story_wait(w, c, 10 * STORY_S));
        CHECK(c->status == 504 || c->status == 408 || c->status == 200); /* 408: the body came too late */
        late_n += c->status == 504;
        world_run(w, STORY_S);
        CHECK_INT(budget_used(&w->app->budget), 0);
        caller_free(&c);
        story_end(&w);
    }
    CHECK(late_n > 0);
}
