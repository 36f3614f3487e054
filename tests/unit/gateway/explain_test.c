/* SPDX-License-Identifier: MIT */
/* x-tidegate-why and GET /api/explain/ID in a whole gateway: what is told of a request that waited and moved
 * on, over any number of workers, in work and over; and questions whose asker leaves, or outlives nobody. */
#include "gateway/control.h"

#include "base/clock.h"
#include "gateway/explain.h"
#include "wire_kit.h"

#define YAML                                                                                      \
    "listen: 10.0.0.9:80\nadmin: 127.0.0.1:81\nmetrics: 127.0.0.1:82\n"                           \
    "keys: [{name: tester, key: key-for-tests}]\n"                                                \
    "accounts: [{name: main, slots: {'*': 1}}]\n"                                                 \
    "endpoints:\n"                                                                                \
    "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}\n"    \
    "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"                   \
    "models:\n"                                                                                   \
    "  - {name: m, tiers: [[{endpoint: one}]]}\n"                                                 \
    "  - {name: long, tiers: [[{endpoint: one, model: 'm~tokens=4000'}]]}\n"                      \
    "  - {name: over, tiers: [[{endpoint: one, model: 'm~500'}], [{endpoint: two, model: m}]]}\n" \
    "  - {name: bad, tiers: [[{endpoint: one, model: 'm~400'}]]}\n"

static struct world *begin(int workers)
{
    struct story s;

    story_init(&s, YAML);
    s.more = "timeouts: {hold: 1s, comment: 1s, drain_delay: 0s}\n";
    s.workers = workers;
    s.one.ttft.median_us = 300 * STORY_MS;
    return story_begin(&s);
}

/* Answered within a moment: the workers are asked by message. */
static void get(struct wire *c, struct world *w, const char *at, const char *path)
{
    char request[256];
    struct addr a;

    CHECK_INT(addr_parse(slice_of(at), &a), ERR_OK);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
    wire_open_at(c, w, &a);
    wire_send(c, request);
    world_run(w, 10 * STORY_MS);
}

static void explain(struct wire *c, struct world *w, const char *id)
{
    char path[128];

    snprintf(path, sizeof path, "/api/explain/%s", id);
    get(c, w, "127.0.0.1:81", path);
}

static void ask(struct wire *c, struct world *w, const char *headers, struct slice body)
{
    wire_open(c, w);
    wire_ask(c, headers, body);
}

TEST(a_response_tells_its_decisions_to_whoever_asked)
{
    struct world *w = begin(1);
    struct wire c;

    ask(&c, w, "x-tidegate-why: 1\r\n", story_body("over", false, "hello", NULL));
    world_run(w, 5 * STORY_S);
    CHECK(wire_expect(&c, "X-Tidegate-Why: 0.0 chosen one/m~500"));
    CHECK(wire_expect(&c, " called one/m~500 outcome=server_error status=500 "));
    CHECK(wire_expect(&c, " chosen two/m how=the_only_one budget="));
    CHECK(wire_expect(&c, "(one/m~500 tried, two/m usable weight="));
    wire_close(&c);
    ask(&c, w, "x-tidegate-why: 0\r\n", story_body("over", false, "hello", NULL));
    world_run(w, 5 * STORY_S);
    CHECK(wire_expect(&c, " 200 OK") && !wire_has(&c, "-Why"));
    wire_close(&c);
    ask(&c, w, "x-tidegate-why: yes please\r\n", story_body("m", false, "hello", NULL));
    world_run(w, 5 * STORY_S);
    CHECK(wire_expect(&c, " 400 ") && wire_expect(&c, "x-tidegate-why must be 1 or 0."));
    wire_close(&c);
    story_end(&w);
}

TEST(a_refusal_tells_them_too)
{
    struct world *w = begin(1);
    struct wire c;

    ask(&c, w, "x-tidegate-why: 1\r\n", story_body("bad", false, "hello", NULL));
    world_run(w, 5 * STORY_S);
    CHECK(wire_expect(&c, " 400 "));
    CHECK(wire_expect(&c, " called one/m~400 outcome=client_error status=400 "));
    wire_close(&c);
    story_end(&w);
}

/* Its head went out before an endpoint was known: told with the other labels that came too late. */
TEST(a_stream_that_waited_tells_them_before_its_end)
{
    struct world *w = begin(1);
    struct wire first, c;

    ask(&first, w, "", story_body("long", true, "hello", NULL));
    world_run(w, 100 * STORY_MS);
    ask(&c, w, "x-tidegate-why: 1\r\n", story_body("m", true, "hello", NULL));
    world_run(w, 20 * STORY_S);
    CHECK(!wire_has(&c, "X-Tidegate-Why"));
    CHECK(wire_expect(&c, "\n: tidegate endpoint=one attempts=1 wait_ms=") &&
          wire_expect(&c, " why=0.0 queued"));
    CHECK(wire_expect(&c, " chosen one"));
    CHECK(wire_expect(&c, "data: [DONE]"));
    wire_close(&c);
    wire_close(&first);
    story_end(&w);
}

TEST(a_stream_that_waited_in_vain_tells_them_before_its_error)
{
    struct world *w = begin(1);
    struct wire first, c;

    ask(&first, w, "", story_body("long", true, "hello", NULL));
    world_run(w, 100 * STORY_MS);
    ask(&c, w, "x-tidegate-why: 1\r\nx-tidegate-deadline-ms: 1500\r\n", story_body("m", true, "hello", NULL));
    world_run(w, 2 * STORY_S);
    CHECK(wire_expect(&c, "\n: tidegate endpoint= attempts=0 wait_ms=1500 why=0.0 queued"));
    CHECK(wire_expect(&c, "deadline_exceeded"));
    wire_close(&c);
    wire_close(&first);
    story_end(&w);
}

TEST(whatever_worker_it_was_its_request_is_found)
{
    for (int workers = 1; workers <= 3; workers++) {
        struct world *w = begin(workers);
        struct wire c[6], e;
        char headers[64], worker[32];
        unsigned seen = 0;

        for (int i = 0; i < 6; i++) {
            snprintf(headers, sizeof headers, "x-request-id: mine-%d\r\n", i);
            ask(&c[i], w, headers, story_body(i % 2 ? "over" : "bad", false, "hello", NULL));
            world_run(w, 5 * STORY_S);
        }
        for (int i = 0; i < 6; i++) {
            char id[32];

            snprintf(id, sizeof id, "mine-%d", i);
            explain(&e, w, id);
            CHECK(wire_expect(&e, " 200 OK") && wire_expect(&e, id));
            CHECK(wire_expect(&e, "\"silent_workers\":0,\"records\":[{\"arrived\":\""));
            CHECK(wire_expect(&e, "\"key\":\"tester\""));
            CHECK(wire_expect(&e, i % 2 ? "\"attempts\":2" : "\"error\":\"upstream_refused\""));
            for (int k = 0; k < workers; k++) {
                snprintf(worker, sizeof worker, "\"worker\":%d,", k);
                seen |= (unsigned)wire_has(&e, worker) << k;
            }
            wire_close(&e);
            wire_close(&c[i]);
        }
        CHECK_INT(seen, (1 << workers) - 1); /* each had some */
        explain(&e, w, "mine-6");
        CHECK(wire_expect(&e, " 404 ") && wire_expect(&e, "request_unknown"));
        wire_close(&e);
        explain(&e, w, "a%20b");
        CHECK(wire_expect(&e, " 404 ") && wire_expect(&e, "request_unknown"));
        wire_close(&e);
        story_end(&w);
    }
}

TEST(a_request_in_work_is_explained_as_it_stands)
{
    struct world *w = begin(2);
    struct wire first, c, e;

    ask(&first, w, "", story_body("long", true, "hello", NULL));
    world_run(w, 100 * STORY_MS);
    ask(&c, w, "x-request-id: waits\r\n", story_body("m", true, "hello", NULL));
    world_run(w, 500 * STORY_MS);
    explain(&e, w, "waits");
    CHECK(wire_expect(&e, "\"running\":true") && wire_expect(&e, "\"step\":\"queued\",\"position\":1,"));
    CHECK(wire_expect(&e, "\"targets\":[{\"endpoint\":\"one\",\"is\":\"full\",\"used\":1,\"limit\":1}]"));
    CHECK(!wire_has(&e, "\"step\":\"chosen\"") && !wire_has(&e, "\"wait_ms\":0.0"));
    wire_close(&e);
    wire_close(&first);
    world_run(w, 200 * STORY_MS);
    explain(&e, w, "waits");
    CHECK(wire_expect(&e, "\"running\":true") && wire_expect(&e, "\"step\":\"chosen\""));
    wire_close(&e);
    wire_close(&c);
    world_run(w, 200 * STORY_MS);
    explain(&e, w, "waits");
    CHECK(wire_expect(&e, "\"running\":false") && wire_expect(&e, "\"result\":\"cancelled\""));
    CHECK(wire_expect(&e, "\"outcome\":\"cancelled\""));
    wire_close(&e);
    story_end(&w);
}

TEST(names_are_those_of_the_configuration_that_was_in_force)
{
    struct world *w = begin(1);
    struct config_report report = {.text = ""};
    struct wire c, e;

    ask(&c, w, "x-request-id: old\r\n", story_body("over", false, "hello", NULL));
    world_run(w, 5 * STORY_S);
    wire_close(&c);
    CHECK_INT(
        world_reload(w,
                     "listen: 10.0.0.9:80\nadmin: 127.0.0.1:81\n"
                     "keys: [{name: else, key: key-for-tests}]\n"
                     "endpoints: [{name: other, provider: openai, url: 'http://10.0.0.2/v1', key: none}]\n"
                     "models: [{name: other, tiers: [[{endpoint: other}]]}]\n",
                     &report),
        ERR_OK);
    world_run(w, STORY_S);
    explain(&e, w, "old");
    CHECK(wire_expect(&e, "\"model\":\"over\"") && wire_expect(&e, "\"endpoint\":\"two/m\""));
    CHECK(wire_expect(&e, "\"key\":\"tester\""));
    wire_close(&e);
    story_end(&w);
}

TEST(the_page_is_for_get_at_the_address_admin)
{
    struct world *w = begin(1);
    struct wire e;

    get(&e, w, "127.0.0.1:82", "/api/explain/x");
    CHECK(wire_expect(&e, " 404 ") && wire_expect(&e, "route_not_found"));
    wire_close(&e);
    get(&e, w, "127.0.0.1:81", "/api/explain/");
    CHECK(wire_expect(&e, " 404 ") && wire_expect(&e, "route_not_found"));
    wire_close(&e);
    story_end(&w);
}

/* -- askers that leave, workers that do not answer ------------------------------------------------------- */

TEST(an_asker_may_leave_before_the_answer)
{
    struct world *w = begin(3);
    struct addr at;

    CHECK_INT(addr_parse(SLICE("127.0.0.1:81"), &at), ERR_OK);
    for (int64_t us = 0; us < 2000; us += 50) { /* at every moment of it */
        struct wire e;

        wire_open_at(&e, w, &at);
        wire_send(&e, "GET /api/explain/nobody HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        world_run(w, us);
        wire_close(&e);
    }
    world_run(w, STORY_S);
    CHECK(world_is_idle(w)); /* and nothing is left behind: the end of the world asserts that */
    story_end(&w);
}

TEST(the_end_may_come_before_the_answer)
{
    for (int64_t us = 100; us < 2000; us += 100) {
        struct world *w = begin(2);
        struct addr at;
        struct wire e;

        CHECK_INT(addr_parse(SLICE("127.0.0.1:81"), &at), ERR_OK);
        wire_open_at(&e, w, &at);
        wire_send(&e, "GET /api/explain/nobody HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        world_run(w, us);
        CHECK(world_is_idle(w));
        world_free(&w); /* cuts; the client closes when its peer has */
        buf_fini(&e.got);
    }
}
