/* SPDX-License-Identifier: MIT */
/* Connections at rest: which one serves next, and everything that ends a rest. */
#include "upstream/connect.h"
#include "upstream_kit.h"

static int64_t born_us; /* of the connection taken last */

static void keep(void *ud, enum err e, struct stream *s)
{
    struct stream **out = ud;

    CHECK_INT(e, ERR_OK);
    *out = s;
}

/* n open connections; the first made is the oldest. */
static void open_n(struct scene *sc, struct stream **out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = NULL;
        connect_start(&sc->pool, false, keep, &out[i]);
        scene_run(sc, 10 * MS);
        CHECK(out[i] != NULL);
    }
}

/* Gives them to the pool, `apart_us` between two. */
static void give_all(struct scene *sc, struct stream **s, size_t n, int64_t apart_us)
{
    for (size_t i = 0; i < n; i++) {
        struct stream *given = s[i]; /* the test compares the pointers later */

        pool_give(&sc->pool, &given, sc->l->now_us);
        CHECK(given == NULL);
        scene_run(sc, apart_us);
    }
}

/* The endpoint's side of the nth connection that it accepted. */
static struct peer *peer_of(struct scene *sc, size_t nth)
{
    struct peer *p = sc->at.peers;

    for (size_t i = sc->at.accepts_n; i > nth; i--)
        p = p->next;
    return p;
}

TEST(the_last_one_given_serves_first)
{
    struct scene sc;
    struct stream *s[3], *got;

    scene_init(&sc);
    CHECK(pool_take(&sc.pool, &born_us) == NULL);
    open_n(&sc, s, 3);
    give_all(&sc, s, 3, MS);
    CHECK_INT(sc.pool.idle_n, 3);
    for (size_t i = 3; i-- > 0;) {
        got = pool_take(&sc.pool, &born_us);
        CHECK(got == s[i]);
        stream_close(&got);
    }
    CHECK(pool_take(&sc.pool, &born_us) == NULL);
    CHECK_INT(sc.pool.idle_n, 0);
    CHECK_INT(pool_take_connects(&sc.pool), 3);
    CHECK_INT(pool_take_connects(&sc.pool), 0);
    scene_fini(&sc);
}

TEST(who_rests_too_long_is_closed_and_nobody_earlier)
{
    struct scene sc;
    struct stream *s[3], *got;

    scene_init(&sc);
    open_n(&sc, s, 3);
    give_all(&sc, s, 3, CLOCK_SECOND_US);
    scene_run(&sc, IDLE_US - 3 * CLOCK_SECOND_US - MS);
    CHECK_INT(sc.pool.idle_n, 3);
    scene_run(&sc, 10 * MS);
    CHECK_INT(sc.pool.idle_n, 2); /* the oldest has gone */
    CHECK_INT(peer_of(&sc, 1)->closes_n, 1);
    CHECK_INT(peer_of(&sc, 2)->closes_n + peer_of(&sc, 3)->closes_n, 0);
    got = pool_take(&sc.pool, &born_us); /* rests anew from when it comes back */
    CHECK(got == s[2]);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(sc.pool.idle_n, 0);
    pool_give(&sc.pool, &got, sc.l->now_us);
    scene_run(&sc, IDLE_US - 10 * MS);
    CHECK_INT(sc.pool.idle_n, 1);
    scene_run(&sc, 20 * MS);
    CHECK_INT(sc.pool.idle_n, 0);
    CHECK_INT(peer_of(&sc, 3)->closes_n, 1);
    scene_fini(&sc);
}

TEST(no_more_rest_than_allowed)
{
    struct scene sc;
    struct stream *s[6];

    scene_init(&sc);
    open_n(&sc, s, 6);
    give_all(&sc, s, 6, 0);
    CHECK_INT(sc.pool.idle_n, 4);
    scene_run(&sc, 10 * MS);
    for (size_t i = 1; i <= 6; i++)
        CHECK_INT(peer_of(&sc, i)->closes_n, i > 4);
    scene_fini(&sc);
}

TEST(a_pool_that_keeps_none_closes_all)
{
    struct scene sc;
    struct pool_opts o = POOL_OPTS;
    struct stream *s;

    o.idle_max = 0;
    scene_init_with(&sc, &(struct vnet_opts){.seed = 1}, &o);
    open_n(&sc, &s, 1);
    pool_give(&sc.pool, &s, sc.l->now_us);
    CHECK(s == NULL && sc.pool.idle_n == 0);
    scene_run(&sc, MS);
    CHECK_INT(sc.at.peers->closes_n, 1);
    scene_fini(&sc);
}

TEST(bytes_that_nobody_asked_for_end_a_rest)
{
    struct scene sc;
    struct stream *s[2];

    scene_init(&sc);
    open_n(&sc, s, 2);
    give_all(&sc, s, 2, 0);
    peer_say(peer_of(&sc, 1), "HTTP/1.1 408 Request Timeout\r\n\r\n");
    scene_run(&sc, 10 * MS);
    CHECK_INT(sc.pool.idle_n, 1);
    CHECK_INT(peer_of(&sc, 1)->closes_n, 1);
    CHECK_INT(peer_of(&sc, 2)->closes_n, 0);
    scene_fini(&sc);
}

TEST(an_endpoint_that_closes_ends_a_rest)
{
    struct scene sc;
    struct stream *s[2];

    scene_init(&sc);
    open_n(&sc, s, 2);
    give_all(&sc, s, 2, 0);
    stream_close(&peer_of(&sc, 2)->s);
    scene_run(&sc, 10 * MS);
    CHECK_INT(sc.pool.idle_n, 1);
    s[1] = pool_take(&sc.pool, &born_us);
    CHECK(s[1] == s[0]);
    stream_close(&s[1]);
    scene_fini(&sc);
}

TEST(a_paused_stream_reads_again_at_rest)
{
    struct scene sc;
    struct stream *s;

    scene_init(&sc);
    open_n(&sc, &s, 1);
    stream_pause(s);
    pool_give(&sc.pool, &s, sc.l->now_us);
    stream_close(&sc.at.peers->s);
    scene_run(&sc, 10 * MS);
    CHECK_INT(sc.pool.idle_n, 0); /* else its end would go unseen */
    scene_fini(&sc);
}

TEST(a_stream_with_output_under_way_does_not_rest)
{
    struct scene sc;
    struct stream *s;

    scene_init(&sc);
    open_n(&sc, &s, 1);
    stream_send(s, SLICE("half of a request"));
    pool_give(&sc.pool, &s, sc.l->now_us);
    CHECK(s == NULL);
    CHECK_INT(sc.pool.idle_n, 0);
    scene_fini(&sc);
}

TEST(a_connection_that_is_too_old_is_not_used_again)
{
    struct scene sc;
    struct pool_opts o = POOL_OPTS;
    struct stream *s[3];
    int64_t made_us;

    o.age_us = 10 * CLOCK_SECOND_US;
    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &o);
    open_n(&sc, s, 3);
    made_us = sc.l->now_us;
    for (size_t i = 0; i < 2; i++)
        pool_give(&sc.pool, &s[i], made_us);
    scene_run(&sc, 9 * CLOCK_SECOND_US);
    s[1] = pool_take(&sc.pool, &born_us);
    CHECK(s[1] != NULL && born_us == made_us); /* what it was given with */
    CHECK_INT(sc.pool.idle_n, 1);
    scene_run(&sc, CLOCK_SECOND_US);
    pool_give(&sc.pool, &s[1], made_us); /* too old to rest */
    pool_give(&sc.pool, &s[2], made_us + 1);
    CHECK_INT(sc.pool.idle_n, 2);
    s[2] = pool_take(&sc.pool, &born_us); /* the one that is a microsecond younger */
    CHECK(s[2] != NULL && born_us == made_us + 1);
    stream_close(&s[2]);
    CHECK(pool_take(&sc.pool, &born_us) == NULL); /* the other aged while it rested */
    CHECK_INT(sc.pool.idle_n, 0);
    scene_fini(&sc);
}
