/* SPDX-License-Identifier: MIT */
/* Listeners that refuse, are deaf or fail the handshake, by rule, timeline and probability. */
#include "io/tls.h"
#include "raw_kit.h"
#include "sim/door.h"
#include "sim/timeline.h"

/* -- before a connection -------------------------------------------------------------------------------- */

static enum err knock(struct kit *k, int64_t us)
{
    struct raw r;
    enum err why;

    raw_chat(&r, k, "any~ttft=0,gap=0,tokens=1", false);
    kit_run(k, us);
    why = r.ended_us != 0 ? r.why : r.got.n > 0 ? ERR_OK : ERR_TIMEOUT;
    raw_fini(&r);
    return why;
}

TEST(an_outage_refuses_and_is_over)
{
    static struct sim_timeline_row rows[] = {
        {2 * CLOCK_SECOND_US, 4 * CLOCK_SECOND_US, {SIM_REFUSE, {NULL, 0}}, 1, {NULL, 0}, {NULL, 0}},
        {6 * CLOCK_SECOND_US, 8 * CLOCK_SECOND_US, {SIM_CONNECT_HANG, {NULL, 0}}, 1, {NULL, 0}, {NULL, 0}},
    };
    static const enum err WANT[] = {ERR_OK, ERR_OK,      ERR_REFUSED, ERR_REFUSED, ERR_OK,
                                    ERR_OK, ERR_TIMEOUT, ERR_TIMEOUT, ERR_OK,      ERR_OK};
    struct sim_timeline t = {rows, 2};
    struct sim_opts o;
    struct kit k;

    sim_opts_default(&o);
    o.timeline = &t;
    kit_init(&k, &o);
    kit_run(&k, 10 * MS);
    for (size_t i = 0; i < sizeof WANT / sizeof WANT[0]; i++) {
        enum err got = knock(&k, CLOCK_SECOND_US / 2);

        if (!CHECK_INT(got, WANT[i]))
            printf("# in second %zu\n", i);
        kit_run(&k, CLOCK_SECOND_US / 2);
    }
    CHECK_INT(sim_stats(k.sim)->faults_n[SIM_REFUSE], 1);
    CHECK_INT(sim_stats(k.sim)->faults_n[SIM_CONNECT_HANG], 1);
    kit_fini(&k);
}

TEST(a_probability_is_one_of_time)
{
    int refused_n = 0, fine_n = 0;
    struct sim_opts o;
    struct kit k;

    sim_opts_default(&o);
    o.fault_p[SIM_REFUSE] = 0.3;
    kit_init(&k, &o);
    for (int i = 0; i < 1000; i++) {
        enum err why = knock(&k, SIM_SLICE_US);

        refused_n += why == ERR_REFUSED;
        fine_n += why == ERR_OK;
    }
    CHECK(refused_n > 240 && refused_n < 360);
    CHECK(fine_n > 600);
    kit_fini(&k);
}

TEST(a_rule_holds_for_its_listener_alone)
{
    struct sim_listen_opts deaf = {.name = "deaf", .rule = "connect_hang"},
                           busy = {.name = "busy", .rule = "429,retry_after=9"},
                           wrong = {.name = "wrong", .rule = "tls_hang"}, none = {.name = "x", .rule = "odd"};
    struct sim_opts o;
    struct caller *c;
    struct addr at;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    CHECK_INT(addr_parse(SLICE("127.0.0.1:9102"), &at), ERR_OK);
    CHECK_INT(sim_listen_with(k.sim, &at, &wrong, NULL), ERR_MALFORMED); /* it has no TLS */
    CHECK_INT(sim_listen_with(k.sim, &at, &none, NULL), ERR_MALFORMED);
    CHECK_INT(sim_listen_with(k.sim, &at, &deaf, NULL), ERR_OK);
    CHECK_INT(knock(&k, CLOCK_SECOND_US), ERR_OK);
    k.at = at;
    CHECK_INT(knock(&k, CLOCK_SECOND_US), ERR_TIMEOUT);
    addr_set_port(&k.at, 9103);
    CHECK_INT(sim_listen_with(k.sim, &k.at, &busy, NULL), ERR_OK);
    c = kit_chat(&k, "any", true, "x", "");
    kit_run(&k, CLOCK_SECOND_US);
    CHECK_INT(c->status, 429);
    CHECK_STR(c->retry_after, "9");
    kit_fini(&k);
}

/* -- handshakes ----------------------------------------------------------------------------------------- */

struct shake {
    struct stream *stream;
    bool open;
    enum err why;
    char text[160];
};

static void on_open(void *ud)
{
    ((struct shake *)ud)->open = true;
}

static void on_close(void *ud, enum err why)
{
    struct shake *s = ud;

    s->why = why;
    snprintf(s->text, sizeof s->text, "%s", tls_why(s->stream));
    stream_close(&s->stream);
}

static void shake_hands(struct kit *k, struct tls_config *client, struct shake *s)
{
    static const struct stream_cb CB = {on_open, NULL, NULL, on_close};
    struct stream *below = k->client->ops->connect(k->client, &k->at, 65536);

    *s = (struct shake){.why = ERR_OK};
    s->stream = tls_wrap(&below, client, "localhost");
    stream_set_cb(s->stream, &CB, s);
    kit_run(k, 5 * CLOCK_SECOND_US);
}

TEST(handshakes_fail_in_three_ways)
{
    static const struct {
        enum sim_fault fault;
        bool open;
        enum err why;
        const char *says;
    } ROWS[] = {
        {SIM_NONE, true, ERR_OK, ""},
        {SIM_TLS_HANG, false, ERR_OK, ""},
        {SIM_TLS_CLOSE, false, ERR_TLS, "the peer closed the connection during the handshake"},
        {SIM_TLS_WRONG, false, ERR_TLS, "certificate refused"},
    };
    struct sim_listen_opts listen = {.tls = tls_config_self_made("localhost 127.0.0.1"),
                                     .wrong = tls_config_self_made("wrong.invalid")};
    struct vnet_opts net = {.seed = 1, .wall_us = clock_wall_us()};
    char file[] = "/tmp/tidegate-door-XXXXXX";
    struct tls_config *client;
    const char *why;
    int fd = mkstemp(file);

    CHECK(fd >= 0 && close(fd) == 0);
    CHECK(listen.tls != NULL && tls_config_save(listen.tls, file));
    client = tls_config_client(file, &why);
    for (size_t i = 0; CHECK(client != NULL) && i < 2 * (sizeof ROWS / sizeof ROWS[0]); i++) {
        enum sim_fault f = ROWS[i / 2].fault;
        struct sim_opts o;
        struct shake s;
        struct kit k;

        sim_opts_default(&o);
        listen.rule = i % 2 == 0 && f != SIM_NONE ? sim_fault_row(f)->label : NULL;
        if (i % 2 == 1) /* by probability */
            o.fault_p[f] = f != SIM_NONE;
        kit_init_at(&k, &o, &net, &listen);
        shake_hands(&k, client, &s);
        CHECK_INT(s.open, ROWS[i / 2].open);
        CHECK_INT(s.why, ROWS[i / 2].why);
        if (!CHECK(strstr(s.text, ROWS[i / 2].says) != NULL))
            printf("# %s\n", s.text);
        CHECK_INT(sim_stats(k.sim)->faults_n[f], f != SIM_NONE);
        stream_close(&s.stream);
        kit_fini(&k);
    }
    tls_config_free(&client);
    tls_config_free(&listen.tls);
    tls_config_free(&listen.wrong);
    unlink(file);
}
