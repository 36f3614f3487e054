/* SPDX-License-Identifier: MIT */
/* How much a worker does in one turn (io/turn.def), in virtual time: by the number of turns that something
 * takes, and by what others get meanwhile. */
#include "io/turn.h"

#include "base/mem.h"
#include "wire_kit.h"

#define YAML                                                                                            \
    "listen: 10.0.0.9:80\n"                                                                             \
    "keys: [{name: tester, key: key-for-tests}]\n"                                                      \
    "accounts: [{name: main, slots: {'*': 1}}]\n"                                                       \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n" \
    "models: [{name: '*', deadline: 30s, tiers: [[{endpoint: one}]]}]\n"                                \
    "timeouts: {drain_delay: 0s, drain: 60s, idle: 600s, hold: 600s}\n"
#define GET "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
#define CROWD_N (16 * TURN_ENDS)

static struct world *begin(void)
{
    struct story s;

    story_init(&s, YAML);
    return story_begin(&s);
}

static uint64_t turns(const struct world *w)
{
    return w->worker_loops[0]->turns;
}

static struct wire *crowd_new(struct world *w, size_t n)
{
    struct wire *crowd = mem_zalloc(n * sizeof *crowd);

    for (size_t i = 0; i < n; i++)
        wire_open(&crowd[i], w);
    world_run(w, 20 * STORY_MS);
    CHECK_INT(w->workers[0]->conns_n, n);
    return crowd;
}

static void crowd_free(struct wire *crowd, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wire_close(&crowd[i]);
    mem_free(crowd);
}

/* -- requests ------------------------------------------------------------------------------------------- */

TEST(who_pipelines_has_a_bounded_part_of_a_turn_and_all_are_answered)
{
    enum { PIPES_N = 30, EACH_N = 200 };
    struct world *w = begin();
    struct wire *pipes = crowd_new(w, PIPES_N), other;
    struct buf many;
    uint64_t before;

    buf_init(&many, EACH_N * sizeof GET, NULL);
    for (int i = 0; i < EACH_N; i++)
        CHECK_INT(buf_add(&many, SLICE(GET)), ERR_OK);
    before = turns(w);
    for (int i = 0; i < PIPES_N; i++)
        wire_send_n(&pipes[i], buf_slice(&many));
    wire_open(&other, w);
    wire_send(&other, GET);
    world_run(w, 20 * STORY_MS);
    for (int i = 0; i < PIPES_N; i++)
        CHECK_INT(wire_count(&pipes[i], "HTTP/1.1 200 OK"), EACH_N);
    CHECK_INT(wire_count(&other, "HTTP/1.1 200 OK"), 1);
    CHECK(turns(w) - before >= PIPES_N * EACH_N / TURN_REQUESTS);
    CHECK(turns(w) - before >= EACH_N / TURN_CONN_REQUESTS);
    wire_close(&other);
    buf_fini(&many);
    crowd_free(pipes, PIPES_N);
    story_end(&w);
}

TEST(bodies_that_end_in_one_turn_are_parsed_within_its_bound_or_by_helpers)
{
    enum { BODIES_N = 40, BODY_BYTES = 60 * 1024 };
    struct world *w = begin();
    struct wire *crowd = crowd_new(w, BODIES_N);
    char *prompt = mem_zalloc(BODY_BYTES + 1), head[256];
    struct slice body;
    size_t full_n = 0;

    memset(prompt, 'p', BODY_BYTES);
    body = story_body("any", false, prompt, "\"max_tokens\":2");
    snprintf(head, sizeof head,
             "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Content-Length: %zu\r\n\r\n",
             body.n);
    for (int i = 0; i < BODIES_N; i++) {
        wire_send(&crowd[i], head);
        wire_send_n(&crowd[i], (struct slice){body.p, body.n - 1}); /* all but the last byte */
    }
    world_run(w, 50 * STORY_MS);
    CHECK_INT(w->workers[0]->exchanges_n, BODIES_N);
    CHECK_INT(w->workers[0]->flights_n, 0);
    for (int i = 0; i < BODIES_N; i++)
        wire_send(&crowd[i], "}");
    world_run(w, 200); /* the way takes that long */
    CHECK(w->worker_loops[0]->spent.parsed_bytes <= TURN_PARSED_BYTES);
    CHECK(w->workers[0]->readings_n + w->workers[0]->flights_n >= BODIES_N - 1);
    CHECK(w->workers[0]->readings_n > 0);
    world_run(w, 20 * STORY_S);
    for (int i = 0; i < BODIES_N; i++)
        full_n += wire_count(&crowd[i], "HTTP/1.1 200 OK");
    CHECK_INT(full_n, BODIES_N);
    mem_free(prompt);
    crowd_free(crowd, BODIES_N);
    story_end(&w);
}

/* -- ends ----------------------------------------------------------------------------------------------- */

TEST(a_drain_ends_a_bounded_number_of_connections_in_a_turn_and_all_of_them)
{
    struct world *w = begin();
    struct wire *crowd = crowd_new(w, CROWD_N);
    uint64_t before = turns(w);

    control_drain(w->control);
    CHECK(world_run_until(w, STORY_S, &w->drained) > 0);
    CHECK(w->drained && w->workers[0]->conns_n == 0);
    CHECK(turns(w) - before >= CROWD_N / TURN_ENDS);
    crowd_free(crowd, CROWD_N);
    story_end(&w);
}

TEST(a_cut_of_thousands_takes_turns_and_tells_each_why)
{
    struct world *w = begin();
    struct wire *crowd = crowd_new(w, CROWD_N);
    struct slice body = story_body("any", true, "hello", "\"max_tokens\":4");
    size_t told_n = 0;
    uint64_t before;

    for (int i = 0; i < CROWD_N; i++)
        wire_ask(&crowd[i], "", body);
    world_run(w, 5 * STORY_MS);
    CHECK_INT(w->workers[0]->exchanges_n, CROWD_N); /* one is answered, the others wait in the line */
    before = turns(w);
    control_cut(w->control);
    world_run_until(w, STORY_S, &w->drained);
    CHECK(w->drained && world_is_idle(w));
    printf("# %d turns\n", (int)(turns(w) - before));
    CHECK(turns(w) - before >= 2 * CROWD_N / TURN_ENDS); /* told that all ends, and then ended */
    world_run(w, 10 * STORY_MS);
    for (int i = 0; i < CROWD_N; i++)
        told_n += wire_count(&crowd[i], "gateway_draining");
    CHECK_INT(told_n, CROWD_N);
    crowd_free(crowd, CROWD_N);
    story_end(&w);
}

/* -- timers and messages -------------------------------------------------------------------------------- */

TEST(a_thousand_deadlines_at_once_take_turns)
{
    struct world *w = begin();
    struct wire *crowd = crowd_new(w, CROWD_N);
    struct slice body = story_body("any~ttft=60s", false, "hello", NULL);
    uint64_t before;
    size_t late_n = 0;

    for (int i = 0; i < CROWD_N; i++)
        wire_ask(&crowd[i], "", body);
    world_run(w, 29 * STORY_S);
    before = turns(w);
    world_run(w, 2 * STORY_S);
    CHECK(turns(w) - before >= CROWD_N / TURN_TIMERS);
    for (int i = 0; i < CROWD_N; i++)
        late_n += wire_count(&crowd[i], "deadline_exceeded");
    CHECK_INT(late_n, CROWD_N);
    crowd_free(crowd, CROWD_N);
    story_end(&w);
}

TEST(slots_that_a_reload_brings_are_taken_in_turns)
{
    static const char MORE[] =
        "listen: 10.0.0.9:80\n"
        "keys: [{name: tester, key: key-for-tests}]\n"
        "accounts: [{name: main, slots: {'*': 100000}}]\n"
        "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n"
        "models: [{name: '*', deadline: 30s, tiers: [[{endpoint: one}]]}]\n";
    struct world *w = begin();
    struct wire *crowd = crowd_new(w, CROWD_N);
    struct slice body = story_body("any~ttft=1s", false, "hello", NULL);
    struct config_report report;
    uint64_t before;
    size_t full_n = 0;

    for (int i = 0; i < CROWD_N; i++)
        wire_ask(&crowd[i], "", body);
    world_run(w, 10 * STORY_MS);
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), CROWD_N - 1);
    before = turns(w);
    CHECK_INT(world_reload(w, MORE, &report), ERR_OK);
    world_run(w, 100); /* less than anything else takes */
    CHECK(turns(w) - before >= (CROWD_N - 1) / TURN_MESSAGES);
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), 0);
    world_run(w, 10 * STORY_S);
    for (int i = 0; i < CROWD_N; i++)
        full_n += wire_count(&crowd[i], "HTTP/1.1 200 OK");
    CHECK_INT(full_n, CROWD_N);
    crowd_free(crowd, CROWD_N);
    story_end(&w);
}
