/* SPDX-License-Identifier: MIT */
/* Virtual io's clock, scheduler, names and, above all, that a seed repeats a run. */
#include "virtual_kit.h"

static void on_found(void *ud, enum err e, const struct addr *addrs, size_t n)
{
    char *out = ud;

    snprintf(out, 64, "failed %d", e);
    if (n > 0)
        addr_format(&addrs[0], out, 64);
}

TEST(resolves_names)
{
    struct world w;
    char a[64] = "", b[64] = "", c[64] = "", d[64] = "", gone[64] = "";

    world_init(&w, &(struct vnet_opts){.seed = 1, .latency_us = 5});
    vnet_name(w.v, "api.deepseek.com", "10.1.2.3");
    struct lookup *k = w.client->ops->resolve(w.client, "api.deepseek.com", 1, on_found, gone);
    w.client->ops->resolve(w.client, "API.deepseek.com", 443, on_found, a);
    w.client->ops->resolve(w.client, "::1", 9, on_found, b);
    w.client->ops->resolve(w.client, "nowhere.example", 9, on_found, c);
    w.client->ops->resolve(w.client, "localhost", 9, on_found, d);
    w.client->ops->lookup_cancel(&k);
    CHECK_STR(a, "");
    run(&w);
    CHECK_STR(a, "10.1.2.3:443");
    CHECK_STR(b, "[::1]:9");
    CHECK_INT(strncmp(c, "failed", 6), 0);
    CHECK_STR(d, "127.0.0.1:9");
    CHECK_STR(gone, "");
    world_fini(&w);
}

TEST(loops_at_one_address_share_its_connections)
{
    struct world w;
    struct side x[64] = {0};
    struct loop *second;
    struct listener *ls;
    int at_first = 0;

    world_init(&w, &(struct vnet_opts){.seed = 9});
    second = vnet_loop(w.v, NULL, PENDING_MAX);
    second->ops->listen(second, &w.at, on_accept, &w, &ls, NULL);
    for (size_t i = 0; i < COUNT_OF(x); i++)
        connect_side(&w, &x[i]);
    run(&w);
    CHECK_INT(w.accepts_n, 64);
    for (struct side *a = w.accepted; a != NULL; a = a->next)
        at_first += a->l == w.server;
    CHECK(at_first > 16 && at_first < 48);
    for (struct side *a = w.accepted; a != NULL; a = a->next)
        stream_close(&a->s);
    for (size_t i = 0; i < COUNT_OF(x); i++)
        stream_close(&x[i].s);
    second->ops->unlisten(&ls);
    loop_free(&second);
    world_fini(&w);
}

/* A message that hops from loop to loop. */
struct hopper {
    struct message m;
    struct loop **loops;
    struct rng dice;
    int left, id;
    uint64_t *log; /* hash of who was where, in order */
};

static void on_hop(struct message *m)
{
    struct hopper *h = CONTAINER_OF(m, struct hopper, m);

    *h->log = *h->log * 1099511628211U + (uint64_t)h->id;
    if (--h->left > 0)
        mailbox_send(&h->loops[rng_below(&h->dice, 8)]->mailbox, &h->m);
}

static uint64_t hop(uint64_t seed)
{
    struct vnet *v = vnet_new(&(struct vnet_opts){.seed = seed});
    struct loop *loops[8];
    struct hopper h[20];
    uint64_t log = 0;

    for (int i = 0; i < 8; i++)
        loops[i] = vnet_loop(v, NULL, 0);
    for (int i = 0; i < 20; i++) {
        h[i] = (struct hopper){.loops = loops, .left = 1000, .id = i, .log = &log};
        rng_seed(&h[i].dice, (uint64_t)i);
        message_init(&h[i].m, on_hop);
        mailbox_send(&loops[i % 8]->mailbox, &h[i].m);
    }
    CHECK(vnet_run(v, CLOCK_NEVER_US, NULL) >= 1000);
    for (int i = 0; i < 20; i++)
        CHECK_INT(h[i].left, 0);
    for (int i = 0; i < 8; i++)
        loop_free(&loops[i]);
    vnet_free(&v);
    return log;
}

TEST(messages_between_loops_are_interleaved_by_the_seed)
{
    uint64_t first = hop(1);

    CHECK(first == hop(1));
    CHECK(first != hop(2));
}

struct alarm {
    struct timer t;
    struct loop *l;
    int64_t period_us, fired_us;
    int n;
    bool *stop;
};

static void on_alarm(struct timer *t)
{
    struct alarm *a = CONTAINER_OF(t, struct alarm, t);

    a->fired_us = a->l->now_us;
    if (++a->n == 3 && a->stop != NULL)
        *a->stop = true;
    if (a->period_us > 0)
        timer_set(&a->l->wheel, t, a->l->now_us + a->period_us);
}

TEST(the_clock_jumps_from_timer_to_timer)
{
    struct vnet *v = vnet_new(&(struct vnet_opts){.seed = 1, .wall_us = 1700000000 * CLOCK_SECOND_US});
    struct loop *l = vnet_loop(v, NULL, 0);
    struct alarm hour = {.l = l}, second = {.l = l, .period_us = CLOCK_SECOND_US};
    int64_t from = vnet_now_us(v), wall = l->wall_us;
    bool stop = false;

    CHECK_INT(wall, 1700000000 * CLOCK_SECOND_US);
    timer_init(&hour.t, on_alarm);
    timer_init(&second.t, on_alarm);
    timer_set(&l->wheel, &hour.t, from + 3600 * CLOCK_SECOND_US);
    timer_set(&l->wheel, &second.t, from + CLOCK_SECOND_US);
    CHECK(vnet_run(v, from + 3600 * CLOCK_SECOND_US + 10, NULL) < 3600 * 4);
    CHECK_INT(vnet_now_us(v), from + 3600 * CLOCK_SECOND_US + 10);
    CHECK_INT(hour.n, 1);
    CHECK_INT(hour.fired_us, from + 3600 * CLOCK_SECOND_US);
    CHECK_INT(second.n, 3600);
    CHECK_INT(l->wall_us - wall, 3600 * CLOCK_SECOND_US);
    second.n = 0;
    second.stop = &stop;
    vnet_run(v, CLOCK_NEVER_US, &stop);
    CHECK_INT(second.n, 3);
    timer_stop(&l->wheel, &second.t);
    loop_free(&l);
    vnet_free(&v);
}

/* Every accepted stream echoes and everybody stops at a time of his own: the order of all that is in the
 * hash. */
static uint64_t storm(uint64_t seed, uint64_t *turns)
{
    struct world w;
    struct side x[50] = {0};
    uint64_t hash = 0;

    world_init(&w, &(struct vnet_opts){.seed = seed, .segment_max = 50, .pipe_bytes = 300, .latency_us = 40});
    w.model.echo = w.model.let_go = true;
    for (size_t i = 0; i < COUNT_OF(x); i++) {
        connect_side(&w, &x[i]);
        stream_send(x[i].s, noise(w.client, 2000, i));
    }
    *turns = 0;
    for (size_t i = 0; i < COUNT_OF(x); i++) {
        *turns += vnet_run(w.v, vnet_now_us(w.v) + 100, NULL);
        hash = hash * 31 + x[i].got_n + x[i].datas_n * 7;
        if (i % 2 == 0)
            stream_close(&x[i].s);
        else
            stream_finish(&x[i].s);
    }
    *turns += vnet_run(w.v, CLOCK_NEVER_US, NULL);
    for (struct side *a = w.accepted; a != NULL; a = a->next) {
        CHECK_INT(a->closes_n, 1);
        hash = hash * 31 + a->hash + (uint64_t)a->ended_us + (uint64_t)a->why * 17 + a->datas_n * 131;
    }
    world_fini(&w);
    return hash;
}

TEST(a_seed_repeats_a_run_exactly)
{
    uint64_t turns_a, turns_b, turns_c;
    uint64_t a = storm(42, &turns_a), b = storm(42, &turns_b), c = storm(43, &turns_c);

    CHECK(a == b);
    CHECK_INT(turns_a, turns_b);
    CHECK(a != c);
}

TEST(a_steady_exchange_allocates_nothing)
{
    struct world w;
    struct side x = {.echo = true};

    world_init(&w, &(struct vnet_opts){.seed = 1, .latency_us = 1000});
    w.model.echo = true;
    connect_side(&w, &x);
    stream_send(x.s, SLICE("to and fro"));
    vnet_run(w.v, vnet_now_us(w.v) + CLOCK_SECOND_US, NULL);
    uint64_t before = mem_alloc_n();
    size_t got = x.got_n;
    vnet_run(w.v, vnet_now_us(w.v) + CLOCK_SECOND_US, NULL);
    CHECK_INT(x.got_n - got, 5000);
    CHECK_INT(mem_alloc_n() - before, 0);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(ten_thousand_streams)
{
    enum { N = 10000 };
    struct world w;
    struct side *x = mem_zalloc(N * sizeof *x);
    size_t bad = 0;

    world_init(&w, &(struct vnet_opts){.seed = 1, .latency_us = 500});
    w.model.echo = w.model.let_go = true;
    for (size_t i = 0; i < N; i++) {
        connect_side(&w, &x[i]);
        stream_send(x[i].s, SLICE("one event of a stream"));
    }
    run(&w);
    for (size_t i = 0; i < N; i++) {
        bad += x[i].got_n != 21;
        stream_finish(&x[i].s);
    }
    CHECK_INT(bad, 0);
    run(&w);
    CHECK_INT(vnet_streams(w.v), 0);
    mem_free(x);
    world_fini(&w);
}
