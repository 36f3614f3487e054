/* SPDX-License-Identifier: MIT */
/* Making a connection: names, TLS, and giving up. The race of addresses is in dial_test.c, the gate in
 * storm_test.c, proxies in proxy_test.c. */
#include "upstream/connect.h"

#include "support/certs.h"
#include "upstream_kit.h"

/* What came of a connect. */
struct result {
    struct loop *l;
    struct stream *s;
    size_t ends_n;
    enum err e;
    int64_t at_us;
};

static void on_result(void *ud, enum err e, struct stream *s)
{
    struct result *r = ud;

    r->ends_n++;
    r->e = e;
    r->s = s;
    r->at_us = r->l->now_us;
}

static struct connect *start(struct scene *sc, struct result *r)
{
    struct connect *c;

    *r = (struct result){.l = sc->l};
    c = connect_start(&sc->pool, false, on_result, r);
    CHECK_INT(r->ends_n, 0); /* never from inside the call */
    return c;
}

/* Connects; the result's time is how long it took. */
static struct result connected(struct scene *sc)
{
    int64_t from_us = vnet_now_us(sc->v);
    struct result r;

    sc->l->now_us = from_us;
    start(sc, &r);
    scene_run(sc, 2 * CONNECT_US);
    CHECK_INT(r.ends_n, 1);
    CHECK_INT(r.s != NULL, r.e == ERR_OK);
    r.at_us -= from_us;
    return r;
}

/* -- one address ---------------------------------------------------------------------------------------- */

TEST(a_name_and_a_number_connect)
{
    static const char *const HOSTS[] = {"endpoint.test", "10.0.0.1"};

    for (size_t i = 0; i < COUNT_OF(HOSTS); i++) {
        struct scene sc;
        struct pool_opts o = POOL_OPTS;
        struct result r;

        o.host = HOSTS[i];
        scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &o);
        r = connected(&sc);
        CHECK_INT(r.e, ERR_OK);
        CHECK(r.s != NULL && r.s->open);
        stream_close(&r.s);
        scene_fini(&sc);
    }
}

TEST(a_name_that_nobody_knows_fails)
{
    struct scene sc;
    struct pool_opts o = POOL_OPTS;

    o.host = "unknown.test";
    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &o);
    CHECK_INT(connected(&sc).e, ERR_DNS);
    CHECK_INT(pool_take_connects(&sc.pool), 0);
    scene_fini(&sc);
}

TEST(a_name_server_that_never_answers_uses_up_the_bound)
{
    struct scene sc;
    struct result r;

    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = 60 * CLOCK_SECOND_US}, &POOL_OPTS);
    r = connected(&sc);
    CHECK_INT(r.e, ERR_TIMEOUT);
    CHECK(r.at_us >= CONNECT_US && r.at_us <= CONNECT_US + 10 * MS);
    scene_fini(&sc);
}

TEST(cancelled_in_every_state_it_leaves_nothing)
{
    /* The look-up takes 1 ms, the handshake 2 ms more. */
    for (int64_t after_us = 0; after_us < 3 * MS; after_us += MS / 4) {
        struct scene sc;
        struct result r;
        struct connect *c;

        scene_init(&sc);
        c = start(&sc, &r);
        scene_run(&sc, after_us);
        if (r.ends_n == 0)
            connect_cancel(&c);
        else
            stream_close(&r.s);
        CHECK(r.ends_n == 1 || c == NULL);
        scene_run(&sc, 2 * CONNECT_US);
        CHECK(r.ends_n <= 1);
        scene_fini(&sc);
    }
}

/* -- TLS ------------------------------------------------------------------------------------------------ */

static struct certs certs;

__attribute__((constructor)) static void make_certs(void)
{
    certs_make(&certs);
}

__attribute__((destructor)) static void remove_certs(void)
{
    certs_remove(&certs);
}

struct tls_case {
    const char *host, *cert, *key, *ca;
    enum err want;
    const char *word; /* of the reason */
};

static void try_tls(const struct tls_case *t)
{
    struct scene sc;
    struct pool_opts o = POOL_OPTS;
    const char *why = "";
    struct result r;

    o.host = t->host;
    o.tls = tls_config_client(t->ca, &why);
    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &o);
    vnet_name(sc.v, t->host, "10.0.0.1");
    sc.at.tls = tls_config_server(t->cert, t->key, &why);
    CHECK_STR(why, "");
    r = connected(&sc);
    CHECK_INT(r.e, t->want);
    if (!CHECK(strstr(sc.pool.why, t->word) != NULL))
        printf("# host %s: \"%s\" does not say \"%s\"\n", t->host, sc.pool.why, t->word);
    CHECK_INT(sc.pool.why[0] == '\0', t->want == ERR_OK);
    stream_close(&r.s);
    scene_fini(&sc);
    tls_config_free(&o.tls);
    tls_config_free(&sc.at.tls);
}

TEST(tls_says_why_it_failed)
{
    const struct tls_case cases[] = {
        {"localhost", certs.good, certs.good_key, certs.ca, ERR_OK, ""},
        {"a.wild.test", certs.good, certs.good_key, certs.ca, ERR_OK, ""},
        {"endpoint.test", certs.good, certs.good_key, certs.ca, ERR_TLS, "name"},
        {"localhost", certs.expired, certs.expired_key, certs.ca, ERR_TLS, "expired"},
        {"localhost", certs.good, certs.good_key, certs.other_ca, ERR_TLS, "certificate"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        try_tls(&cases[i]);
}

TEST(a_handshake_that_never_ends_uses_up_the_bound)
{
    struct scene sc;
    struct pool_opts o = POOL_OPTS;
    const char *why = "";
    struct result r;

    o.tls = tls_config_client(certs.ca, &why);
    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &o);
    sc.at.reply = NULL; /* takes the bytes and says nothing */
    r = connected(&sc);
    CHECK_INT(r.e, ERR_TIMEOUT);
    CHECK(r.at_us >= CONNECT_US && r.at_us <= CONNECT_US + 10 * MS);
    scene_fini(&sc);
    tls_config_free(&o.tls);
}

static void say_400(struct peer *p)
{
    p->in.n = 0;
    peer_say(p, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

TEST(an_endpoint_that_speaks_no_tls_fails)
{
    struct scene sc;
    struct pool_opts o = POOL_OPTS;
    const char *why = "";

    o.tls = tls_config_client(certs.ca, &why);
    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &o);
    sc.at.on_data = say_400;
    CHECK_INT(connected(&sc).e, ERR_TLS);
    CHECK(sc.pool.why[0] != '\0');
    scene_fini(&sc);
    tls_config_free(&o.tls);
}

/* -- TLS and several addresses ----------------------------------------------------------------------------
 */

static void hang_up(struct peer *p)
{
    p->in.n = 0;
    stream_close(&p->s);
}

static void say_nothing(struct peer *p)
{
    p->in.n = 0;
}

/* Two addresses: the first opens and then does this with a handshake, the second is fine. How long it took.
 */
static struct result past_a_bad_winner(void (*bad)(struct peer *p))
{
    struct scene sc;
    struct endpoint second = {0};
    struct pool_opts o = POOL_OPTS;
    const char *why = "";
    struct result r;

    o.host = "localhost";
    o.tls = tls_config_client(certs.ca, &why);
    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &o);
    vnet_name(sc.v, "localhost", "10.0.0.1 10.0.0.2");
    sc.at.on_data = bad;
    second.l = sc.at.l;
    second.tls = tls_config_server(certs.good, certs.good_key, &why);
    scene_listen(&sc, &second, "10.0.0.2:80");
    r = connected(&sc);
    CHECK_INT(sc.at.accepts_n, 1);
    CHECK_INT(second.accepts_n, r.e == ERR_OK);
    stream_close(&r.s);
    endpoint_close(&second);
    scene_run(&sc, CLOCK_SECOND_US);
    scene_fini(&sc);
    tls_config_free(&second.tls);
    tls_config_free(&o.tls);
    return r;
}

TEST(a_winner_whose_handshake_fails_gives_way_at_once)
{
    struct result r = past_a_bad_winner(hang_up);

    CHECK_INT(r.e, ERR_OK);
    CHECK(r.at_us < 30 * MS);
}

TEST(a_winner_whose_handshake_hangs_uses_up_only_its_share)
{
    struct result r = past_a_bad_winner(say_nothing);

    CHECK_INT(r.e, ERR_OK);
    CHECK(r.at_us > CONNECT_US / 2 - 10 * MS && r.at_us < CONNECT_US / 2 + 30 * MS);
}
