/* SPDX-License-Identifier: MIT */
/* Limits in the whole gateway, in virtual time: what is let through, refused, given back and told. */
#include "wire_kit.h"

#include "shared/limits.h"

#define WITH(limits)                                                                     \
    "listen: 10.0.0.9:80\n"                                                              \
    "keys: [{name: tester, key: key-for-tests, limits: {" limits "}}]\n"                 \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n" \
    "models: [{name: small, tiers: [[{endpoint: one}]]}, {name: '*', tiers: [[{endpoint: one}]]}]\n"

static struct world *begin(const char *yaml, int workers)
{
    struct story s;

    story_init(&s, yaml);
    s.workers = workers;
    return story_begin(&s);
}

/* Asks, waits for the end; the status. */
static int ask(struct world *w, struct slice body)
{
    struct caller *c = story_ask(w, body);
    int status;

    CHECK(story_wait(w, c, 100 * STORY_S));
    status = c->status;
    caller_free(&c);
    return status;
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

static struct slice hello(void)
{
    return story_body("small", false, "hello", NULL);
}

/* Where the key `tester` stands: what one more request would see. */
static struct limits_levels level(struct world *w)
{
    struct limits_refusal why;
    struct limits_levels levels;

    limits_ask(w->app->edition->limits, (struct limits_who){0, 0}, vnet_now_us(w->net), 0, &why, &levels);
    return levels;
}

static int64_t tokens_used(struct world *w)
{
    struct limits_levels l = level(w);

    return l.tokens.n - l.tokens.left;
}

/* -- requests -------------------------------------------------------------------------------------------- */

/* 0: it says nothing of the kind. */
static int64_t retry_after_s(const struct caller *c)
{
    uint64_t s = 0;

    slice_to_u64(slice_of(c->retry_after), 1000000, &s);
    return (int64_t)s;
}

static void n_of_many(int workers)
{
    struct world *w = begin(WITH("rpm: 20, rph: 30"), workers);
    struct caller *c[200];
    int passed = 0, refused = 0;

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++)
            c[100 * round + i] = story_ask(w, story_body("small", i % 2 == 0, "hello", NULL));
        rest(w, 65 * STORY_S);
    }
    for (int i = 0; i < 200; i++) {
        passed += c[i]->status == 200;
        refused += c[i]->status == 429;
        if (c[i]->status == 429) {
            CHECK_STR(story_error_code(c[i]), "rate_limit_exceeded");
            CHECK(retry_after_s(c[i]) >= 1 && retry_after_s(c[i]) <= 60);
        }
        caller_free(&c[i]);
    }
    CHECK_INT(passed, 30); /* 20 in the first minute, 10 that the hour leaves in the second */
    CHECK_INT(refused, 170);
    CHECK_INT(world_metric(w, METRIC_LIMIT_REFUSALS, stats_limit(LIMITS_OF_KEY, LIMIT_RPM)), 80);
    CHECK_INT(world_metric(w, METRIC_LIMIT_REFUSALS, stats_limit(LIMITS_OF_KEY, LIMIT_RPH)), 90);
    CHECK_INT(world_metric(w, METRIC_REQUESTS, stats_route_result(ROUTE_CHAT, RESULT_REFUSED)), 170);
    story_end(&w);
}

TEST(n_per_window_let_n_through_on_one_worker)
{
    n_of_many(1);
}

TEST(n_per_window_let_n_through_on_all_workers)
{
    n_of_many(4);
}

TEST(a_client_that_waits_as_it_was_told_is_let_through)
{
    struct world *w = begin(WITH("rpm: 2"), 1);

    CHECK_INT(ask(w, hello()), 200);
    rest(w, 20 * STORY_S);
    CHECK_INT(ask(w, hello()), 200);
    for (int i = 0; i < 5; i++) { /* each waits as long as Retry-After says */
        struct caller *c = story_ask(w, hello());
        int64_t wait_s;

        CHECK(story_wait(w, c, STORY_S));
        CHECK_INT(c->status, 429);
        wait_s = retry_after_s(c);
        CHECK(wait_s > 0 && wait_s <= 60);
        rest(w, wait_s * STORY_S);
        caller_free(&c);
        CHECK_INT(ask(w, hello()), 200);
    }
    story_end(&w);
}

TEST(t09_refused_requests_extend_nothing)
{
    struct world *w = begin(WITH("rpm: 1"), 2);
    int64_t begun_us;

    begun_us = vnet_now_us(w->net);
    CHECK_INT(ask(w, hello()), 200);
    for (int i = 0; i < 500; i++)
        CHECK_INT(ask(w, hello()), 429);
    rest(w, 60 * STORY_S - (vnet_now_us(w->net) - begun_us) + 20 * STORY_MS);
    CHECK_INT(ask(w, hello()), 200);
    story_end(&w);
}

TEST(what_is_refused_for_another_reason_counts_for_nothing)
{
    struct world *w = begin(WITH("rpm: 3, tpm: 100000"), 1);

    CHECK_INT(ask(w, SLICE("{")), 400);
    CHECK_INT(ask(w, SLICE("{\"model\":\"small\",\"messages\":[]}")), 400);
    CHECK_INT(level(w).requests.left, 3);
    CHECK_INT(level(w).tokens.left, 100000);
    story_end(&w);
}

TEST(a_request_is_refused_before_its_body_comes)
{
    struct world *w = begin(WITH("rpm: 1"), 1);
    struct wire c;

    CHECK_INT(ask(w, hello()), 200);
    wire_open(&c, w);
    wire_send(&c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key-for-tests\r\n"
                  "Content-Length: 1000000\r\n\r\n");
    CHECK(wire_wait(&c, "rate_limit_exceeded", STORY_S));
    CHECK_INT(wire_status(&c), 429);
    wire_close(&c);
    story_end(&w);
}

TEST(calls_in_flight_are_bounded_and_come_back_however_they_end)
{
    struct world *w = begin(WITH("inflight: 2"), 3);
    struct caller *a, *b, *c;

    a = story_ask(w, story_body("any~gap=1s,tokens=5", true, "a", NULL));
    b = story_ask_with(w, story_body("any~hang", true, "b", NULL), 3 * STORY_S, NULL, NULL);
    rest(w, STORY_S);
    c = story_ask(w, hello());
    CHECK(story_wait(w, c, STORY_S));
    CHECK_INT(c->status, 429);
    CHECK_STR(c->retry_after, "1");
    caller_free(&c);
    rest(w, 2 * STORY_S); /* b has left */
    CHECK_INT(ask(w, hello()), 200);
    CHECK(story_wait(w, a, 20 * STORY_S));
    CHECK_INT(ask(w, story_body("any~500", false, "x", NULL)), 502);
    CHECK_INT(ask(w, story_body("any~cut=3", true, "x", NULL)), 200);
    CHECK_INT(limits_inflight(w->app->edition->limits), 0);
    caller_free(&a);
    caller_free(&b);
    story_end(&w);
}

/* -- tokens ---------------------------------------------------------------------------------------------- */

TEST(tokens_are_reserved_by_the_bound_and_settled_to_usage)
{
    struct world *w = begin(WITH("tpm: 10000"), 1);
    struct caller *c = story_ask(w, story_body("any~ttft=1s,tokens=7", true, "hello", "\"max_tokens\":500"));
    int64_t reserved;

    rest(w, STORY_S / 2);
    reserved = tokens_used(w);
    CHECK(reserved > 500 && reserved < 530);
    CHECK(story_wait(w, c, 10 * STORY_S));
    CHECK(tokens_used(w) >= 7 && tokens_used(w) < 40); /* the prompt, and seven of the answer */
    CHECK_INT(tokens_used(w), world_metric(w, METRIC_TOKENS_IN, 1) + world_metric(w, METRIC_TOKENS_OUT, 1));
    caller_free(&c);
    story_end(&w);
}

TEST(what_fails_before_an_answer_gives_all_its_tokens_back)
{
    static const char *const models[] = {"any~500", "any~429", "any~503", "any~malformed"};
    struct world *w = begin(WITH("tpm: 10000, rpm: 100"), 1);

    for (size_t i = 0; i < COUNT_OF(models); i++) {
        CHECK(ask(w, story_body(models[i], false, "hello", "\"max_tokens\":500")) >= 429);
        CHECK_INT(tokens_used(w), 0);
        CHECK_INT(level(w).requests.left, 99 - (int64_t)i); /* it was sent, so it is a request */
    }
    story_end(&w);
}

TEST(a_client_that_leaves_pays_the_prompt_and_what_came)
{
    struct world *w = begin(WITH("tpm: 10000"), 1);
    struct caller *c =
        story_ask_with(w, story_body("any~gap=1s,tokens=50", true, "hello", "\"max_tokens\":500"),
                       5500 * STORY_MS, NULL, NULL);

    CHECK(story_wait(w, c, 10 * STORY_S));
    CHECK(c->left);
    rest(w, STORY_S);
    CHECK(tokens_used(w) >= 6 && tokens_used(w) < 30);
    caller_free(&c);
    story_end(&w);
}

TEST(who_left_the_line_before_any_call_has_used_nothing)
{
    struct world *w = begin("listen: 10.0.0.9:80\n"
                            "keys: [{name: tester, key: key-for-tests, limits: {rpm: 10, tpm: 9000}}]\n"
                            "accounts: [{name: main, slots: {'*': 1}}]\n"
                            "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, "
                            "account: main}]\n"
                            "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n",
                            1);
    struct caller *holder = story_ask(w, story_body("any~ttft=20s,tokens=1", true, "x", "\"max_tokens\":1")),
                  *c;
    int64_t used;

    rest(w, STORY_S);
    used = tokens_used(w);
    c = story_ask_with(w, story_body("any", true, "x", "\"max_tokens\":1000"), STORY_S, NULL, NULL);
    rest(w, STORY_S / 2);
    CHECK(tokens_used(w) > used + 1000);
    CHECK_INT(level(w).requests.left, 8);
    CHECK(story_wait(w, c, 2 * STORY_S));
    rest(w, STORY_S / 10);
    CHECK_INT(tokens_used(w), used);
    CHECK_INT(level(w).requests.left, 9);
    CHECK(story_wait(w, holder, 30 * STORY_S));
    caller_free(&c);
    caller_free(&holder);
    story_end(&w);
}

TEST(a_request_that_can_never_fit_is_told_so)
{
    struct world *w = begin(WITH("tpm: 1000"), 1);
    struct wire c;

    wire_open(&c, w);
    wire_ask(&c, "", story_body("small", false, "hello", "\"max_tokens\":2000"));
    CHECK(wire_wait(&c, "request_exceeds_limit", STORY_S));
    CHECK_INT(wire_status(&c), 413);
    CHECK(wire_expect(&c, "X-Should-Retry: false\r\n"));
    CHECK(!wire_has(&c, "Retry-After"));
    CHECK(wire_expect(&c, "this key may use 1000 per minute (limits.tpm): it can never fit."));
    wire_close(&c);
    CHECK_INT(tokens_used(w), 0);
    CHECK_INT(ask(w, hello()), 200); /* who does not ask for much is not kept from it */
    story_end(&w);
}

TEST(the_estimate_learns_from_usage)
{
    struct world *w = begin(WITH("tpm: 1000000"), 1);
    struct limits *l = w->app->edition->limits;

    CHECK_INT(limits_answer(l, 1), 512);
    CHECK_INT(ask(w, story_body("any~tokens=9", false, "hello there, who is it?", NULL)), 200);
    CHECK(limits_answer(l, 1) < 100);
    CHECK(limits_prompt(l, 1, 1000) != 1000);
    CHECK_INT(limits_prompt(l, 0, 1000), 1000); /* each model for itself */
    story_end(&w);
}

/* -- what clients are told ------------------------------------------------------------------------------- */

TEST(headers_say_where_the_limits_stand)
{
    struct world *w = begin(WITH("rps: 5, rpm: 3, tpm: 5000, models: {small: {rpm: 2}}"), 1);
    struct wire c;

    wire_open(&c, w);
    wire_ask(&c, "", story_body("small", true, "hello", "\"max_tokens\":100"));
    CHECK(wire_wait(&c, "[DONE]", STORY_S));
    CHECK(wire_expect(&c, "X-RateLimit-Limit-Requests: 2\r\nX-RateLimit-Remaining-Requests: 1\r\n"
                          "X-RateLimit-Reset-Requests: 1m0s\r\nX-RateLimit-Limit-Tokens: 5000\r\n"
                          "X-RateLimit-Remaining-Tokens: 48"));
    wire_close(&c);
    rest(w, 29500 * STORY_MS);
    CHECK_INT(ask(w, hello()), 200);
    wire_open(&c, w);
    wire_ask(&c, "", hello());
    CHECK(wire_wait(&c, "rate_limit_exceeded", STORY_S));
    CHECK(wire_expect(&c, "X-RateLimit-Limit-Requests: 2\r\nX-RateLimit-Remaining-Requests: 0\r\n"));
    CHECK(wire_expect(&c, "Retry-After-Ms: 30"));
    CHECK(wire_expect(&c, "Retry-After: 31\r\n"));
    CHECK(wire_expect(&c, "Limit reached: this key for the model 'small' may have 2 requests per minute "
                          "(limits.rpm). The next fits in 30."));
    CHECK(!wire_has(&c, "X-Should-Retry"));
    wire_close(&c);
    story_end(&w);
}

TEST(a_key_without_limits_gets_no_such_headers_and_one_model_can_be_limited_for_all)
{
    struct world *w =
        begin("listen: 10.0.0.9:80\n"
              "keys: [{name: tester, key: key-for-tests}]\n"
              "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n"
              "models:\n"
              "  - {name: small, tiers: [[{endpoint: one}]], limits: {rph: 1}}\n"
              "  - {name: '*', tiers: [[{endpoint: one}]]}\n",
              1);
    struct wire c;

    wire_open(&c, w);
    wire_ask(&c, "", story_body("any", false, "hello", NULL));
    CHECK(wire_wait(&c, "\"usage\"", STORY_S));
    CHECK(!wire_has(&c, "RateLimit"));
    wire_close(&c);
    CHECK_INT(ask(w, hello()), 200);
    wire_open(&c, w);
    wire_ask(&c, "", hello());
    CHECK(wire_wait(&c, "everybody together for the model 'small' may have 1 requests per hour", STORY_S));
    CHECK(wire_expect(&c, "Retry-After: 60\r\n")); /* never more, and the message says the rest */
    CHECK(wire_expect(&c, "X-RateLimit-Reset-Requests: 59m59."));
    wire_close(&c);
    story_end(&w);
}
