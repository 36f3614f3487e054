/* SPDX-License-Identifier: MIT */
/* TLS over virtual streams: what is accepted, what is refused, and that bytes, back-pressure and ends pass
 * through. */
#include "support/certs.h"
#include "virtual_kit.h"

static struct certs certs;

__attribute__((constructor)) static void make_certs(void)
{
    certs_make(&certs);
}

__attribute__((destructor)) static void remove_certs(void)
{
    certs_remove(&certs);
}

/* A world whose server shows the given certificate and whose client trusts the given CA. */
static void tls_world(struct world *w, const struct vnet_opts *o, const char *const *cert, const char *ca)
{
    const char *why = NULL;

    world_init(w, o);
    w->tls_server = tls_config_server(cert[0], cert[1], &why);
    CHECK_STR(why, "");
    w->tls_client = tls_config_client(ca, &why);
    CHECK_STR(why, "");
    w->host = "localhost";
}

static void good_world(struct world *w, const struct vnet_opts *o)
{
    tls_world(w, o, (const char *[]){certs.good, certs.good_key}, certs.ca);
}

TEST(echoes_through_any_pipe)
{
    static const struct vnet_opts WORLDS[] = {
        {.seed = 1},
        {.seed = 2, .latency_us = 700, .segment_max = 2000},
        {.seed = 3, .segment_max = 1},
        {.seed = 4, .segment_max = 100, .pipe_bytes = 99},
    };

    for (size_t i = 0; i < COUNT_OF(WORLDS); i++) {
        struct world w;
        struct side x = {0};
        uint64_t want;

        good_world(&w, &WORLDS[i]);
        w.model.echo = true;
        connect_side(&w, &x);
        struct slice bytes = noise(w.client, 30000, i);
        want = hash_of(bytes);
        stream_send(x.s, bytes); /* before the handshake: it waits */
        run(&w);
        CHECK_INT(x.opens_n, 1);
        CHECK_INT(w.accepted->opens_n, 1);
        CHECK_INT(x.got_n, 30000);
        CHECK(x.hash == want && w.accepted->hash == want);
        CHECK_INT(x.closes_n + w.accepted->closes_n, 0);
        CHECK_INT(stream_pending(x.s), 0);
        stream_close(&x.s);
        world_fini(&w);
    }
}

/* One connect; what became of it. */
static enum err outcome_of(const char *const *cert, const char *ca, const char *host, char why[200])
{
    struct world w;
    struct side x = {.why = ERR_OK};

    tls_world(&w, &(struct vnet_opts){.seed = 1}, cert, ca);
    w.model.let_go = true;
    w.host = host;
    connect_side(&w, &x);
    stream_send(x.s, SLICE("secret"));
    run(&w);
    CHECK_INT(x.opens_n + x.closes_n, 1);
    CHECK_INT(w.accepted->got_n, x.opens_n == 1 ? 6 : 0);
    snprintf(why, 200, "%s", tls_why(x.s));
    stream_close(&x.s);
    run(&w);
    CHECK_INT(w.accepted->closes_n, 1);
    world_fini(&w);
    return x.why;
}

TEST(verifies_the_host)
{
    static const char *const RIGHT[] = {"localhost", "LocalHost", "localhost.", "127.0.0.1",
                                        "::1",       "[::1]",     "a.wild.test"};
    static const char *const WRONG[] = {
        "localhost.evil.test", "wild.test",        "a.b.wild.test", "10.0.0.1", "::2", "",
        "no spaces",           "xn--\xff\xfe.test"};
    const char *cert[] = {certs.good, certs.good_key};
    char why[200];

    for (size_t i = 0; i < COUNT_OF(RIGHT); i++) {
        if (!CHECK_INT(outcome_of(cert, certs.ca, RIGHT[i], why), ERR_OK))
            printf("# %s: %s\n", RIGHT[i], why);
    }
    for (size_t i = 0; i < COUNT_OF(WRONG); i++) {
        if (!CHECK_INT(outcome_of(cert, certs.ca, WRONG[i], why), ERR_TLS) || !CHECK(strstr(why, "mismatch")))
            printf("# %s: %s\n", WRONG[i], why);
    }
}

TEST(refuses_certificates_that_do_not_hold)
{
    char why[200];

    CHECK_INT(outcome_of((const char *[]){certs.good, certs.good_key}, certs.other_ca, "localhost", why),
              ERR_TLS);
    CHECK_STR(why,
              "certificate refused: unable to get local issuer certificate; it was signed by \"test CA\", "
              "which is not trusted here: see ca_file");
    CHECK_INT(outcome_of((const char *[]){certs.expired, certs.expired_key}, certs.ca, "localhost", why),
              ERR_TLS);
    CHECK(strncmp(why, "certificate refused: certificate has expired (20", 48) == 0);
    CHECK(strstr(why, "; the endpoint must renew it") != NULL);
    CHECK_INT(outcome_of((const char *[]){certs.early, certs.early_key}, certs.ca, "localhost", why),
              ERR_TLS);
    CHECK(strncmp(why, "certificate refused: certificate is not yet valid (20", 52) == 0);
    CHECK(strstr(why, "clock") != NULL);
    /* The system's store does not know our CA, or is not there at all. */
    CHECK_INT(outcome_of((const char *[]){certs.good, certs.good_key}, NULL, "localhost", why), ERR_TLS);
    CHECK_STR(why,
              "certificate refused: unable to get local issuer certificate; it was signed by \"test CA\", "
              "which is not trusted here: see ca_file");
}

TEST(honours_ssl_cert_file)
{
    char why[200];

    setenv("SSL_CERT_FILE", certs.ca, 1);
    CHECK_INT(outcome_of((const char *[]){certs.good, certs.good_key}, NULL, "localhost", why), ERR_OK);
    unsetenv("SSL_CERT_FILE");
}

TEST(says_why_a_configuration_cannot_work)
{
    const char *why = NULL;

    CHECK(tls_config_client("/nowhere/ca.pem", &why) == NULL);
    CHECK_STR(why, "the CA file cannot be read or holds no certificate");
    CHECK(tls_config_client(certs.good_key, &why) == NULL);
    CHECK_STR(why, "the CA file cannot be read or holds no certificate");
    CHECK(tls_config_server("/nowhere/cert.pem", certs.good_key, &why) == NULL);
    CHECK_STR(why, "the certificate cannot be read or is not in PEM form");
    CHECK(tls_config_server(certs.good, certs.expired_key, &why) == NULL);
    CHECK_STR(why, "the key does not belong to the certificate");
}

TEST(a_peer_that_speaks_no_tls)
{
    struct world w;
    struct side x = {0};

    good_world(&w, &(struct vnet_opts){.seed = 1, .segment_max = 7});
    tls_config_free(&w.tls_server);
    connect_side(&w, &x);
    run(&w);
    stream_send(w.accepted->s, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"));
    run(&w);
    CHECK_INT(x.why, ERR_TLS);
    CHECK_STR(tls_why(x.s),
              "wrong version number; what answers there speaks no TLS: is it http://, or another "
              "port?");
    CHECK_STR(tls_why(w.accepted->s), "");
    stream_close(&x.s);
    world_fini(&w);
}

TEST(a_peer_that_leaves_during_the_handshake)
{
    struct world w;
    struct side x = {0};

    good_world(&w, &(struct vnet_opts){.seed = 1});
    tls_config_free(&w.tls_server);
    w.model.close_on_data = true;
    connect_side(&w, &x);
    run(&w);
    CHECK_INT(x.why, ERR_TLS);
    CHECK_STR(tls_why(x.s), "the peer closed the connection during the handshake");
    stream_close(&x.s);
    world_fini(&w);
}

TEST(a_connect_that_fails_is_told_as_such)
{
    struct world w;
    struct side x = {0};

    good_world(&w, &(struct vnet_opts){.seed = 1});
    addr_set_port(&w.at, 81);
    connect_side(&w, &x);
    run(&w);
    CHECK_INT(x.why, ERR_REFUSED);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(an_end_without_close_notify_is_a_reset)
{
    struct world w;
    struct side x = {0};

    good_world(&w, &(struct vnet_opts){.seed = 1, .segment_max = 300});
    connect_side(&w, &x);
    run(&w);
    stream_send(w.accepted->s, SLICE("half of an answ"));
    run(&w);
    stream_close(&w.accepted->s);
    run(&w);
    CHECK_INT(x.got_n, 15);
    CHECK_INT(x.why, ERR_RESET);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(finish_sends_everything_and_close_notify)
{
    struct world w;
    struct side x = {0};

    good_world(&w, &(struct vnet_opts){.seed = 1, .pipe_bytes = 3000, .segment_max = 500, .latency_us = 50});
    connect_side(&w, &x);
    run(&w);
    stream_send(w.accepted->s, noise(w.server, 100000, 1));
    stream_finish(&w.accepted->s);
    run(&w);
    CHECK_INT(x.got_n, 100000);
    CHECK_INT(x.why, ERR_EOF);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(an_end_waits_until_a_paused_client_has_read)
{
    struct world w;
    struct side x = {0};

    good_world(&w, &(struct vnet_opts){.seed = 1});
    connect_side(&w, &x);
    run(&w);
    stream_pause(x.s);
    stream_send(w.accepted->s, SLICE("the last words"));
    stream_finish(&w.accepted->s);
    run(&w);
    CHECK_INT(x.got_n + (size_t)x.closes_n, 0);
    stream_resume(x.s);
    run(&w);
    CHECK_INT(x.got_n, 14);
    CHECK_INT(x.why, ERR_EOF);
    stream_close(&x.s);
    world_fini(&w);
}

TEST(a_paused_reader_holds_the_sender_back)
{
    struct world w;
    struct side x = {0};

    good_world(&w, &(struct vnet_opts){.seed = 1, .pipe_bytes = 20000});
    connect_side(&w, &x);
    run(&w);
    stream_pause(w.accepted->s);
    struct slice bytes = noise(w.client, 3000000, 7);
    uint64_t want = hash_of(bytes);
    stream_send(x.s, bytes);
    run(&w);
    CHECK_INT(w.accepted->got_n, 0);
    CHECK(stream_pending(x.s) > 2900000);
    CHECK_INT(x.drains_n, 0);
    stream_resume(w.accepted->s);
    run(&w);
    CHECK_INT(w.accepted->got_n, 3000000);
    CHECK(w.accepted->hash == want);
    CHECK_INT(stream_pending(x.s), 0);
    CHECK_INT(x.drains_n, 1);
    stream_close(&x.s);
    world_fini(&w);
}

/* A reader that pauses with every piece, so that every place where bytes can wait is used. */
static void pausing_data(void *ud, struct slice bytes)
{
    struct side *x = ud;

    side_data(x, bytes);
    stream_pause(x->s);
}

static const struct stream_cb PAUSING_CB = {side_opened, pausing_data, side_drained, side_closed};

TEST(pausing_at_every_piece_loses_nothing)
{
    static const size_t SEGMENTS[] = {0, 1000, 40000};

    for (size_t i = 0; i < COUNT_OF(SEGMENTS); i++) {
        struct world w;
        struct side x = {0};
        int rounds = 0;

        good_world(&w, &(struct vnet_opts){.seed = i, .segment_max = SEGMENTS[i]});
        connect_side(&w, &x);
        stream_set_cb(x.s, &PAUSING_CB, &x);
        run(&w);
        struct slice bytes = noise(w.server, 200000, 3);
        uint64_t want = hash_of(bytes);
        for (size_t at = 0; at < bytes.n; at += 1000) {
            stream_send(w.accepted->s, (struct slice){bytes.p + at, 1000});
            stream_send(w.accepted->s, SLICE("")); /* no bytes: nothing happens */
        }
        stream_finish(&w.accepted->s);
        while (x.closes_n == 0 && rounds++ < 10000) {
            vnet_run(w.v, vnet_now_us(w.v) + 1000, NULL);
            stream_resume(x.s);
        }
        CHECK_INT(x.got_n, 200000);
        CHECK(x.hash == want);
        CHECK_INT(x.why, ERR_EOF);
        stream_close(&x.s);
        world_fini(&w);
    }
}

/* -- somebody between the two who changes or cuts what passes -------------------------------------------- */

struct middle {
    struct world *w;
    struct stream *client, *server;
    size_t passed_n, flip_at, cut_at; /* of the bytes towards the client */
};

static void from_client(void *ud, struct slice bytes)
{
    stream_send(((struct middle *)ud)->server, bytes);
}

static void from_server(void *ud, struct slice bytes)
{
    struct middle *m = ud;
    char *copy = loop_scratch(m->w->server, bytes.n);

    memcpy(copy, bytes.p, bytes.n);
    if (m->flip_at >= m->passed_n && m->flip_at < m->passed_n + bytes.n)
        copy[m->flip_at - m->passed_n] ^= 1;
    m->passed_n += bytes.n;
    if (m->client != NULL)
        stream_send(m->client, (struct slice){copy, bytes.n});
    if (m->passed_n > m->cut_at && m->client != NULL)
        stream_finish(&m->client);
}

static void middle_ended(void *ud, enum err why)
{
    (void)ud;
    (void)why;
}

static const struct stream_cb FROM_CLIENT = {NULL, from_client, NULL, middle_ended};
static const struct stream_cb FROM_SERVER = {NULL, from_server, NULL, middle_ended};

static void on_middle(void *ud, struct stream *s, const struct addr *peer)
{
    struct middle *m = ud;
    struct addr to = m->w->at;

    (void)peer;
    addr_set_port(&to, 80);
    m->client = s;
    m->server = m->w->server->ops->connect(m->w->server, &to, PENDING_MAX);
    stream_set_cb(m->client, &FROM_CLIENT, m);
    stream_set_cb(m->server, &FROM_SERVER, m);
}

/* Returns how the client's stream ended; *got_n is what it was shown of the 9,000 bytes that the server sent.
 */
static enum err through(size_t flip_at, size_t cut_at, size_t *got_n, size_t *passed_n)
{
    struct world w;
    struct side x = {.why = ERR_OK};
    struct middle m = {.w = &w, .flip_at = flip_at, .cut_at = cut_at};
    struct listener *ls;

    good_world(&w, &(struct vnet_opts){.seed = 1, .segment_max = 3000});
    addr_set_port(&w.at, 81);
    w.server->ops->listen(w.server, &w.at, on_middle, &m, &ls, NULL);
    connect_side(&w, &x);
    run(&w);
    if (w.accepted->opens_n > 0) {
        stream_send(w.accepted->s, noise(w.server, 9000, 5));
        stream_finish(&w.accepted->s);
    }
    run(&w);
    *got_n = x.got_n;
    *passed_n = m.passed_n;
    stream_close(&m.client);
    stream_close(&m.server);
    stream_close(&x.s);
    w.server->ops->unlisten(&ls);
    world_fini(&w);
    return x.why;
}

TEST(what_was_changed_or_cut_on_the_way_never_looks_whole)
{
    size_t got_n, all_n, passed_n, refused = 0, shown = 0;

    CHECK_INT(through(SIZE_MAX, SIZE_MAX, &got_n, &all_n), ERR_EOF);
    CHECK_INT(got_n, 9000);
    for (size_t at = 0; at + 100 < all_n; at += 97) {
        enum err e = through(at, SIZE_MAX, &got_n, &passed_n);

        refused += e == ERR_TLS || e == ERR_RESET || e == ERR_OK; /* ERR_OK: it still waits for the rest */
        shown += e == ERR_EOF || got_n == 9000;
    }
    CHECK(refused > 50);
    CHECK_INT(shown, 0);
    for (size_t at = 0; at + 100 < all_n; at += 397) {
        enum err e = through(SIZE_MAX, at, &got_n, &passed_n);

        CHECK(e == ERR_TLS || e == ERR_RESET);
    }
}

TEST(many_streams_share_one_configuration)
{
    enum { N = 100 };
    struct world w;
    struct side x[N] = {0};
    size_t bad = 0;

    good_world(&w, &(struct vnet_opts){.seed = 1, .latency_us = 300, .segment_max = 1000});
    w.model.echo = w.model.let_go = true;
    for (size_t i = 0; i < N; i++) {
        x[i].let_go = true;
        connect_side(&w, &x[i]);
        stream_send(x[i].s, SLICE("hello"));
    }
    tls_config_free(&w.tls_client); /* its streams keep it */
    run(&w);
    for (size_t i = 0; i < N; i++) {
        bad += x[i].got_n != 5;
        stream_finish(&x[i].s);
    }
    run(&w);
    CHECK_INT(bad, 0);
    CHECK_INT(vnet_streams(w.v), 0);
    world_fini(&w);
}

TEST(a_pair_tells_what_it_is_for_and_how_long)
{
    const struct tls_pair good = {certs.good, certs.good_key}, expired = {certs.expired, certs.expired_key},
                          mixed = {certs.good, certs.expired_key}, swapped = {certs.good_key, certs.good};
    struct tls_facts f;
    const char *why;
    bool of_key;
    int64_t now_s = clock_wall_us() / CLOCK_SECOND_US;

    CHECK(tls_pair_check(&good, &f, &why, &of_key));
    CHECK(strstr(f.names, "localhost") != NULL && strstr(f.names, "*.wild.test") != NULL);
    CHECK(strstr(f.names, "127.0.0.1") != NULL && strstr(f.names, "::1") != NULL);
    CHECK(f.from_s <= now_s && f.until_s > now_s);
    CHECK(tls_pair_check(&expired, &f, &why, &of_key)); /* it can be used, but its time is over */
    CHECK(f.until_s > 0 && f.until_s < now_s);
    CHECK(!tls_pair_check(&mixed, &f, &why, &of_key) && of_key);
    CHECK_STR(why, "the key does not belong to the certificate");
    CHECK(!tls_pair_check(&swapped, &f, &why, &of_key) && !of_key);
    CHECK_STR(why, "the certificate cannot be read or is not in PEM form");
}

TEST(one_bad_pair_among_many_is_named)
{
    const struct tls_pair pairs[] = {
        {certs.good, certs.good_key}, {certs.expired, certs.expired_key}, {certs.early, certs.good_key}};
    struct tls_config *c;
    const char *why;
    size_t fault = 99;

    CHECK(tls_config_servers(pairs, 3, &fault, &why) == NULL);
    CHECK_INT(fault, 2);
    c = tls_config_servers(pairs, 2, &fault, &why);
    CHECK(c != NULL);
    tls_config_free(&c);
}
