/* SPDX-License-Identifier: MIT */
/* The streams of virtual io: bytes, back-pressure and every way to end. */
#include "base/budget.h"
#include "virtual_kit.h"

TEST(echoes_through_any_pipe)
{
    static const struct vnet_opts WORLDS[] = {
        {.seed = 1},
        {.seed = 2, .latency_us = 700},
        {.seed = 3, .segment_max = 1},
        {.seed = 4, .segment_max = 1000, .pipe_bytes = 999, .latency_us = 12345},
        {.seed = 5, .segment_max = 9, .pipe_bytes = 1},
    };

    for (size_t i = 0; i < COUNT_OF(WORLDS); i++) {
        struct world w;
        struct side x = {0};
        uint64_t want;

        world_init(&w, &WORLDS[i]);
        w.model.echo = true;
        connect_side(&w, &x);
        struct slice bytes = noise(w.client, 30000, i);
        want = hash_of(bytes);
        stream_send(x.s, bytes);
        run(&w);
        CHECK_INT(x.opens_n, 1);
        CHECK_INT(x.got_n, 30000);
        CHECK(x.hash == want);
        CHECK_INT(w.accepts_n, 1);
        CHECK(w.accepted->hash == want);
        CHECK_INT(x.closes_n + w.accepted->closes_n, 0);
        CHECK_INT(vnet_streams(w.v), 2);
        stream_close(&x.s);
        world_fini(&w);
    }
}

TEST(opening_takes_a_round_trip)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .latency_us = 3000});
    int64_t from = vnet_now_us(w.v);
    connect_side(&w, &x);
    CHECK_INT(x.opens_n, 0);
    run(&w);
    CHECK_INT(x.opened_us - from, 6000);
    stream_close(&x.s);
    run(&w);
    CHECK_INT(w.accepted->why, ERR_EOF);
    CHECK_INT(w.accepted->ended_us - from, 9000);
    world_fini(&w);
}

TEST(a_paused_reader_holds_the_sender_back)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .pipe_bytes = 10000, .segment_max = 3000});
    w.pause_accepted = true;
    connect_side(&w, &x);
    struct slice bytes = noise(w.client, 100000, 7);
    uint64_t want = hash_of(bytes);
    stream_send(x.s, bytes);
    run(&w);
    CHECK_INT(w.accepted->got_n, 0);
    CHECK_INT(stream_pending(x.s), 90000);
    CHECK_INT(x.drains_n, 0);
    stream_resume(w.accepted->s);
    run(&w);
    CHECK_INT(w.accepted->got_n, 100000);
    CHECK(w.accepted->hash == want);
    CHECK_INT(stream_pending(x.s), 0);
    CHECK_INT(x.drains_n, 1);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(both_directions_hold_back_at_once)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .pipe_bytes = 5000, .latency_us = 100, .segment_max = 700});
    connect_side(&w, &x);
    run(&w);
    stream_pause(x.s);
    stream_pause(w.accepted->s);
    stream_send(x.s, noise(w.client, 50000, 1));
    stream_send(w.accepted->s, noise(w.server, 60000, 2));
    run(&w);
    CHECK_INT(stream_pending(x.s), 45000);
    CHECK_INT(stream_pending(w.accepted->s), 55000);
    CHECK_INT(x.got_n + w.accepted->got_n, 0);
    stream_resume(x.s);
    run(&w);
    CHECK_INT(x.got_n, 60000);
    CHECK_INT(stream_pending(x.s), 45000);
    stream_resume(w.accepted->s);
    run(&w);
    CHECK_INT(w.accepted->got_n, 50000);
    CHECK_INT(x.drains_n + w.accepted->drains_n, 2);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(pending_output_is_bounded)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .pipe_bytes = 1000});
    w.pause_accepted = true;
    connect_side(&w, &x);
    run(&w);
    stream_send(x.s, noise(w.client, PENDING_MAX + 1000, 1));
    run(&w);
    CHECK_INT(x.closes_n, 0);
    stream_send(x.s, SLICE("!"));
    run(&w);
    CHECK_INT(x.closes_n, 1);
    CHECK_INT(x.why, ERR_TOO_LARGE);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(pending_output_is_charged_to_the_budget)
{
    struct vnet *v = vnet_new(&(struct vnet_opts){.seed = 1, .pipe_bytes = 100});
    struct budget budget;
    struct world w = {.v = v, .pause_accepted = true};
    struct side x = {0};

    budget_init(&budget, 1 << 20);
    w.server = vnet_loop(v, NULL, PENDING_MAX);
    w.client = vnet_loop(v, &budget, PENDING_MAX);
    addr_parse(SLICE("[::1]:443"), &w.at);
    w.server->ops->listen(w.server, &w.at, on_accept, &w, &w.ls, NULL);
    connect_side(&w, &x);
    stream_send(x.s, noise(w.client, 50000, 1));
    run(&w);
    CHECK(budget_used(&budget) >= 49900);
    stream_close(&x.s);
    run(&w);
    CHECK_INT(budget_used(&budget), 0);
    world_fini(&w);
}

TEST(finish_delivers_everything_then_the_end)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .pipe_bytes = 1000, .segment_max = 100, .latency_us = 500});
    connect_side(&w, &x);
    run(&w);
    stream_send(x.s, noise(w.client, 20000, 1));
    stream_finish(&x.s);
    CHECK(x.s == NULL);
    CHECK_INT(vnet_streams(w.v), 1);
    run(&w);
    CHECK_INT(w.accepted->got_n, 20000);
    CHECK_INT(w.accepted->why, ERR_EOF);
    CHECK_INT(x.closes_n + x.drains_n, 0); /* no callback comes after finish */
    world_fini(&w);
}

TEST(finish_gives_up_on_a_reader_that_never_reads)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .pipe_bytes = 1000});
    w.model.echo = false;
    connect_side(&w, &x);
    run(&w);
    stream_pause(x.s);
    stream_send(w.accepted->s, noise(w.server, 5000, 1));
    int64_t from = vnet_now_us(w.v);
    stream_finish(&w.accepted->s);
    run(&w);
    CHECK_INT(vnet_now_us(w.v) - from, 2 * CLOCK_SECOND_US);
    stream_resume(x.s);
    run(&w);
    CHECK_INT(x.got_n, 1000);
    CHECK_INT(x.why, ERR_RESET);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(finish_swallows_what_the_peer_still_sends)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .pipe_bytes = 1000, .latency_us = 5000});
    connect_side(&w, &x);
    run(&w);
    stream_send(w.accepted->s, SLICE("go away"));
    stream_finish(&w.accepted->s);
    stream_send(x.s, noise(w.client, 50000, 1)); /* unread bytes would turn the end into a reset */
    run(&w);
    CHECK_INT(x.got_n, 7);
    CHECK_INT(x.why, ERR_EOF);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(close_ends_cleanly_when_all_was_read)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .segment_max = 10});
    connect_side(&w, &x);
    stream_send(x.s, SLICE("a request of more than ten bytes"));
    run(&w);
    stream_send(x.s, SLICE("queued output is lost"));
    stream_close(&x.s);
    run(&w);
    CHECK_INT(w.accepted->got_n, 32);
    CHECK_INT(w.accepted->why, ERR_EOF);
    world_fini(&w);
}

TEST(close_with_unread_bytes_resets)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1});
    connect_side(&w, &x);
    run(&w);
    stream_pause(x.s);
    stream_send(w.accepted->s, SLICE("never read"));
    run(&w);
    stream_close(&x.s);
    run(&w);
    CHECK_INT(w.accepted->why, ERR_RESET);
    world_fini(&w);
}

TEST(bytes_under_way_to_a_closed_end_come_back_as_a_reset)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .latency_us = 1000});
    connect_side(&w, &x);
    run(&w);
    w.accepted->let_go = true;
    stream_send(x.s, SLICE("first"));
    vnet_run(w.v, vnet_now_us(w.v) + 100, NULL);
    stream_close(&w.accepted->s);
    run(&w);
    CHECK_INT(x.why, ERR_EOF); /* the end was sent before those bytes arrived */
    stream_close(&x.s);
    world_fini(&w);
}

TEST(sending_to_a_closed_end_resets)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1});
    connect_side(&w, &x);
    run(&w);
    stream_pause(x.s); /* a connected stream that is paused hears of the end later */
    stream_close(&w.accepted->s);
    run(&w);
    CHECK_INT(x.closes_n, 0);
    stream_send(x.s, SLICE("is anybody there"));
    run(&w);
    CHECK_INT(x.closes_n, 0);
    stream_send(x.s, SLICE("again"));
    run(&w);
    CHECK_INT(x.closes_n, 1);
    CHECK_INT(x.why, ERR_RESET);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(a_paused_accepted_stream_hears_that_its_client_left)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .latency_us = 1000});
    w.pause_accepted = true;
    connect_side(&w, &x);
    stream_send(x.s, SLICE("a request"));
    run(&w);
    int64_t from = vnet_now_us(w.v);
    stream_close(&x.s);
    run(&w);
    CHECK_INT(w.accepted->closes_n, 1);
    CHECK_INT(w.accepted->why, ERR_EOF);
    CHECK_INT(w.accepted->ended_us - from, 1000);
    CHECK_INT(w.accepted->got_n, 0);
    world_fini(&w);
}

TEST(a_paused_connected_stream_keeps_its_bytes_until_it_reads)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .segment_max = 3});
    connect_side(&w, &x);
    run(&w);
    stream_pause(x.s);
    stream_send(w.accepted->s, SLICE("the rest of the answer"));
    stream_finish(&w.accepted->s);
    run(&w);
    CHECK_INT(x.closes_n, 0);
    stream_resume(x.s);
    run(&w);
    CHECK_INT(x.got_n, 22);
    CHECK_INT(x.why, ERR_EOF);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(nobody_listens_is_refused_later)
{
    struct world w;
    struct side x = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1});
    addr_set_port(&w.at, 81);
    connect_side(&w, &x);
    stream_send(x.s, SLICE("early bytes"));
    CHECK_INT(x.closes_n, 0);
    run(&w);
    CHECK_INT(x.closes_n, 1);
    CHECK_INT(x.why, ERR_REFUSED);
    CHECK_INT(x.opens_n, 0);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(a_black_hole_never_answers)
{
    struct world w;
    struct side x = {0}, y = {0};

    world_init(&w, &(struct vnet_opts){.seed = 1, .latency_us = 10});
    vnet_blackhole(w.v, &w.at, true);
    connect_side(&w, &x);
    CHECK_INT(vnet_run(w.v, CLOCK_NEVER_US, NULL), 0);
    CHECK_INT(x.opens_n + x.closes_n, 0);
    vnet_blackhole(w.v, &w.at, false);
    connect_side(&w, &y);
    run(&w);
    CHECK_INT(y.opens_n, 1);
    CHECK_INT(x.opens_n + x.closes_n, 0);
    stream_close(&x.s);
    stream_close(&y.s);
    world_fini(&w);
}

TEST(unlisten_resets_who_was_not_accepted)
{
    struct world w;
    struct side x = {0};
    struct listener *other = NULL;
    struct addr bound;

    world_init(&w, &(struct vnet_opts){.seed = 1, .latency_us = 10});
    addr_set_port(&w.at, 0);
    CHECK_INT(w.server->ops->listen(w.server, &w.at, on_accept, &w, &other, &bound), ERR_OK);
    CHECK(addr_port(&bound) != 0);
    w.at = bound;
    connect_side(&w, &x);
    w.server->ops->unlisten(&other);
    run(&w);
    CHECK_INT(x.why, ERR_REFUSED);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(closing_inside_callbacks_is_safe)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world w;
        struct side x[10] = {0};

        world_init(&w, &(struct vnet_opts){.seed = seed, .segment_max = 2, .pipe_bytes = 3});
        w.model.close_on_data = seed % 2 == 0;
        w.model.echo = w.model.let_go = true;
        for (size_t i = 0; i < COUNT_OF(x); i++) {
            x[i].close_on_data = x[i].let_go = true;
            connect_side(&w, &x[i]);
            stream_send(x[i].s, SLICE("some bytes"));
        }
        run(&w);
        for (size_t i = 0; i < COUNT_OF(x); i++)
            CHECK(x[i].s == NULL);
        world_fini(&w);
    }
}
