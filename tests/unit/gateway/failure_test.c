/* SPDX-License-Identifier: MIT */
/* Endpoints that fail, in every way the simulator knows: what the client gets, and how often each endpoint
 * was asked. Names that begin with tNN are the failures of other gateways that each test keeps out. */
#include "support/story.h"
#include "tap.h"

/* The first endpoint fails by probability 1, so that the second one is not touched by the model's suffix. */
static void first_fails(struct story *s, enum sim_fault fault, int after)
{
    story_init(s, STORY_TWO);
    s->one.fault_p[fault] = 1.0;
    s->one.fault_after = after;
}

static uint64_t asked(const struct world *w, int sim)
{
    return sim_stats(w->sims[sim])->requests_n;
}

static bool text_is(const struct caller *c, const char *prompt)
{
    return slice_eq(buf_slice(&c->text), story_text(prompt, story_length(prompt)));
}

TEST(before_the_answer_has_begun_another_endpoint_answers)
{
    static const enum sim_fault FAULTS[] = {SIM_429, SIM_500, SIM_503, SIM_EMPTY};

    for (size_t i = 0; i < COUNT_OF(FAULTS); i++) {
        for (int stream = 0; stream < 2; stream++) {
            struct story s;
            struct world *w;
            struct caller *c;

            first_fails(&s, FAULTS[i], 0);
            w = story_begin(&s);
            c = story_ask(w, story_body("any", stream, "another one", NULL));
            CHECK(story_wait(w, c, 5 * STORY_S));
            CHECK_INT(c->status, 200);
            CHECK(c->complete && text_is(c, "another one"));
            CHECK_STR(c->endpoint, "two");
            CHECK_INT((long long)asked(w, 0), 1);
            CHECK_INT((long long)asked(w, 1), 1);
            caller_free(&c);
            story_end(&w);
        }
    }
}

TEST(when_every_endpoint_fails_the_error_says_which_kind_it_was)
{
    static const struct {
        const char *suffix, *code;
        int status;
    } ROWS[] = {
        {"any~429", "upstream_rate_limited", 429},
        {"any~500", "upstream_error", 502},
        {"any~503", "upstream_busy", 503},
        {"any~empty", "upstream_empty", 502},
        {"any~malformed=0", "upstream_malformed", 502},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct story s;
        struct world *w;
        struct caller *c;

        story_init(&s, STORY_TWO);
        w = story_begin(&s);
        c = story_ask(w, story_body(ROWS[i].suffix, true, "nobody", NULL));
        CHECK(story_wait(w, c, 5 * STORY_S));
        CHECK_INT(c->status, ROWS[i].status);
        CHECK_STR(story_error_code(c), ROWS[i].code);
        CHECK(c->complete && !c->done);
        CHECK_INT((long long)asked(w, 0), 1);
        CHECK_INT((long long)asked(w, 1), 1);
        if (ROWS[i].status == 429 || ROWS[i].status == 503)
            CHECK_STR(c->retry_after, "1");
        caller_free(&c);
        story_end(&w);
    }
}

TEST(t01_a_stream_that_breaks_after_tokens_ends_in_one_honest_error)
{
    static const struct {
        enum sim_fault fault;
        const char *code;
    } ROWS[] = {{SIM_CUT, "upstream_truncated"},
                {SIM_STALL, "upstream_stalled"},
                {SIM_MALFORMED, "upstream_malformed"},
                {SIM_NO_DONE, "upstream_truncated"}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct story s;
        struct world *w;
        struct caller *c;
        struct slice whole = story_text("half", 20), got;

        first_fails(&s, ROWS[i].fault, 5);
        s.more = "timeouts: {progress: 30s}\n";
        w = story_begin(&s);
        whole = story_text("half", story_length("half"));
        c = story_ask(w, story_body("any", true, "half", NULL));
        CHECK(story_wait(w, c, 100 * STORY_S));
        got = buf_slice(&c->text);
        CHECK_INT(c->status, 200);
        CHECK(c->error_event && !c->done && !c->complete); /* never a clean end */
        CHECK_STR(story_error_code(c), ROWS[i].code);
        CHECK(got.n > 0 && slice_starts(whole, got)); /* what came is a true beginning, nothing twice */
        CHECK_INT((long long)asked(w, 0), 1);
        CHECK_INT((long long)asked(w, 1), 0); /* an answer that has begun is not begun again */
        CHECK_INT(world_metric(w, METRIC_TRUNCATED, 0), 1);
        caller_free(&c);
        story_end(&w);
    }
}

/* One stream whose first endpoint fails so, behind k tokens, and whose second one would begin anew. */
static void cut_behind(const char *fault, size_t k, size_t *moved_n, size_t *broken_n)
{
    const char *prompt = "not twice";
    struct story s;
    struct world *w;
    struct caller *c;
    char yaml[1024];

    snprintf(yaml, sizeof yaml,
             "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\nendpoints:\n"
             "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}\n"
             "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"
             "models: [{name: any, tiers: [[{endpoint: one, model: 'any~%s=%zu'}], [{endpoint: two}]]}]\n",
             fault, k);
    story_init(&s, yaml);
    s.more = "timeouts: {progress: 1s, transport: 2s}\n";
    s.segment_max = k % 3 == 0 ? 0 : 100;
    w = story_begin(&s);
    c = story_ask(w, story_body("any", true, prompt, NULL));
    CHECK(story_wait(w, c, 20 * STORY_S));
    CHECK(slice_starts(story_text(prompt, story_length(prompt)), buf_slice(&c->text)));
    CHECK(c->done == text_is(c, prompt) && c->done != c->error_event);
    CHECK_INT(asked(w, 1), c->done);
    *moved_n += c->done;
    *broken_n += c->error_event;
    caller_free(&c);
    story_end(&w);
}

/* What a client has read is always a beginning of the one text, and whole only when it is said to be. */
TEST(t03_no_text_comes_twice_wherever_a_stream_is_cut)
{
    static const char *const FAULTS[] = {"cut", "stall", "malformed", "reset"};
    size_t moved_n = 0, broken_n = 0;

    for (size_t i = 0; i < COUNT_OF(FAULTS); i++) {
        for (size_t k = 0; k < story_length("not twice"); k++)
            cut_behind(FAULTS[i], k, &moved_n, &broken_n);
    }
    CHECK(moved_n >= COUNT_OF(FAULTS) && broken_n > moved_n);
}

TEST(a_stream_that_breaks_before_its_first_text_is_answered_by_another_endpoint)
{
    static const char *const FAULTS[] = {"cut=0", "malformed=0", "hang", "stall=0", "empty"};

    for (size_t i = 0; i < COUNT_OF(FAULTS); i++) {
        struct story s;
        struct world *w;
        struct caller *c;
        char yaml[1024];

        snprintf(yaml, sizeof yaml,
                 "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\nendpoints:\n"
                 "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}\n"
                 "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"
                 "models: [{name: any, tiers: [[{endpoint: one, model: 'any~%s'}], [{endpoint: two}]]}]\n",
                 FAULTS[i]);
        story_init(&s, yaml);
        s.more = "timeouts: {transport: 2s}\n";
        w = story_begin(&s);
        c = story_ask(w, story_body("any", true, "early", NULL));
        CHECK(story_wait(w, c, 20 * STORY_S));
        if (!CHECK(c->complete && c->done && text_is(c, "early")))
            printf("# %s\n", FAULTS[i]);
        CHECK_STR(c->endpoint, "two");
        CHECK_INT((long long)asked(w, 0), 1);
        CHECK_INT((long long)asked(w, 1), 1);
        caller_free(&c);
        story_end(&w);
    }
}

TEST(t02_a_truncated_plain_answer_is_no_success_and_another_endpoint_answers)
{
    struct story s;
    struct world *w;
    struct caller *c;

    first_fails(&s, SIM_CUT, 5);
    w = story_begin(&s);
    c = story_ask(w, story_body("any", false, "whole", NULL));
    CHECK(story_wait(w, c, 5 * STORY_S));
    CHECK(c->complete && text_is(c, "whole"));
    CHECK_STR(c->endpoint, "two");
    caller_free(&c);
    c = story_ask(w, story_body("any~cut=5", false, "whole", NULL));
    CHECK(story_wait(w, c, 5 * STORY_S));
    CHECK_INT(c->status, 502);
    CHECK_STR(story_error_code(c), "upstream_truncated");
    caller_free(&c);
    story_end(&w);
}

TEST(t04_a_provider_that_never_answers_costs_one_bound_and_nobody_else)
{
    struct story s;
    struct world *w;
    struct caller *hung[200], *good;
    size_t one_call;

    story_init(&s, STORY_TWO);
    s.patient = true;
    s.workers = 2;
    s.more = "timeouts: {transport: 5s}\n";
    s.one.fault_p[SIM_HANG] = 1.0;
    w = story_begin(&s);
    for (size_t i = 0; i < COUNT_OF(hung); i++)
        hung[i] = story_ask(w, story_body("any", true, "hang", NULL));
    world_run(w, 3 * STORY_S);
    one_call = budget_used(&w->app->budget) / COUNT_OF(hung);
    CHECK(one_call < 8192); /* flat: a held call costs its small body, not copies of it */
    good = story_ask(w, story_body("any", true, "me too", NULL));
    for (size_t i = 0; i < COUNT_OF(hung); i++) {
        CHECK(story_wait(w, hung[i], 20 * STORY_S) && text_is(hung[i], "hang"));
        CHECK(hung[i]->ended_us - hung[i]->started_us < 6 * STORY_S);
        caller_free(&hung[i]);
    }
    CHECK(story_wait(w, good, 20 * STORY_S) && text_is(good, "me too"));
    caller_free(&good);
    CHECK_INT(world_metric(w, METRIC_CALLS, stats_endpoint_outcome(0, OUTCOME_TRANSPORT_TIMEOUT)), 201);
    story_end(&w);
}

TEST(t07_each_of_the_three_clocks_ends_what_it_should_and_names_itself)
{
    static const struct {
        const char *model, *more, *code;
        bool stream;
        int64_t after_us, before_us;
    } ROWS[] = {
        /* silent from the beginning: transport */
        {"any~hang", "timeouts: {transport: 4s, progress: 9s}\n", "upstream_transport_timeout", true,
         4 * STORY_S, 5 * STORY_S},
        /* keep-alives for ever: they are bytes, so only the deadline ends it */
        {"any~queue=100s", "timeouts: {transport: 4s, progress: 6s, deadline: 12s}\n", "deadline_exceeded",
         true, 12 * STORY_S, 13 * STORY_S},
        /* plain and silent: the deadline alone */
        {"any~hang", "timeouts: {transport: 4s, deadline: 12s}\n", "deadline_exceeded", false, 12 * STORY_S,
         13 * STORY_S},
        /* silent after the first tokens: transport comes first here, progress where keep-alives go on is
           below */
        {"any~stall=3", "timeouts: {transport: 30s, progress: 9s}\n", "upstream_stalled", true, 9 * STORY_S,
         10 * STORY_S},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct story s;
        struct world *w;
        struct caller *c;
        int64_t took;

        story_init(&s, STORY_ONE("openai", "/v1"));
        s.more = ROWS[i].more;
        w = story_begin(&s);
        c = story_ask(w, story_body(ROWS[i].model, ROWS[i].stream, "clock", NULL));
        CHECK(story_wait(w, c, 200 * STORY_S));
        took = c->ended_us - c->started_us;
        CHECK_STR(story_error_code(c), ROWS[i].code);
        CHECK(took >= ROWS[i].after_us && took < ROWS[i].before_us);
        caller_free(&c);
        story_end(&w);
    }
}

TEST(t07_a_total_deadline_does_not_end_a_stream_that_flows)
{
    struct story s;
    struct world *w;
    struct caller *c;

    story_init(&s, STORY_ONE("openai", "/v1"));
    s.more = "timeouts: {deadline: 5s}\n";
    w = story_begin(&s);
    c = story_ask(w, story_body("any~gap=1s,tokens=60", true, "long", NULL));
    CHECK(story_wait(w, c, 100 * STORY_S));
    CHECK(c->complete && c->done);
    CHECK(c->ended_us - c->started_us > 50 * STORY_S);
    caller_free(&c);
    story_end(&w);
}

TEST(the_clients_own_patience_bounds_the_wait)
{
    static const struct {
        const char *header, *value;
        int64_t most_us;
    } ROWS[] = {{"x-tidegate-deadline-ms", "1500", 1600 * STORY_MS},
                {"x-stainless-read-timeout", "2.5", 2500 * STORY_MS},
                {"x-stainless-timeout", "2", 2000 * STORY_MS}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct story s;
        struct world *w;
        struct caller *c;

        story_init(&s, STORY_TWO);
        w = story_begin(&s);
        c = story_ask_with(w, story_body("any~hang", false, "hurry", NULL), 0, ROWS[i].header, ROWS[i].value);
        CHECK(story_wait(w, c, 100 * STORY_S));
        CHECK_INT(c->status, 504);
        CHECK_STR(story_error_code(c), "deadline_exceeded");
        CHECK(c->ended_us - c->started_us <= ROWS[i].most_us);
        caller_free(&c);
        story_end(&w);
    }
}

TEST(a_failure_after_the_head_was_held_open_is_told_in_band)
{
    struct story s;
    struct world *w;
    struct caller *c;

    story_init(&s, STORY_ONE("openai", "/v1"));
    s.more = "timeouts: {hold: 1s, comment: 2s, deadline: 10s}\n";
    w = story_begin(&s);
    c = story_ask(w, story_body("any~hang", true, "told", NULL));
    CHECK(story_wait(w, c, 100 * STORY_S));
    CHECK_INT(c->status, 200);
    CHECK(c->error_event && !c->complete && !c->done);
    CHECK_STR(story_error_code(c), "deadline_exceeded");
    caller_free(&c);
    story_end(&w);
}

TEST(nobody_is_there_and_names_that_do_not_resolve)
{
    static const struct {
        const char *url, *code;
    } ROWS[] = {{"http://10.0.0.7/v1", "upstream_unreachable"},
                {"http://nowhere.test/v1", "upstream_name_unresolved"}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct story s;
        struct world *w;
        struct caller *c;
        char yaml[512];

        snprintf(yaml, sizeof yaml,
                 "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
                 "endpoints: [{name: one, provider: openai, url: '%s', key: none}]\n"
                 "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n",
                 ROWS[i].url);
        story_init(&s, yaml);
        w = story_begin(&s);
        c = story_ask(w, story_body("any", true, "hello", NULL));
        CHECK(story_wait(w, c, 100 * STORY_S));
        CHECK_INT(c->status, 503);
        CHECK_STR(story_error_code(c), ROWS[i].code);
        caller_free(&c);
        story_end(&w);
    }
}

TEST(at_most_three_calls_whatever_the_tiers_hold)
{
    struct story s;
    struct world *w;
    struct caller *c;

    story_init(
        &s,
        "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\nendpoints:\n"
        "  - {name: a, provider: openai, url: 'http://10.0.0.1/v1', key: none}\n"
        "  - {name: b, provider: openai, url: 'http://10.0.0.1/v1', key: none}\n"
        "  - {name: c, provider: openai, url: 'http://10.0.0.1/v1', key: none}\n"
        "  - {name: d, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"
        "models: [{name: '*', tiers: [[{endpoint: a}, {endpoint: b}], [{endpoint: c}], [{endpoint: d}]]}]\n");
    s.one.fault_p[SIM_EMPTY] = 1.0; /* calls that have done their work; a 500 at once would not count */
    w = story_begin(&s);
    c = story_ask(w, story_body("any", false, "three", NULL));
    CHECK(story_wait(w, c, 5 * STORY_S));
    CHECK_INT(c->status, 502);
    CHECK_INT((long long)asked(w, 0), 3);
    CHECK_INT((long long)asked(w, 1), 0);
    caller_free(&c);
    story_end(&w);
}

TEST(a_gateway_that_leads_back_to_itself_ends_after_a_few_calls)
{
    struct story s;
    struct world *w;
    struct caller *c;
    int64_t calls = 0;

    story_init(&s, "listen: 127.0.0.1:80\n"
                   "endpoints: [{name: one, provider: openai, url: 'http://self.test/v1', key: client}]\n"
                   "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n");
    w = story_begin(&s);
    vnet_name(w->net, "self.test", "127.0.0.1");
    c = story_ask(w, story_body("any", false, "round and round", NULL));
    CHECK(story_wait(w, c, 10 * STORY_S));
    CHECK_INT(c->status, 508);
    CHECK_STR(story_error_code(c), "loop_detected");
    for (int o = 0; o < OUTCOME_N; o++)
        calls += world_metric(w, METRIC_CALLS, stats_endpoint_outcome(0, (enum outcome)o));
    CHECK_INT(calls, 4);
    caller_free(&c);
    story_end(&w);
}
