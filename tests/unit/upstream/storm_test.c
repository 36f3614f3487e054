/* SPDX-License-Identifier: MIT */
/* Many calls and an endpoint that cannot be reached: what is tried, who waits, and for how long. */
#include "call_kit.h"

#include "base/assert.h"
#include "support/mem_stream.h"
#include "upstream/connect.h"

#define CROWD 200

/* One of the crowd. */
struct one {
    struct loop *l;
    struct connect *c;
    struct stream *s;
    size_t ends_n;
    enum err e;
    int64_t from_us, took_us;
};

static struct one crowd[CROWD];

static void on_end(void *ud, enum err e, struct stream *s)
{
    struct one *o = ud;

    o->c = NULL;
    o->ends_n++;
    o->e = e;
    o->s = s;
    o->took_us = o->l->now_us - o->from_us;
}

static void come(struct scene *sc, struct one *o, bool hurry)
{
    sc->l->now_us = vnet_now_us(sc->v);
    *o = (struct one){.l = sc->l, .from_us = sc->l->now_us};
    o->c = connect_start(&sc->pool, hurry, on_end, o);
    CHECK_INT(o->ends_n, 0);
}

static void all_come(struct scene *sc, bool hurry)
{
    for (size_t i = 0; i < CROWD; i++)
        come(sc, &crowd[i], hurry);
}

static void all_go(void)
{
    for (size_t i = 0; i < CROWD; i++) {
        connect_cancel(&crowd[i].c);
        stream_close(&crowd[i].s);
    }
}

static size_t ended(enum err e)
{
    size_t n = 0;

    for (size_t i = 0; i < CROWD; i++)
        n += crowd[i].ends_n == 1 && crowd[i].e == e;
    return n;
}

static struct pool_opts nowhere(void)
{
    struct pool_opts o = POOL_OPTS;

    o.port = 81; /* nobody listens there */
    return o;
}

static void scene_at(struct scene *sc, const struct pool_opts *o)
{
    scene_init_with(sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, o);
}

TEST(a_healthy_endpoint_gets_all_connections_at_once)
{
    struct scene sc;

    scene_init(&sc);
    all_come(&sc, false);
    scene_run(&sc, 10 * MS);
    CHECK_INT(ended(ERR_OK), CROWD);
    for (size_t i = 0; i < CROWD; i++)
        CHECK(crowd[i].took_us <= 4 * MS); /* name and TCP: nobody has waited */
    all_go();
    scene_fini(&sc);
}

TEST(t26_calls_that_come_again_and_again_are_few_connections)
{
    struct scene sc;
    struct pool_opts o = nowhere();
    uint64_t turns, connects;

    scene_at(&sc, &o);
    all_come(&sc, false);
    scene_run(&sc, 100 * MS);
    CHECK_INT(ended(ERR_REFUSED), CROWD); /* the first time they all find out by themselves */
    CHECK_INT(pool_take_connects(&sc.pool), CROWD);
    turns = sc.l->turns;
    for (int round = 0; round < 100; round++) { /* then each comes back ten times a second, for ten seconds */
        for (size_t i = 0; i < CROWD; i++) {
            if (crowd[i].c == NULL)
                come(&sc, &crowd[i], false);
        }
        scene_run(&sc, 100 * MS);
    }
    connects = pool_take_connects(&sc.pool);
    turns = sc.l->turns - turns;
    CHECK(connects >= 30 && connects <= 90);
    CHECK(turns <= 1000);
    all_go();
    scene_fini(&sc);
}

TEST(who_waits_at_the_gate_shares_the_failure_of_the_next_attempt)
{
    struct scene sc;
    struct pool_opts o = nowhere();

    scene_at(&sc, &o);
    all_come(&sc, false);
    scene_run(&sc, 500 * MS);
    pool_take_connects(&sc.pool);
    all_come(&sc, false);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(ended(ERR_REFUSED), CROWD);
    CHECK(pool_take_connects(&sc.pool) <= 3);
    for (size_t i = 0; i < CROWD; i++)
        CHECK(crowd[i].took_us <= 300 * MS);
    scene_fini(&sc);
}

TEST(who_has_somewhere_else_to_go_does_not_wait)
{
    struct scene sc;
    struct pool_opts o = nowhere();

    scene_at(&sc, &o);
    all_come(&sc, false);
    scene_run(&sc, 10 * MS);
    pool_take_connects(&sc.pool);
    all_come(&sc, true);
    scene_run(&sc, 500 * MS);
    CHECK_INT(ended(ERR_REFUSED), CROWD);
    CHECK_INT(pool_take_connects(&sc.pool), 0);
    for (size_t i = 0; i < CROWD; i++)
        CHECK(crowd[i].took_us <= 2 * MS);
    scene_fini(&sc);
}

/* -- a machine that has nothing left ------------------------------------------------------------------- */

/* Connections that end like those of a process without descriptors. */
static struct hopeless {
    struct mem_stream stream;
    struct timer ends;
} hopeless[CROWD];

static size_t hopeless_n;

static void on_hopeless(struct timer *t)
{
    struct stream *s = &CONTAINER_OF(t, struct hopeless, ends)->stream.stream;

    s->cb->on_close(s->ud, ERR_EXHAUSTED);
}

static struct stream *connect_hopelessly(struct loop *l, const struct addr *to, size_t pending_max)
{
    struct hopeless *h = &hopeless[hopeless_n++];

    (void)to;
    ASSERT(hopeless_n <= CROWD);
    mem_stream_init(&h->stream, l, pending_max);
    h->stream.stream.open = false;
    timer_init(&h->ends, on_hopeless);
    timer_set(&l->wheel, &h->ends, l->now_us + MS);
    return &h->stream.stream;
}

TEST(an_exhausted_machine_does_not_shut_the_gate)
{
    const struct loop_ops *whole;
    struct loop_ops broken;
    struct scene sc;

    scene_init(&sc);
    whole = sc.l->ops;
    broken = *whole;
    broken.connect = connect_hopelessly;
    sc.l->ops = &broken;
    hopeless_n = 0;
    all_come(&sc, false);
    scene_run(&sc, 100 * MS);
    CHECK_INT(ended(ERR_EXHAUSTED), CROWD);
    CHECK_INT(hopeless_n, CROWD); /* each of them found out by itself: nobody shared a failure */
    CHECK(!gate_is_shut(&sc.pool.gate) && sc.pool.last_failure != ERR_EXHAUSTED);
    sc.l->ops = whole;
    all_come(&sc, true); /* behind a shut gate who is in a hurry is sent away */
    scene_run(&sc, 10 * MS);
    CHECK_INT(ended(ERR_OK), CROWD);
    for (size_t i = 0; i < CROWD; i++)
        CHECK(crowd[i].took_us <= 4 * MS);
    all_go();
    for (size_t i = 0; i < hopeless_n; i++)
        mem_stream_fini(&hopeless[i].stream);
    scene_fini(&sc);
}

TEST(when_it_comes_back_all_who_wait_are_served)
{
    struct scene sc;
    struct pool_opts o = nowhere();
    struct endpoint late = {0};

    scene_at(&sc, &o);
    all_come(&sc, false);
    scene_run(&sc, 500 * MS);
    late.l = sc.at.l;
    scene_listen(&sc, &late, "10.0.0.1:81");
    all_come(&sc, false);
    scene_run(&sc, 300 * MS);
    CHECK_INT(ended(ERR_OK), CROWD);
    CHECK_INT(late.accepts_n, CROWD);
    all_go();
    endpoint_close(&late);
    scene_run(&sc, CLOCK_SECOND_US);
    scene_fini(&sc);
}

TEST(nobody_waits_longer_than_a_connection_may_take)
{
    struct scene sc;
    struct addr at;

    scene_init(&sc);
    CHECK_INT(addr_parse(SLICE("10.0.0.1:80"), &at), ERR_OK);
    vnet_blackhole(sc.v, &at, true);
    for (int round = 0; round < 3;
         round++) { /* the first finds out, the others wait for attempts that hang */
        all_come(&sc, false);
        scene_run(&sc, 2 * CONNECT_US);
        CHECK_INT(ended(ERR_TIMEOUT), CROWD);
        for (size_t i = 0; i < CROWD; i++)
            CHECK(crowd[i].took_us <= CONNECT_US + 10 * MS);
    }
    CHECK(pool_take_connects(&sc.pool) < CROWD + 10);
    scene_fini(&sc);
}

/* It says nothing about the endpoint as it is now. */
TEST(who_came_after_an_attempt_had_begun_does_not_share_its_failure)
{
    struct scene sc;
    struct addr at;

    scene_init(&sc);
    CHECK_INT(addr_parse(SLICE("10.0.0.1:80"), &at), ERR_OK);
    vnet_blackhole(sc.v, &at, true);
    all_come(&sc, false);
    scene_run(&sc, 2 * CONNECT_US);
    CHECK(gate_is_shut(&sc.pool.gate));
    come(&sc, &crowd[0], false);
    scene_run(&sc, CONNECT_US / 2);
    come(&sc, &crowd[1], false);
    scene_run(&sc, CONNECT_US / 2 + 10 * MS);
    CHECK_INT(crowd[0].e, ERR_TIMEOUT);
    CHECK_INT(crowd[1].ends_n, 0);
    vnet_blackhole(sc.v, &at, false);
    scene_run(&sc, CONNECT_US);
    CHECK_INT(crowd[1].e, ERR_OK);
    CHECK_INT(crowd[1].ends_n, 1);
    stream_close(&crowd[1].s);
    scene_run(&sc, CLOCK_SECOND_US);
    scene_fini(&sc);
}

TEST(leaving_while_waiting_leaves_nothing)
{
    struct scene sc;
    struct pool_opts o = nowhere();

    scene_at(&sc, &o);
    all_come(&sc, false);
    scene_run(&sc, 10 * MS);
    all_come(&sc, false);
    all_go(); /* checked by scene_fini: no timer, no stream */
    CHECK(list_empty(&sc.pool.waiting));
    scene_fini(&sc);
}

TEST(a_resting_connection_serves_while_the_gate_is_shut)
{
    static const struct slice BODY = {"{}", 2};
    struct scene sc;
    struct addr at;
    struct tried t;
    struct client_request rq = small_request(&BODY);

    scene_init(&sc);
    tried_run(&t, &sc);
    CHECK_INT(t.status, 200);
    tried_fini(&t);
    CHECK_INT(addr_parse(SLICE("10.0.0.1:80"), &at), ERR_OK);
    vnet_blackhole(sc.v, &at, true);
    for (size_t i = 0; i < GATE_SHUT_N; i++) {
        struct stream *s = pool_take(&sc.pool, &(int64_t){0});

        come(&sc, &crowd[0], false);
        scene_run(&sc, CONNECT_US + 10 * MS);
        pool_give(&sc.pool, &s, sc.l->now_us);
    }
    CHECK(gate_is_shut(&sc.pool.gate));
    tried_init(&t, &sc);
    tried_start(&t, &rq);
    scene_run(&sc, 10 * MS);
    CHECK_INT(t.status, 200);
    tried_fini(&t);
    scene_fini(&sc);
}
