/* SPDX-License-Identifier: MIT */
/* Every way in which a TCP stream over loopback ends or never begins. */
#include "real_kit.h"

TEST(finish_delivers_the_last_bytes_to_a_slow_reader)
{
    struct slice bytes = noise(PENDING_MAX, 5);
    struct kit k;
    struct side x = {.expect = bytes}, *y;

    kit_init(&k);
    y = pair_that_waits(&k, &x, bytes);
    kit_rest(&k, 20 * CLOCK_MS_US);
    CHECK(stream_pending(y->s) > 0);
    stream_finish(&y->s);
    CHECK(y->s == NULL);
    CHECK_INT(k.l->finishing_n, 1);
    CHECK(kit_rest(&k, 50 * CLOCK_MS_US) <= IDLE_TURNS_MAX);
    stream_resume(x.s);
    kit_until(&k, &x.closes_n, 1);
    CHECK_INT(x.why, ERR_EOF);
    CHECK_INT(x.got_n, bytes.n);
    CHECK(!x.differs);
    CHECK_INT(k.l->finishing_n, 0);
    CHECK_INT(y->closes_n + y->drains_n, 0); /* no callback comes after finish */
    stream_close(&x.s);
    kit_fini(&k);
    noise_free(bytes);
}

TEST(finish_swallows_what_the_peer_still_sends)
{
    struct slice much = noise(4000000, 6);
    struct kit k;
    struct side x = {0}, *y;

    kit_init(&k);
    y = kit_pair(&k, &x);
    stream_send(x.s, much);
    stream_send(y->s, SLICE("refused"));
    stream_finish(&y->s);
    kit_until(&k, &x.closes_n, 1); /* a reset would overtake the answer */
    CHECK_INT(x.why, ERR_EOF);
    CHECK(x.hash == hash_of(SLICE("refused")));
    CHECK_INT(y->got_n, 0);
    stream_close(&x.s);
    kit_fini(&k);
    noise_free(much);
}

TEST(finish_from_inside_a_callback_and_an_orderly_end)
{
    struct kit k;
    struct side x = {.greet = SLICE("ping"), .let_go = true};

    kit_init(&k);
    k.model.finish_on_data = true;
    kit_pair(&k, &x);
    kit_until(&k, &x.closes_n, 1);
    CHECK_INT(x.got_n, 4);
    CHECK_INT(x.why, ERR_EOF);
    kit_rest(&k, 5 * CLOCK_MS_US); /* the side that finished has seen the other's end */
    CHECK_INT(real_of(k.l)->tcp_n, 1);
    kit_fini(&k);
}

TEST(close_with_unread_bytes_resets)
{
    struct kit k;
    struct side x = {.greet = SLICE("nobody reads this")}, *y;

    kit_init(&k);
    k.pause_accepted = true;
    y = kit_pair(&k, &x);
    kit_rest(&k, 5 * CLOCK_MS_US);
    stream_close(&y->s);
    kit_until(&k, &x.closes_n, 1);
    CHECK_INT(x.why, ERR_RESET);
    stream_close(&x.s);
    kit_fini(&k);
}

TEST(close_drops_what_is_queued)
{
    struct kit k;
    struct side x = {0}, *y;

    kit_init(&k);
    y = kit_pair(&k, &x);
    stream_send(x.s, SLICE("never sent"));
    stream_close(&x.s);
    kit_until(&k, &y->closes_n, 1);
    CHECK_INT(y->why, ERR_EOF);
    CHECK_INT(y->got_n, 0);
    kit_fini(&k);
}

TEST(sending_to_a_peer_that_has_gone_ends_the_stream)
{
    struct kit k;
    struct side x = {0}, *y;

    kit_init(&k);
    y = kit_pair(&k, &x);
    stream_pause(x.s); /* so that it does not hear of the end by reading */
    stream_close(&y->s);
    for (int i = 0; i < 1000 && x.closes_n == 0; i++) {
        stream_send(x.s, SLICE("more"));
        kit_rest(&k, CLOCK_MS_US);
        if (i == 10)
            stream_resume(x.s);
    }
    CHECK_INT(x.closes_n, 1);
    CHECK_INT(x.why, ERR_RESET);
    stream_send(x.s, SLICE("still more")); /* of no effect */
    CHECK_INT(stream_pending(x.s), 0);
    stream_close(&x.s);
    kit_fini(&k);
}

TEST(a_connect_to_a_closed_port_is_refused)
{
    struct kit k;
    struct side x = {0};

    kit_init(&k);
    k.l->ops->unlisten(&k.ls);
    kit_connect(&k, &x);
    CHECK_INT(x.closes_n, 0); /* never from inside the call */
    kit_until(&k, &x.closes_n, 1);
    CHECK_INT(x.why, ERR_REFUSED);
    CHECK_INT(x.opens_n, 0);
    stream_close(&x.s);
    kit_fini(&k);
}

TEST(an_address_that_the_kernel_refuses_at_once_is_told_later)
{
    struct kit k;
    struct side x = {0};

    kit_init(&k);
    addr_parse(SLICE("255.255.255.255:9"), &k.at);
    kit_connect(&k, &x);
    CHECK_INT(x.closes_n, 0);
    kit_until(&k, &x.closes_n, 1);
    CHECK_INT(x.why, ERR_REFUSED);
    stream_finish(&x.s); /* an ended stream has nothing to finish */
    CHECK_INT(real_of(k.l)->tcp_n, 1);
    kit_fini(&k);
}

TEST(a_connect_that_is_given_up_leaves_nothing)
{
    struct kit k;
    struct side x = {0};

    kit_init(&k);
    kit_connect(&k, &x);
    stream_send(x.s, SLICE("never"));
    stream_close(&x.s);
    kit_connect(&k, &x);
    stream_finish(&x.s); /* it never opened: the same */
    CHECK(kit_rest(&k, 20 * CLOCK_MS_US) < 100);
    CHECK_INT(x.opens_n + x.closes_n, 0);
    kit_fini(&k);
}

TEST(a_loop_that_goes_takes_lingering_streams_with_it)
{
    struct slice bytes = noise(PENDING_MAX, 7);
    struct kit k;
    struct side x = {0}, *y;

    kit_init(&k);
    y = pair_that_waits(&k, &x, bytes);
    kit_rest(&k, 5 * CLOCK_MS_US);
    stream_finish(&y->s);
    stream_close(&x.s);
    kit_fini(&k); /* asserts that no stream is left; the sanitizer that no byte is */
    noise_free(bytes);
}
