/* SPDX-License-Identifier: MIT */
/* Doors of a whole gateway in virtual time: deadlines to the microsecond, cuts at every byte, who counts as
 * whom. */
#include "gateway/door.h"

#include "wire_kit.h"

#define DOOR                                                                             \
    "listen: [10.0.0.9:80, {address: '10.0.0.9:81', proxy_protocol: true}]\n"            \
    "keys: [{name: tester, key: key-for-tests}]\n"                                       \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n"
#define HEADER "PROXY TCP4 203.0.113.9 10.0.0.1 4321 80\r\n"
#define HEALTH "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

static struct world *begin(const char *more, size_t segment_max)
{
    struct story s;

    story_init(&s, DOOR);
    s.more = more;
    s.segment_max = segment_max;
    return story_begin(&s);
}

static void open_door(struct wire *c, struct world *w)
{
    struct addr at;

    CHECK(addr_parse(SLICE("10.0.0.9:81"), &at) == ERR_OK);
    wire_open_at(c, w, &at);
}

static int64_t lost(const struct world *w, enum door_loss why)
{
    return world_metric(w, METRIC_CONNS_REFUSED, (size_t)why);
}

TEST(a_header_and_what_is_behind_it_in_pieces_of_any_size)
{
    static const size_t PIECES[] = {0, 1, 2, 7, 41, 42, 43, 64};

    for (size_t i = 0; i < COUNT_OF(PIECES); i++) {
        struct world *w = begin("", PIECES[i]);
        struct wire c;

        open_door(&c, w);
        wire_send(&c, HEADER HEALTH HEALTH);
        world_run(w, STORY_S);
        CHECK_INT(wire_count(&c, "HTTP/1.1 200 OK"), 2);
        wire_close(&c);
        story_end(&w);
    }
}

TEST(silence_ends_at_its_deadline_and_not_before)
{
    struct world *w = begin("timeouts: {handshake: 3s}\n", 0);
    struct wire silent, slow;
    int64_t began_us = vnet_now_us(w->net);

    open_door(&silent, w);
    open_door(&slow, w);
    wire_send(&slow, "PROXY TCP4 ");
    world_run(w, 2900 * STORY_MS);
    CHECK(!silent.closed && !slow.closed);
    wire_send(&slow, "203.0.113.9 "); /* its clock goes on */
    CHECK_INT(world_metric(w, METRIC_CONNS, 0), 2);
    world_run(w, 200 * STORY_MS);
    CHECK(silent.closed && slow.closed);
    CHECK(silent.closed_us - began_us >= 3 * STORY_S && silent.closed_us - began_us < 3010 * STORY_MS);
    CHECK_INT(silent.got.n + slow.got.n, 0);
    CHECK_INT(lost(w, DOOR_LATE), 2);
    CHECK_INT(world_metric(w, METRIC_CONNS, 0), 0);
    wire_close(&silent);
    wire_close(&slow);
    story_end(&w);
}

TEST(who_leaves_or_lies_is_counted_as_such)
{
    struct world *w = begin("", 0);
    struct wire left, half, lies;

    open_door(&left, w);
    open_door(&half, w);
    open_door(&lies, w);
    wire_send(&half, "PROX");
    wire_send(&lies, HEALTH);
    world_run(w, 100 * STORY_MS);
    CHECK(lies.closed && lies.got.n == 0);
    stream_finish(&left.stream);
    stream_finish(&half.stream);
    world_run(w, 100 * STORY_MS);
    CHECK_INT(lost(w, DOOR_LEFT), 1);
    CHECK_INT(lost(w, DOOR_PROXY_HEADER), 2);
    CHECK_INT(world_metric(w, METRIC_CONNS, 0), 0);
    CHECK_INT(world_metric(w, METRIC_CONNS_ACCEPTED, 0), 3);
    wire_close(&left);
    wire_close(&half);
    wire_close(&lies);
    story_end(&w);
}

TEST(connections_of_an_address_are_counted_where_it_is_known)
{
    struct world *w = begin("limits: {connections_per_address: 2}\n", 0);
    struct wire a[3], b, plain[3];

    for (int i = 0; i < 3; i++) {
        open_door(&a[i], w);
        wire_send(&a[i], HEADER HEALTH);
        world_run(w, 10 * STORY_MS);
        wire_open(&plain[i], w); /* all from one address of their own */
        world_run(w, 10 * STORY_MS);
    }
    open_door(&b, w);
    wire_send(&b, "PROXY TCP4 203.0.113.10 10.0.0.1 4321 80\r\n" HEALTH);
    world_run(w, 10 * STORY_MS);
    CHECK(wire_status(&a[1]) == 200 && wire_status(&b) == 200);
    CHECK(a[2].closed && a[2].got.n == 0 && plain[2].closed && !plain[1].closed);
    CHECK_INT(lost(w, DOOR_CROWDED), 2);
    wire_close(&a[2]);
    wire_close(&a[0]);
    world_run(w, 10 * STORY_MS);
    open_door(&a[0], w);
    wire_send(&a[0], HEADER HEALTH);
    world_run(w, 10 * STORY_MS);
    CHECK_INT(wire_status(&a[0]), 200);
    for (int i = 0; i < 2; i++)
        wire_close(&a[i]);
    for (int i = 0; i < 3; i++)
        wire_close(&plain[i]);
    wire_close(&b);
    story_end(&w);
}

TEST(a_drain_closes_who_is_still_at_the_door)
{
    struct world *w = begin("timeouts: {drain_delay: 1s}\n", 0);
    struct wire c;

    open_door(&c, w);
    world_run(w, 100 * STORY_MS);
    control_drain(w->control);
    world_run(w, 500 * STORY_MS);
    CHECK(!c.closed && !w->drained);
    world_run(w, 600 * STORY_MS);
    CHECK(c.closed && w->drained);
    CHECK_INT(lost(w, DOOR_CLOSED), 1);
    wire_close(&c);
    story_end(&w);
}

TEST(a_unix_socket_is_one_more_address)
{
    struct story s;
    struct world *w;
    struct wire c[3];

    story_init(&s, "listen: 'unix:/run/gw.sock'\n"
                   "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n"
                   "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n");
    s.more = "limits: {connections_per_address: 1}\n";
    s.workers = 2;
    w = story_begin(&s);
    for (int i = 0; i < 3; i++) {
        wire_open(&c[i], w);
        wire_send(&c[i], HEALTH);
    }
    world_run(w, STORY_S);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(wire_status(&c[i]), 200);
        wire_close(&c[i]);
    }
    story_end(&w);
}
