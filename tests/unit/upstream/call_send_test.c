/* SPDX-License-Identifier: MIT */
/* How a call sends: large bodies in steps, connections that turn out to be stale, answers that come early. */
#include "base/rng.h"
#include "call_kit.h"

#define LARGE ((size_t)10 * 1000 * 1000)
#define MEMORY_MAX ((uint64_t)256 * 1024) /* of a call, however large its body */

/* A request with a body of that size, in three pieces of which one is empty. */
struct large {
    struct slice pieces[3];
    char *bytes;
    struct client_request rq;
};

static void large_init(struct large *g, size_t n)
{
    struct rng r;

    g->bytes = mem_alloc(n);
    rng_seed(&r, n);
    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t word = rng_u64(&r);

        memcpy(g->bytes + i, &word, n - i < sizeof word ? n - i : sizeof word);
    }
    g->pieces[0] = (struct slice){g->bytes, n / 3};
    g->pieces[1] = SLICE_NONE;
    g->pieces[2] = (struct slice){g->bytes + n / 3, n - n / 3};
    g->rq = small_request(g->pieces);
    g->rq.body_n = COUNT_OF(g->pieces);
    g->rq.body_bytes = n;
}

static void large_fini(struct large *g)
{
    mem_free(g->bytes);
}

/* Whether the endpoint has the whole body. */
static bool arrived(const struct peer *p, const struct large *g)
{
    size_t at, n;

    return peer_head(p, &at, &n) && n == g->rq.body_bytes && p->in.n == at + n &&
           memcmp(p->in.p + at, g->bytes, n) == 0;
}

static void say_413(struct peer *p)
{
    size_t at, n;

    if (p->requests_n == 0 && peer_head(p, &at, &n) && p->requests_n++ == 0)
        peer_say(p, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge");
}

static void keep_silent(struct peer *p)
{
    (void)p;
}

/* -- large bodies --------------------------------------------------------------------------------------- */

/* One large request to an endpoint that answers when it has all of it. */
static void send_large(const struct vnet_opts *net, size_t bytes, int64_t rest_us)
{
    struct large g;
    struct scene sc;
    struct tried t;
    uint64_t most = 0;

    large_init(&g, bytes);
    scene_init_with(&sc, net, &POOL_OPTS);
    sc.at.rest_us = rest_us;
    sc.at.on_data = keep_silent;
    tried_init(&t, &sc);
    tried_start(&t, &g.rq);
    for (int i = 0; i < 20000 && t.ends_n == 0 && !(sc.at.peers != NULL && arrived(sc.at.peers, &g)); i++) {
        scene_run(&sc, MS);
        if (budget_used(&sc.budget) > most)
            most = budget_used(&sc.budget);
    }
    CHECK_INT(t.ends_n, 0);
    if (CHECK(sc.at.peers != NULL && arrived(sc.at.peers, &g))) {
        CHECK_INT(call_step(t.call), CALL_SENT);
        peer_say(sc.at.peers, sc.at.reply);
    }
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.status, 200);
    CHECK_INT(sc.pool.idle_n, 1);
    if (!CHECK(most <= MEMORY_MAX))
        printf("# %llu bytes\n", (unsigned long long)most);
    tried_fini(&t);
    scene_fini(&sc);
    large_fini(&g);
}

TEST(ten_megabytes_to_a_slow_endpoint_take_little_memory)
{
    send_large(&(struct vnet_opts){.seed = 1, .latency_us = MS, .segment_max = 30000}, LARGE, 5 * MS);
}

TEST(large_bodies_arrive_whatever_the_kernel_takes_at_once)
{
    static const size_t PIPES[] = {1000, 65536, 1000000, 100000000};
    static const size_t SIZES[] = {65535, 65536, 65537, 131072, 1000000};

    for (size_t i = 0; i < COUNT_OF(PIPES) * COUNT_OF(SIZES); i++) {
        struct vnet_opts net = {.seed = i, .latency_us = MS / 10, .pipe_bytes = PIPES[i % COUNT_OF(PIPES)]};

        send_large(&net, SIZES[i / COUNT_OF(PIPES)], 0);
    }
}

struct granted {
    struct message message;
    struct tried *t;
    const struct large *g;
};

static void on_granted(struct message *m)
{
    struct granted *x = CONTAINER_OF(m, struct granted, message);

    tried_start(x->t, &x->g->rq);
}

/* As a flight does that got its slot: messages are delivered before the turn's timers. */
TEST(a_large_body_whose_call_begins_with_a_message_arrives_on_a_connection_that_rested)
{
    static const struct slice BODY = {"{\"model\":\"any\"}", 15};
    struct client_request first = small_request(&BODY);
    struct granted x;
    struct large g;
    struct scene sc;
    struct tried t;

    large_init(&g, 1000000);
    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .pipe_bytes = 100000000}, &POOL_OPTS);
    tried_init(&t, &sc);
    tried_start(&t, &first);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(sc.pool.idle_n, 1);
    tried_fini(&t);
    tried_init(&t, &sc);
    x = (struct granted){.t = &t, .g = &g};
    message_init(&x.message, on_granted);
    mailbox_send(&sc.l->mailbox, &x.message);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.status, 200);
    tried_fini(&t);
    scene_fini(&sc);
    large_fini(&g);
}

TEST(an_upload_that_moves_counts_as_life)
{
    struct large g;
    struct scene sc;
    struct tried t;

    large_init(&g, 1000000);
    scene_init(&sc);
    sc.at.on_data = keep_silent;
    sc.at.rest_us = 100 * MS;
    tried_init(&t, &sc);
    tried_start(&t, &g.rq);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK(!arrived(sc.at.peers, &g));
    CHECK(call_last_byte_us(t.call) > vnet_now_us(sc.v) - 300 * MS);
    scene_run(&sc, 20 * CLOCK_SECOND_US);
    CHECK(arrived(sc.at.peers, &g));
    CHECK(call_last_byte_us(t.call) < vnet_now_us(sc.v) - CLOCK_SECOND_US);
    tried_fini(&t);
    scene_fini(&sc);
    large_fini(&g);
}

TEST(an_upload_can_be_cancelled_at_any_time)
{
    struct large g;

    large_init(&g, 1000000);
    for (int64_t after_us = 0; after_us < 400 * MS; after_us += 13 * MS) {
        struct scene sc;
        struct tried t;

        scene_init(&sc);
        sc.at.rest_us = 20 * MS;
        tried_init(&t, &sc);
        tried_start(&t, &g.rq);
        scene_run(&sc, after_us);
        call_cancel(&t.call);
        scene_run(&sc, 100 * MS);
        CHECK_INT(budget_used(&sc.budget), 0);
        CHECK_INT(vnet_streams(sc.v), t.ends_n * 2);
        tried_fini(&t);
        scene_fini(&sc);
    }
    large_fini(&g);
}

/* -- an early answer ------------------------------------------------------------------------------------ */

TEST(an_answer_before_the_request_is_sent_ends_the_call_and_the_connection)
{
    struct large g;

    large_init(&g, LARGE);
    for (int end = 0; end < 3; end++) { /* the endpoint reads on, stops reading, closes */
        struct scene sc;
        struct tried t;

        scene_init(&sc);
        sc.at.on_data = say_413;
        sc.at.rest_us = end == 1 ? 3600 * CLOCK_SECOND_US : 10 * MS;
        tried_init(&t, &sc);
        tried_start(&t, &g.rq);
        scene_run(&sc, 5 * MS);
        if (end == 2)
            stream_close(&sc.at.peers->s);
        scene_run(&sc, CLOCK_SECOND_US);
        CHECK_INT(t.ends_n, 1);
        CHECK_INT(t.why, ERR_OK);
        CHECK_INT(t.status, 413);
        CHECK(tried_body_is(&t, "large"));
        CHECK_INT(sc.pool.idle_n, 0); /* the rest of the body would be taken for the next request */
        CHECK(sc.at.peers->in.n < LARGE);
        CHECK_INT(sc.at.accepts_n, 1);
        tried_fini(&t);
        scene_fini(&sc);
    }
    large_fini(&g);
}

/* -- stale connections ---------------------------------------------------------------------------------- */

/* What an endpoint does with the next request on a connection that has served one. */
static const char *second_reply; /* before it closes; NULL: it answers as ever */

static void stale(struct peer *p)
{
    if (p->requests_n == 0 || second_reply == NULL) {
        peer_answer(p);
        return;
    }
    peer_say(p, second_reply);
    stream_finish(&p->s);
}

/* A scene with one connection at rest. */
static void scene_with_rest(struct scene *sc)
{
    struct tried t;

    scene_init(sc);
    sc->at.on_data = stale;
    tried_run(&t, sc);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(sc->pool.idle_n, 1);
    tried_fini(&t);
}

TEST(a_stale_connection_is_replaced_once_and_unseen)
{
    struct scene sc;
    struct tried t;

    scene_with_rest(&sc);
    second_reply = "";
    tried_run(&t, &sc);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.why, ERR_OK);
    CHECK_INT(t.heads_n, 1);
    CHECK(tried_body_is(&t, "fine"));
    CHECK_INT(sc.at.accepts_n, 2);
    CHECK_INT(sc.at.requests_n, 2); /* the stale connection's was never taken */
    tried_fini(&t);
    scene_fini(&sc);
}

TEST(a_connection_that_closed_while_the_request_was_on_its_way_is_stale)
{
    struct scene sc;
    struct tried t;

    scene_with_rest(&sc);
    second_reply = NULL;
    stream_close(&sc.at.peers->s); /* seen by the pool only in 1 ms */
    tried_run(&t, &sc);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.why, ERR_OK);
    CHECK_INT(sc.at.accepts_n, 2);
    tried_fini(&t);
    scene_fini(&sc);
}

static const struct large *expected;
static size_t whole_n; /* requests that were exactly the expected one */

static void stale_in_the_middle(struct peer *p)
{
    if (p->requests_n == 1) {
        stream_close(&p->s); /* most of the body is still to come */
        return;
    }
    whole_n += expected != NULL && arrived(p, expected);
    peer_answer(p);
}

TEST(a_large_request_goes_out_whole_on_the_fresh_connection)
{
    struct large g;
    struct scene sc;
    struct tried t;

    large_init(&g, 1000000);
    scene_with_rest(&sc);
    sc.at.on_data = stale_in_the_middle;
    expected = &g;
    whole_n = 0;
    tried_init(&t, &sc);
    tried_start(&t, &g.rq);
    scene_run(&sc, 5 * CLOCK_SECOND_US);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.why, ERR_OK);
    CHECK_INT(sc.at.accepts_n, 2);
    CHECK_INT(whole_n, 1);
    expected = NULL;
    tried_fini(&t);
    scene_fini(&sc);
    large_fini(&g);
}

TEST(a_byte_of_an_answer_forbids_the_second_try)
{
    static const char *const BEGINNINGS[] = {"H", "HTTP/1.1 100 Continue\r\n\r\n",
                                             "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nf"};

    for (size_t i = 0; i < COUNT_OF(BEGINNINGS); i++) {
        struct scene sc;
        struct tried t;

        scene_with_rest(&sc);
        second_reply = BEGINNINGS[i];
        tried_run(&t, &sc);
        CHECK_INT(t.ends_n, 1);
        CHECK_INT(t.why, ERR_EOF);
        CHECK_INT(t.step, CALL_ANSWERED);
        CHECK_INT(sc.at.accepts_n, 1);
        tried_fini(&t);
        scene_fini(&sc);
    }
}

static void close_later(struct timer *t)
{
    stream_close(&CONTAINER_OF(t, struct peer, go_on)->s);
}

static void think_then_close(struct peer *p)
{
    timer_init(&p->go_on, close_later);
    timer_set(&p->of->l->wheel, &p->go_on, p->of->l->now_us + 1100 * MS);
}

TEST(an_endpoint_that_thinks_before_it_closes_may_have_done_the_work)
{
    struct scene sc;
    struct tried t;

    scene_with_rest(&sc);
    sc.at.on_data = think_then_close;
    tried_run(&t, &sc);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.why, ERR_EOF);
    CHECK_INT(t.step, CALL_SENT); /* whoever started the call decides whether to try again */
    CHECK_INT(sc.at.accepts_n, 1);
    tried_fini(&t);
    scene_fini(&sc);
}

static void always_stale(struct peer *p)
{
    stream_close(&p->s);
}

TEST(a_fresh_connection_that_closes_too_is_the_end)
{
    struct scene sc;
    struct tried t;

    scene_with_rest(&sc);
    sc.at.on_data = always_stale;
    tried_run(&t, &sc);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.why, ERR_EOF);
    CHECK_INT(t.step, CALL_SENT);
    CHECK_INT(sc.at.accepts_n, 2);
    tried_fini(&t);
    scene_fini(&sc);
}

TEST(a_second_try_that_finds_nobody_tells_so)
{
    struct scene sc;
    struct tried t;

    scene_with_rest(&sc);
    sc.at.on_data = always_stale;
    sc.at.l->ops->unlisten(&sc.at.ls);
    tried_run(&t, &sc);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.why, ERR_REFUSED);
    CHECK_INT(t.step, CALL_CONNECTING);
    tried_fini(&t);
    scene_fini(&sc);
}

TEST(a_second_try_can_be_cancelled_and_paused)
{
    static const struct slice SMALL = {"{}", 2};

    for (int64_t after_us = 0; after_us < 10 * MS; after_us += MS / 2) {
        struct client_request rq = small_request(&SMALL);
        struct scene sc;
        struct tried t;

        scene_with_rest(&sc);
        second_reply = "";
        tried_init(&t, &sc);
        tried_start(&t, &rq);
        call_pause(t.call);
        scene_run(&sc, after_us);
        CHECK_INT(t.heads_n + t.ends_n, 0);
        call_cancel(&t.call);
        scene_run(&sc, CLOCK_SECOND_US);
        CHECK_INT(t.heads_n + t.ends_n, 0);
        CHECK_INT(vnet_streams(sc.v), 0);
        tried_fini(&t);
        scene_fini(&sc);
    }
}
