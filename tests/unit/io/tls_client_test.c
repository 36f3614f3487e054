/* SPDX-License-Identifier: MIT */
/* The client's side of TLS besides verification: certificates of its own, sessions that are resumed. */
#include "support/certs.h"
#include "virtual_kit.h"

#include "io/tls_config.h"

static struct certs certs;

__attribute__((constructor)) static void make_certs(void)
{
    certs_make(&certs);
}

__attribute__((destructor)) static void remove_certs(void)
{
    certs_remove(&certs);
}

static void tls_world(struct world *w)
{
    const char *why;

    world_init(w, &(struct vnet_opts){.seed = 1, .latency_us = 1000});
    w->tls_server = tls_config_server(certs.good, certs.good_key, &why);
    w->tls_client = tls_config_client(certs.ca, &why);
    w->host = "localhost";
    w->model.let_go = true;
    w->model.echo = true;
}

/* -- a certificate of its own ---------------------------------------------------------------------------- */

/* The server wants a certificate of the test CA. */
static void demand(struct world *w)
{
    CHECK_INT(SSL_CTX_load_verify_file(w->tls_server->ctx, certs.ca), 1);
    SSL_CTX_set_verify(w->tls_server->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    CHECK_INT(SSL_CTX_set_session_id_context(w->tls_server->ctx, (const unsigned char *)"t", 1), 1);
}

/* One echo; how the stream ended before that, if it did. */
static enum err echoed(struct world *w, char why[256])
{
    struct side x = {.why = ERR_OK};

    connect_side(w, &x);
    stream_send(x.s, SLICE("secret"));
    run(w);
    CHECK_INT(x.got_n, x.closes_n > 0 ? 0 : 6);
    snprintf(why, 256, "%s", tls_why(x.s));
    stream_close(&x.s);
    run(w);
    return x.why;
}

TEST(a_certificate_is_shown_to_who_wants_one)
{
    char why[256];

    for (int old = 0; old < 2; old++) {
        struct world w;
        const char *text = NULL;

        tls_world(&w);
        demand(&w);
        if (old)
            CHECK_INT(SSL_CTX_set_max_proto_version(w.tls_server->ctx, TLS1_2_VERSION), 1);
        CHECK(tls_config_identify(w.tls_client, certs.good, certs.good_key, &text));
        CHECK_STR(text, "");
        CHECK_INT(echoed(&w, why), ERR_OK);
        world_fini(&w);
    }
}

TEST(who_wants_a_certificate_and_gets_none_is_explained)
{
    char why[256];

    for (int old = 0; old < 2; old++) {
        struct world w;

        tls_world(&w);
        demand(&w);
        if (old)
            CHECK_INT(SSL_CTX_set_max_proto_version(w.tls_server->ctx, TLS1_2_VERSION), 1);
        CHECK_INT(echoed(&w, why), ERR_TLS);
        if (!CHECK(strstr(why, "client_cert") != NULL))
            printf("# \"%s\"\n", why);
        world_fini(&w);
    }
}

TEST(a_certificate_that_is_not_accepted_is_explained)
{
    struct world w;
    const char *text = NULL;
    char why[256];

    tls_world(&w);
    demand(&w);
    CHECK(tls_config_identify(w.tls_client, certs.alone, certs.alone_key, &text));
    CHECK_INT(echoed(&w, why), ERR_TLS);
    CHECK(strstr(why, "did not accept our client_cert") != NULL);
    world_fini(&w);
}

static const char *refusal(const char *cert, const char *key)
{
    const char *why = NULL;
    struct tls_config *c = tls_config_client(certs.ca, &why);

    CHECK(!tls_config_identify(c, cert, key, &why));
    tls_config_free(&c);
    return why;
}

TEST(files_that_do_not_belong_together_are_refused)
{
    char locked[128];
    FILE *f;

    CHECK_STR(refusal(certs.good, certs.early_key),
              "the client key does not belong to the client certificate");
    CHECK_STR(refusal("/nowhere", certs.good_key),
              "the client certificate cannot be read or is not in PEM form");
    CHECK_STR(refusal(certs.good_key, certs.good_key),
              "the client certificate cannot be read or is not in PEM form");
    CHECK_STR(refusal(certs.good, certs.good),
              "the client key cannot be read, is not in PEM form, or has a passphrase");
    snprintf(locked, sizeof locked, "%s/locked.key", certs.dir);
    f = fopen(locked, "w");
    CHECK(f != NULL);
    fputs("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
          "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END EC PRIVATE KEY-----\n",
          f);
    fclose(f);
    CHECK_STR(refusal(certs.good, locked), /* and nobody is asked for it on the terminal */
              "the client key cannot be read, is not in PEM form, or has a passphrase");
    remove(locked);
}

TEST(who_signed_himself_is_explained)
{
    struct world w;
    const char *why;
    char words[256];

    tls_world(&w);
    tls_config_free(&w.tls_server);
    w.tls_server = tls_config_server(certs.alone, certs.alone_key, &why);
    CHECK_INT(echoed(&w, words), ERR_TLS);
    CHECK_STR(words,
              "certificate refused: self-signed certificate; if it is the right one, name it as ca_file");
    tls_config_free(&w.tls_client);
    w.tls_client = tls_config_client(certs.alone, &why);
    CHECK_INT(echoed(&w, words), ERR_OK);
    world_fini(&w);
}

TEST(another_host_is_told_with_the_names_that_would_do)
{
    struct world w;
    char words[256];

    tls_world(&w);
    w.host = "elsewhere.test";
    CHECK_INT(echoed(&w, words), ERR_TLS);
    CHECK_STR(words,
              "certificate refused: hostname mismatch; it is for localhost: correct url, or set server_name");
    world_fini(&w);
}

/* -- sessions -------------------------------------------------------------------------------------------- */

/* One echo over a connection that remembers; whether it was a resumed one. */
static bool resumes(struct world *w, struct tls_sessions *m)
{
    struct side x = {.l = w->client};
    bool resumed;

    x.s = w->client->ops->connect(w->client, &w->at, PENDING_MAX);
    x.s = tls_wrap(&x.s, w->tls_client, w->host);
    tls_remember(x.s, m);
    stream_set_cb(x.s, &SIDE_CB, &x);
    stream_send(x.s, SLICE("secret"));
    run(w);
    CHECK_INT(x.got_n, 6);
    resumed = tls_is_resumed(x.s);
    stream_close(&x.s);
    run(w);
    return resumed;
}

static void pass(struct timer *t)
{
    (void)t;
}

static void wait_for(struct world *w, int64_t us)
{
    struct timer t;

    timer_init(&t, pass);
    timer_set(&w->client->wheel, &t, vnet_now_us(w->v) + us);
    run(w);
}

TEST(the_second_handshake_is_a_short_one)
{
    for (int old = 0; old < 2; old++) {
        struct world w;
        struct tls_sessions *m = tls_sessions_new();

        tls_world(&w);
        if (old)
            CHECK_INT(SSL_CTX_set_max_proto_version(w.tls_server->ctx, TLS1_2_VERSION), 1);
        CHECK(!resumes(&w, m));
        for (int i = 0; i < 10; i++)
            CHECK(resumes(&w, m));
        wait_for(&w, 3601 * CLOCK_SECOND_US);
        CHECK(!resumes(&w, m)); /* the certificate is looked at again after an hour */
        tls_sessions_free(&m);
        world_fini(&w);
    }
}

/* Connections that begin in the same moment; how many of them were resumed. */
static size_t resumed_of(struct world *w, struct tls_sessions *m, struct side *sides, size_t n)
{
    size_t resumed_n = 0;

    for (size_t i = 0; i < n; i++) {
        sides[i] = (struct side){.l = w->client};
        sides[i].s = w->client->ops->connect(w->client, &w->at, PENDING_MAX);
        sides[i].s = tls_wrap(&sides[i].s, w->tls_client, w->host);
        tls_remember(sides[i].s, m);
        stream_set_cb(sides[i].s, &SIDE_CB, &sides[i]);
        stream_send(sides[i].s, SLICE("secret"));
    }
    run(w);
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(sides[i].got_n, 6);
        resumed_n += tls_is_resumed(sides[i].s);
        stream_close(&sides[i].s);
    }
    run(w);
    return resumed_n;
}

TEST(a_crowd_that_connects_at_once_is_resumed_with_the_sessions_of_the_one_before)
{
    enum { CROWD = 200 };
    static struct side sides[CROWD];

    for (int old = 0; old < 2; old++) {
        struct tls_sessions *m = tls_sessions_new();
        struct world w;

        tls_world(&w);
        if (old)
            CHECK_INT(SSL_CTX_set_max_proto_version(w.tls_server->ctx, TLS1_2_VERSION), 1);
        CHECK_INT(resumed_of(&w, m, sides, CROWD), 0);
        CHECK_INT(resumed_of(&w, m, sides, CROWD),
                  CROWD); /* more than there are tickets: the last serves all */
        CHECK(resumes(&w, m));
        tls_sessions_free(&m);
        world_fini(&w);
    }
}

TEST(a_server_that_forgot_gets_a_full_handshake)
{
    struct world w;
    struct tls_sessions *m = tls_sessions_new();
    const char *why;

    tls_world(&w);
    CHECK(!resumes(&w, m));
    tls_config_free(&w.tls_server); /* restarted: other ticket keys */
    w.tls_server = tls_config_server(certs.good, certs.good_key, &why);
    CHECK(!resumes(&w, m));
    CHECK(resumes(&w, m));
    tls_sessions_free(&m);
    world_fini(&w);
}

TEST(a_server_without_tickets_is_fine)
{
    struct world w;
    struct tls_sessions *m = tls_sessions_new();

    tls_world(&w);
    SSL_CTX_set_options(w.tls_server->ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(w.tls_server->ctx, 0);
    for (int i = 0; i < 3; i++)
        CHECK(!resumes(&w, m));
    tls_sessions_free(&m);
    world_fini(&w);
}
