/* SPDX-License-Identifier: MIT */
/* Endpoints behind a proxy: tunnels, whole URLs, and everything a proxy can say instead. */
#include "call_kit.h"

#include "support/certs.h"

static struct certs certs;

__attribute__((constructor)) static void make_certs(void)
{
    certs_make(&certs);
}

__attribute__((destructor)) static void remove_certs(void)
{
    certs_remove(&certs);
}

/* The scene's endpoint plays the proxy at 10.0.0.1:80; the endpoint behind it is called localhost:8443. */
struct behind {
    struct scene sc;
    struct tls_config *client, *server;
    struct tried t;
};

static struct behind *now; /* for the peer's callbacks */
static const char *answer; /* to CONNECT */
static char asked[512];    /* what CONNECT was */

static void play_proxy(struct peer *p)
{
    size_t at, n;

    if (p->requests_n > 0) {
        peer_answer(p);
        return;
    }
    if (!peer_head(p, &at, &n))
        return;
    snprintf(asked, sizeof asked, "%.*s", (int)p->in.n, p->in.p);
    p->in.n = 0;
    p->requests_n++;
    if (answer == NULL)
        return;
    if (answer[0] == '\0') {
        stream_close(&p->s);
        return;
    }
    peer_say(p, answer);
    if (strstr(answer, " 200 ") == NULL || now->server == NULL)
        return;
    p->s = tls_wrap(&p->s, now->server, NULL); /* from here on it is the endpoint who speaks */
    stream_set_cb(p->s, &PEER_CB, p);
}

static void begin(struct behind *b, const char *host, bool tls)
{
    struct pool_opts o = POOL_OPTS;
    const char *why;

    memset(b, 0, sizeof *b);
    now = b;
    o.host = host;
    o.port = 8443;
    o.proxy = (struct proxy){"endpoint.test", 80, SLICE("Basic dXNlcjpwYXNz")};
    if (tls) {
        b->client = o.tls = tls_config_client(certs.ca, &why);
        b->server = tls_config_server(certs.good, certs.good_key, &why);
    }
    scene_init_with(&b->sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &o);
    b->sc.at.on_data = tls ? play_proxy : NULL;
    answer = "HTTP/1.1 200 Connection established\r\n\r\n";
}

static void done(struct behind *b)
{
    tried_fini(&b->t);
    scene_fini(&b->sc);
    tls_config_free(&b->client);
    tls_config_free(&b->server);
}

TEST(https_goes_through_a_tunnel)
{
    struct behind b;

    begin(&b, "localhost", true);
    tried_run(&b.t, &b.sc);
    CHECK_INT(b.t.why, ERR_OK);
    CHECK_INT(b.t.status, 200);
    CHECK(tried_body_is(&b.t, "fine"));
    CHECK_STR(asked, "CONNECT localhost:8443 HTTP/1.1\r\nHost: localhost:8443\r\nUser-Agent: tidegate\r\n"
                     "Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n");
    tried_fini(&b.t);
    tried_run(&b.t, &b.sc); /* the tunnel rests and serves again */
    CHECK_INT(b.t.status, 200);
    CHECK_INT(b.sc.at.accepts_n, 1);
    done(&b);
}

TEST(the_targets_name_is_left_to_the_proxy)
{
    struct behind b;

    begin(&b, "a.wild.test", true); /* no name that virtual io knows; the certificate covers it */
    tried_run(&b.t, &b.sc);
    CHECK_INT(b.t.status, 200);
    CHECK(strncmp(asked, "CONNECT a.wild.test:8443 ", 25) == 0);
    done(&b);
}

TEST(an_ipv6_target_has_its_brackets)
{
    struct behind b;

    begin(&b, "::1", true);
    tried_run(&b.t, &b.sc);
    CHECK(strncmp(asked, "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n", 47) == 0);
    done(&b);
}

TEST(an_answer_that_comes_in_pieces_opens_the_tunnel_too)
{
    struct behind b;
    struct pool_opts o;

    begin(&b, "localhost", true);
    o = b.sc.pool.opts;
    scene_fini(&b.sc);
    scene_init_with(&b.sc, &(struct vnet_opts){.seed = 5, .latency_us = MS, .segment_max = 3}, &o);
    b.sc.at.on_data = play_proxy;
    tried_run(&b.t, &b.sc);
    CHECK_INT(b.t.status, 200);
    done(&b);
}

struct refusal {
    const char *answer; /* NULL: none; "": closes */
    const char *word;
};

TEST(a_proxy_that_refuses_is_told_from_the_endpoint)
{
    static const struct refusal REFUSALS[] = {
        {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
         "Content-Length: 3\r\n\r\nno!",
         "wants other credentials (407"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "answered CONNECT with 403"},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "answered CONNECT with 502"},
        {"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", "answered CONNECT with 302"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "broke the connection off"},
        {"", "broke the connection off"},
        {NULL, "did not answer CONNECT in time"},
    };

    for (size_t i = 0; i < COUNT_OF(REFUSALS); i++) {
        struct behind b;

        begin(&b, "localhost", true);
        answer = REFUSALS[i].answer;
        tried_run(&b.t, &b.sc);
        scene_run(&b.sc, CONNECT_US);
        CHECK_INT(b.t.why, ERR_PROXY);
        CHECK_INT(b.t.step, CALL_CONNECTING);
        if (!CHECK(strstr(b.sc.pool.why, REFUSALS[i].word) != NULL))
            printf("# case %zu: \"%s\"\n", i, b.sc.pool.why);
        CHECK(strstr(b.sc.pool.why, "dXNl") == NULL);
        done(&b);
    }
}

TEST(a_proxy_that_cannot_be_reached_is_named)
{
    struct behind b;

    begin(&b, "localhost", true);
    b.sc.at.l->ops->unlisten(&b.sc.at.ls);
    tried_run(&b.t, &b.sc);
    CHECK_INT(b.t.why, ERR_PROXY);
    CHECK(strstr(b.sc.pool.why, "The proxy endpoint.test:80 refused") != NULL);
    done(&b);
}

TEST(a_certificate_behind_a_tunnel_is_the_endpoints)
{
    struct behind b;

    begin(&b, "endpoint.test", true); /* the certificate is for other names */
    tried_run(&b.t, &b.sc);
    CHECK_INT(b.t.why, ERR_TLS);
    done(&b);
}

TEST(bytes_behind_the_answer_are_no_tunnel)
{
    struct behind b;

    begin(&b, "localhost", true);
    tls_config_free(&b.server);
    answer = "HTTP/1.1 200 OK\r\n\r\nwelcome";
    tried_run(&b.t, &b.sc);
    CHECK_INT(b.t.why, ERR_PROXY);
    done(&b);
}

TEST(plain_http_sends_whole_urls_and_the_credential)
{
    static const char *const WANT = "POST http://endpoint.test/v1/chat/completions HTTP/1.1\r\n"
                                    "Host: endpoint.test\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n";
    struct behind b;
    struct peer *p;

    begin(&b, "endpoint.test", false);
    b.sc.at.reply = NULL;
    b.sc.at.on_data = play_proxy; /* keeps what came */
    answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
    tried_run(&b.t, &b.sc);
    p = b.sc.at.peers;
    CHECK(p != NULL && strncmp(asked, WANT, strlen(WANT)) == 0);
    CHECK_INT(b.t.status, 200);
    done(&b);
}

TEST(without_a_credential_none_is_sent)
{
    struct behind b;

    begin(&b, "localhost", true);
    b.sc.pool.opts.proxy.authorization = SLICE_NONE;
    tried_run(&b.t, &b.sc);
    CHECK_INT(b.t.status, 200);
    CHECK(strstr(asked, "uthorization") == NULL);
    done(&b);
}

TEST(cancelled_in_every_state_a_tunnel_leaves_nothing)
{
    static const struct slice BODY = {"{}", 2};

    for (int64_t after_us = 0; after_us < 12 * MS; after_us += MS / 2) {
        struct behind b;
        struct client_request rq = small_request(&BODY);

        begin(&b, "localhost", true);
        tried_init(&b.t, &b.sc);
        tried_start(&b.t, &rq);
        scene_run(&b.sc, after_us);
        done(&b);
    }
}
