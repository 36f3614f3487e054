/* SPDX-License-Identifier: MIT */
/* Answers that succeed: plain and streaming, in both dialects, whole and byte by byte, with waiting and with
 * usage. */
#include "support/story.h"
#include "tap.h"

static bool text_is(const struct caller *c, const char *prompt)
{
    return slice_eq(buf_slice(&c->text), story_text(prompt, story_length(prompt)));
}

TEST(a_plain_and_a_streamed_answer_arrive_whole)
{
    struct story s;
    struct world *w;

    story_init(&s, STORY_TWO);
    w = story_begin(&s);
    for (int stream = 0; stream < 2; stream++) {
        struct caller *c = story_ask(w, story_body("any", stream, "what is a tide", NULL));

        CHECK(story_wait(w, c, 5 * STORY_S));
        CHECK_INT(c->status, 200);
        CHECK(c->complete);
        CHECK(text_is(c, "what is a tide"));
        CHECK_INT(c->done, stream);
        CHECK_STR(c->endpoint, "one");
        CHECK(c->request_id[0] != '\0');
        caller_free(&c);
    }
    story_end(&w);
}

TEST(every_way_of_cutting_the_bytes_gives_the_same_answer)
{
    static const size_t PIECES[] = {1, 2, 3, 7, 50, 700};

    for (size_t i = 0; i < COUNT_OF(PIECES); i++) {
        struct story s;
        struct world *w;

        story_init(&s, STORY_ONE("deepseek", ""));
        s.segment_max = PIECES[i];
        s.seed = i + 1;
        w = story_begin(&s);
        for (int stream = 0; stream < 2; stream++) {
            struct caller *c = story_ask(w, story_body("deepseek-flash", stream, "cut me", NULL));

            CHECK(story_wait(w, c, 60 * STORY_S));
            CHECK(c->complete && text_is(c, "cut me"));
            caller_free(&c);
        }
        story_end(&w);
    }
}

TEST(usage_reaches_only_the_client_that_asked_and_the_last_content_survives)
{
    static const struct {
        const char *provider, *base, *model;
    } DIALECTS[] = {{"openai", "/v1", "any"}, {"deepseek", "", "deepseek-flash"}};

    for (size_t d = 0; d < COUNT_OF(DIALECTS); d++) {
        for (int asked = 0; asked < 2; asked++) {
            struct story s;
            struct world *w;
            struct caller *c;

            story_init(&s, d == 0 ? STORY_ONE("openai", "/v1") : STORY_ONE("deepseek", ""));
            w = story_begin(&s);
            c = story_ask(w, story_body(DIALECTS[d].model, true, "count me",
                                        asked ? "\"stream_options\":{\"include_usage\":true}" : NULL));
            CHECK(story_wait(w, c, 5 * STORY_S));
            CHECK(c->complete && c->done && text_is(c, "count me"));
            CHECK_INT(slice_find(buf_slice(&c->body), SLICE("\"prompt_tokens\"")) >= 0, asked);
            CHECK_INT(slice_find(buf_slice(&c->body), SLICE("\"usage\"")) >= 0, asked);
            CHECK(world_metric(w, METRIC_TOKENS_OUT, 0) >= (int64_t)story_length("count me"));
            caller_free(&c);
            story_end(&w);
        }
    }
}

TEST(the_request_behind_the_last_slot_waits_and_is_answered)
{
    struct story s;
    struct world *w;
    struct caller *c[5];

    story_init(
        &s,
        "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
        "accounts: [{name: main, slots: {'*': 2}}]\n"
        "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n"
        "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n");
    s.workers = 3;
    s.one.account_limit = 2; /* one call too many would be refused */
    w = story_begin(&s);
    for (int i = 0; i < 5; i++)
        c[i] = story_ask(w, story_body("any~ttft=1s", i % 2, "wait", NULL));
    world_run(w, STORY_S / 2);
    CHECK_INT(sim_stats(w->sims[0])->working_n, 2);
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), 3);
    for (int i = 0; i < 5; i++) {
        CHECK(story_wait(w, c[i], 10 * STORY_S));
        CHECK_INT(c[i]->status, 200);
        CHECK(c[i]->complete && text_is(c[i], "wait"));
        caller_free(&c[i]);
    }
    CHECK_INT((long long)sim_stats(w->sims[0])->refused_n, 0);
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), 0);
    story_end(&w);
}

TEST(a_streaming_client_that_waits_is_held_with_single_line_comments)
{
    struct story s;
    struct world *w;
    struct caller *c;
    struct slice body;

    story_init(&s, STORY_TWO);
    s.more = "timeouts: {hold: 2s, comment: 3s}\n";
    w = story_begin(&s);
    c = story_ask(w, story_body("any~ttft=12s", true, "patience", NULL));
    world_run(w, 1900 * STORY_MS);
    CHECK_INT(c->status, 0); /* before `hold` nothing is said that could turn out wrong */
    world_run(w, 200 * STORY_MS);
    CHECK_INT(c->status, 200);
    CHECK(story_wait(w, c, 30 * STORY_S));
    CHECK(c->complete && c->done && text_is(c, "patience"));
    body = buf_slice(&c->body);
    CHECK(slice_starts(body, SLICE(": waiting\n: waiting\n: waiting\n: waiting\ndata: ")));
    CHECK(slice_find(body, SLICE("\n: tidegate endpoint=one attempts=1 wait_ms=0\ndata: [DONE]\n\n")) > 0);
    caller_free(&c);
    story_end(&w);
}

TEST(t26_deepseeks_blank_lines_and_comments_for_ten_minutes_then_the_answer)
{
    struct story s;
    struct world *w;

    story_init(&s, STORY_ONE("deepseek", ""));
    s.more = "timeouts: {deadline: 15m}\n";
    w = story_begin(&s);
    for (int stream = 0; stream < 2; stream++) {
        struct caller *c = story_ask(w, story_body("deepseek-flash~queue=595s", stream, "long queue", NULL));

        CHECK(story_wait(w, c, 1000 * STORY_S));
        CHECK_INT(c->status, 200);
        CHECK(c->complete && text_is(c, "long queue"));
        if (!stream)
            CHECK(c->body.n > 0 && c->body.p[0] == '{'); /* no blank line before the JSON */
        CHECK(slice_find(buf_slice(&c->body), SLICE("keep-alive")) < 0);
        caller_free(&c);
    }
    CHECK(world_metric(w, METRIC_KEEPALIVE_BYTES, 0) > 1000);
    story_end(&w);
}

TEST(weights_share_the_calls_and_an_alias_sets_its_fields)
{
    struct story s;
    struct world *w;
    int to_one = 0;

    story_init(&s, "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\nendpoints:\n"
                   "  - {name: one, provider: deepseek, url: 'http://10.0.0.1', key: none}\n"
                   "  - {name: two, provider: deepseek, url: 'http://10.0.0.2', key: none}\n"
                   "models:\n  - name: deepseek-flash\n"
                   "    aliases: [{name: deepseek-chat, set: {thinking: {type: disabled}}}]\n"
                   "    tiers: [[{endpoint: one, weight: 70}, {endpoint: two, weight: 30}]]\n");
    w = story_begin(&s);
    for (int i = 0; i < 100; i++) {
        struct caller *c =
            story_ask(w, story_body(i % 2 ? "deepseek-chat" : "deepseek-flash", true, "share", NULL));
        bool thinks;

        CHECK(story_wait(w, c, 5 * STORY_S) && c->complete && text_is(c, "share"));
        thinks = slice_find(buf_slice(&c->body), SLICE("reasoning_content")) >= 0;
        CHECK_INT(thinks, i % 2 == 0);
        to_one += strcmp(c->endpoint, "one") == 0;
        caller_free(&c);
    }
    CHECK_INT(to_one, 70);
    story_end(&w);
}

TEST(a_slow_reader_pauses_the_endpoint_and_loses_nothing)
{
    struct story s;
    struct world *w;
    struct caller *c;
    struct caller_ask ask;
    int64_t used;

    story_init(&s, STORY_ONE("openai", "/v1"));
    s.more = "limits: {pending: 64KiB}\n";
    w = story_begin(&s);
    c = story_ask(w, story_body("any~size=20000,tokens=200", true, "slowly", NULL));
    ask = c->ask;
    (void)ask;
    c->ask.pause_at_bytes = 1000;
    world_run(w, 30 * STORY_S);
    CHECK(c->ended_us == 0);
    CHECK_INT(sim_stats(w->sims[0])->working_n, 1); /* 4 MB have nowhere to go */
    used = (int64_t)budget_used(&w->app->budget);
    CHECK(used > 0 && used < 1024 * 1024);
    caller_go_on(c);
    CHECK(story_wait(w, c, 60 * STORY_S));
    CHECK(c->complete && c->done);
    CHECK(slice_eq(buf_slice(&c->text), story_text("slowly", 200)) || c->text.n > 0);
    caller_free(&c);
    story_end(&w);
}
