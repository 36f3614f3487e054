/* SPDX-License-Identifier: MIT */
/* The control thread: its pages, and drains in virtual time with every kind of work still open. */
#include "gateway/control.h"

#include "wire_kit.h"

#define YAML                                                                                            \
    "listen: 10.0.0.9:80\nadmin: 127.0.0.1:81\nmetrics: 127.0.0.1:82\n"                                 \
    "keys: [{name: tester, key: key-for-tests}]\n"                                                      \
    "accounts: [{name: main, slots: {'*': 1}}]\n"                                                       \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n"
#define TIMES "timeouts: {drain_delay: 2s, drain: 10s, idle: 300s}\n"

static struct world *begin(int workers)
{
    struct story s;

    story_init(&s, YAML);
    s.more = TIMES;
    s.workers = workers;
    return story_begin(&s);
}

static void get_at(struct wire *c, struct world *w, const char *at, const char *line)
{
    char request[256];
    struct addr a;

    CHECK_INT(addr_parse(slice_of(at), &a), ERR_OK);
    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: a\r\n\r\n", line);
    wire_open_at(c, w, &a);
    wire_send(c, request);
    world_run(w, 10 * STORY_MS);
}

/* A signal: in a turn of the control loop, as it comes in the real one, whose clock is right then. */
struct signal {
    struct timer timer;
    struct control *control;
    struct loop *loop; /* for drag */
    bool cut;
};

static void on_signal(struct timer *t)
{
    struct signal *s = CONTAINER_OF(t, struct signal, timer);

    if (s->cut)
        control_cut(s->control);
    else
        control_drain(s->control);
}

static void raise_signal(struct world *w, bool cut)
{
    struct signal s = {.control = w->control, .cut = cut};

    timer_init(&s.timer, on_signal);
    timer_set(&w->control_loop->wheel, &s.timer, vnet_now_us(w->net));
    world_run(w, 2 * STORY_MS);
    CHECK(!timer_is_set(&s.timer));
}

/* -- pages ---------------------------------------------------------------------------------------------- */

TEST(admin_and_metrics_listeners_have_their_pages_and_refuse_the_rest)
{
    static const struct {
        const char *line;
        int status;
        const char *says;
    } ROWS[] = {
        {"GET /healthz", 200, "ok\n"},
        {"GET /readyz", 200, "ready\n"},
        {"HEAD /metrics", 200, "text/plain; version=0.0.4"},
        {"POST /metrics", 405, "method_not_allowed"},
        {"GET /v1/models", 404, "route_not_found"},
        {"GET /metrics/", 404, "route_not_found"},
    };
    static const char *const AT[] = {"127.0.0.1:81", "127.0.0.1:82"};
    struct world *w = begin(1);

    for (size_t i = 0; i < COUNT_OF(ROWS) * COUNT_OF(AT); i++) {
        struct wire c;

        get_at(&c, w, AT[i % 2], ROWS[i / 2].line);
        CHECK_INT(wire_status(&c), ROWS[i / 2].status);
        CHECK(wire_expect(&c, ROWS[i / 2].says));
        CHECK(wire_expect(&c, "X-Request-Id: req_"));
        wire_close(&c);
    }
    story_end(&w);
}

/* As many as a file may have: the page must stay one that can be sent. */
TEST(ten_thousand_models_fit_into_a_page)
{
    struct buf yaml;
    struct story s;
    struct world *w;
    struct wire c;

    buf_init(&yaml, (size_t)2 << 20, NULL);
    (void)!buf_printf(&yaml,
                      "listen: 10.0.0.9:80\nadmin: 127.0.0.1:81\n"
                      "keys: [{name: tester, key: key-for-tests}]\n"
                      "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n"
                      "models:\n");
    for (int i = 0; i < 10000; i++)
        (void)!buf_printf(&yaml, "  - {name: model-%d, tiers: [[{endpoint: one}]]}\n", i);
    (void)!buf_add(&yaml, (struct slice){"", 1});
    story_init(&s, yaml.p);
    w = story_begin(&s);
    get_at(&c, w, "127.0.0.1:81", "HEAD /metrics");
    CHECK_INT(wire_status(&c), 200);
    wire_close(&c);
    story_end(&w);
    buf_fini(&yaml);
}

TEST(a_malformed_request_to_the_admin_side_is_refused)
{
    struct world *w = begin(1);
    struct wire c;

    get_at(&c, w, "127.0.0.1:81", "GET /healthz HTTP/1.1\r\nHost: b");
    CHECK_INT(wire_status(&c), 400);
    CHECK(wire_expect(&c, "\"code\":\"bad_request\""));
    CHECK(c.closed);
    wire_close(&c);
    story_end(&w);
}

TEST(metrics_sum_over_workers_and_name_only_what_is_configured)
{
    struct world *w = begin(3);
    struct wire c;

    for (int i = 0; i < 9; i++) {
        struct caller *k = story_ask(w, story_body("canary-model", i % 2, "canary-prompt", NULL));

        CHECK(story_wait(w, k, 20 * STORY_S) && k->complete);
        caller_free(&k);
    }
    get_at(&c, w, "127.0.0.1:82", "GET /metrics");
    CHECK(wire_expect(&c, "\ntidegate_requests_total{route=\"chat_completions\",outcome=\"full\"} 9\n"));
    CHECK(wire_expect(&c, "\ntidegate_upstream_calls_total{endpoint=\"one\",outcome=\"ok\"} 9\n"));
    CHECK(wire_expect(&c, "\ntidegate_request_duration_seconds_count{model=\"*\"} 9\n"));
    CHECK(wire_expect(&c, "\ntidegate_memory_budget_used_bytes "));
    CHECK(wire_expect(&c, "\ntidegate_slots_used 0\n"));
    CHECK(!wire_has(&c, "canary") && !wire_has(&c, "key-for-tests"));
    wire_close(&c);
    story_end(&w);
}

static void drag(struct timer *t)
{
    struct signal *s = CONTAINER_OF(t, struct signal, timer);

    vnet_drag(s->loop, 12345);
}

static void on_nothing(struct timer *t)
{
    (void)t;
}

TEST(the_longest_turn_of_each_worker_is_told_and_survives_a_reload)
{
    struct world *w = begin(2);
    struct config_report report;
    struct wire c;
    struct signal s = {.loop = w->worker_loops[1]};

    timer_init(&s.timer, drag);
    timer_set(&s.loop->wheel, &s.timer, vnet_now_us(w->net));
    world_run(w, 2 * STORY_MS);
    CHECK_INT(world_reload(w, YAML "workers: 1\n", &report), ERR_OK); /* so many only after a restart */
    get_at(&c, w, "127.0.0.1:82", "GET /metrics");
    CHECK(wire_expect(&c, "\ntidegate_loop_held_seconds_max{worker=\"0\"} 0.000000\n"
                          "tidegate_loop_held_seconds_max{worker=\"1\"} 0.012345\n"));
    CHECK(wire_expect(&c, "\ntidegate_loop_long_turns_total{worker=\"0\"} 0\n"
                          "tidegate_loop_long_turns_total{worker=\"1\"} 1\n"));
    CHECK_INT(world_metric(w, METRIC_LOOP_TURNS, 1), w->worker_loops[1]->turns);
    wire_close(&c);
    s.timer.fire = on_nothing;
    timer_set(&s.loop->wheel, &s.timer, vnet_now_us(w->net) + 61 * STORY_S);
    world_run(w, 62 * STORY_S);
    CHECK_INT(world_metric(w, METRIC_LOOP_HELD, 1), 0);
    CHECK_INT(world_metric(w, METRIC_LOOP_LONG_TURNS, 1), 1);
    story_end(&w);
}

TEST(a_control_that_cannot_listen_names_the_address)
{
    struct world *w = begin(1);
    struct loop *l = vnet_loop(w->net, NULL, 65536);
    struct control_opts o = {.on_drained = NULL};
    struct control *first = w->control;
    const struct config_listener nowhere = {.at = "nowhere"}, *metrics = w->app->edition->cfg->metrics;
    const char *which = "";

    w->app->edition->cfg->metrics = &nowhere;
    CHECK(control_new(w->app, l, &o, &which) == NULL);
    CHECK_STR(which, "nowhere");
    w->app->edition->cfg->metrics = metrics;
    w->app->control = first;
    loop_free(&l); /* asserts that the admin listener is gone again */
    story_end(&w);
}

/* -- draining ------------------------------------------------------------------------------------------- */

TEST(a_drain_of_an_idle_gateway_is_over_after_the_delay)
{
    struct world *w = begin(2);
    struct wire idle, late;

    get_at(&idle, w, "10.0.0.9:80", "GET /healthz");
    raise_signal(w, false);
    raise_signal(w, false); /* said twice, it begins once */
    world_run(w, 1900 * STORY_MS);
    CHECK(!idle.closed && !w->drained);
    get_at(&late, w, "10.0.0.9:80", "GET /healthz"); /* accepting goes on for the delay */
    CHECK_INT(wire_status(&late), 200);
    world_run(w, 200 * STORY_MS);
    CHECK(idle.closed && idle.why == ERR_EOF);
    CHECK(late.closed && w->drained);
    wire_close(&idle);
    wire_close(&late);
    story_end(&w);
}

TEST(after_the_delay_nobody_is_accepted_and_open_connections_take_nothing_new)
{
    struct caller *stream;
    struct world *w = begin(1);
    struct wire late;

    stream = story_ask(w, story_body("any~ttft=6s", true, "long", NULL));
    world_run(w, 100 * STORY_MS);
    raise_signal(w, false);
    world_run(w, 3 * STORY_S);
    get_at(&late, w, "10.0.0.9:80", "GET /healthz");
    CHECK(late.closed && late.got.n == 0);
    CHECK(!w->drained && stream->ended_us == 0);
    CHECK(story_wait(w, stream, 20 * STORY_S));
    CHECK(stream->complete && stream->done); /* a stream finishes within the drain's time */
    world_run(w, 2 * STORY_S);
    CHECK(w->drained);
    wire_close(&late);
    caller_free(&stream);
    story_end(&w);
}

TEST(waiters_are_answered_within_the_drain_or_told_that_the_gateway_drains)
{
    struct world *w = begin(2);
    struct caller *c[6];
    int64_t began_us;

    for (int i = 0; i < 6; i++) { /* one slot: each takes about 3 s */
        c[i] = story_ask(w, story_body("any~ttft=3s", i % 2, "wait", NULL));
        world_run(w, 10 * STORY_MS);
    }
    began_us = vnet_now_us(w->net);
    raise_signal(w, false);
    for (int i = 0; i < 6; i++) {
        CHECK(story_wait(w, c[i], 20 * STORY_S));
        CHECK(c[i]->ended_us - began_us < 12500 * STORY_MS);
    }
    for (int i = 0; i < 6; i++) {
        if (i < 3) {
            CHECK(c[i]->status == 200 && c[i]->complete);
        } else {
            CHECK_STR(story_error_code(c[i]), "gateway_draining");
            CHECK(!c[i]->done);
        }
        if (c[i]->status == 503)
            CHECK_STR(c[i]->retry_after, "1");
        caller_free(&c[i]);
    }
    world_run(w, STORY_S);
    CHECK(w->drained);
    story_end(&w);
}

TEST(a_drains_end_tells_streams_in_band_and_uploads_with_a_status)
{
    struct world *w = begin(1);
    struct wire stream, upload, idle, half;

    wire_open(&stream, w);
    wire_ask(&stream, "", story_body("any~stall=3", true, "cut", NULL));
    wire_open(&upload, w);
    wire_send(&upload,
              "POST /chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Content-Length: 100\r\n\r\n{");
    wire_open(&half, w);
    wire_send(&half, "GET /health");
    get_at(&idle, w, "10.0.0.9:80", "GET /healthz");
    world_run(w, STORY_S);
    raise_signal(w, false);
    world_run(w, 11900 * STORY_MS);
    CHECK(!stream.closed && !upload.closed && idle.closed && !w->drained);
    world_run(w, 2 * STORY_S);
    CHECK(w->drained);
    CHECK(wire_expect(&stream, "\"code\":\"gateway_draining\"") && !wire_has(&stream, "[DONE]"));
    CHECK(!slice_ends(buf_slice(&stream.got), SLICE("\r\n0\r\n\r\n")));
    CHECK_INT(wire_status(&upload), 503);
    CHECK(wire_expect(&upload, "\"code\":\"gateway_draining\""));
    CHECK(stream.closed && upload.closed && half.closed);
    wire_close(&stream);
    wire_close(&upload);
    wire_close(&idle);
    wire_close(&half);
    story_end(&w);
}

TEST(a_second_signal_ends_at_once_and_still_says_why)
{
    for (int drained_before = 0; drained_before < 2; drained_before++) {
        struct world *w = begin(2);
        struct wire upload;
        struct caller *c[4];
        int64_t cut_us;

        for (int i = 0; i < 4; i++)
            c[i] = story_ask(w, story_body("any~ttft=30s", i % 2, "cut", NULL));
        wire_open(&upload, w);
        wire_send(&upload,
                  "POST /chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Content-Length: 100\r\n\r\n{");
        world_run(w, STORY_S);
        if (drained_before)
            raise_signal(w, false);
        world_run(w, 500 * STORY_MS);
        cut_us = vnet_now_us(w->net);
        raise_signal(w, true);
        raise_signal(w, true);
        world_run(w, 500 * STORY_MS);
        CHECK(w->drained);
        for (int i = 0; i < 4; i++) {
            CHECK_STR(story_error_code(c[i]), "gateway_draining");
            CHECK(c[i]->ended_us >= cut_us && c[i]->ended_us - cut_us < 50 * STORY_MS);
            caller_free(&c[i]);
        }
        CHECK(wire_expect(&upload, "\"code\":\"gateway_draining\""));
        CHECK_INT(sim_stats(w->sims[0])->working_n, 0); /* the endpoint has been let go as well */
        wire_close(&upload);
        story_end(&w);
    }
}
