/* SPDX-License-Identifier: MIT */
/* Workers: accepting within bounds, ports that all share, last bytes for slow clients, and what the operator
 * is told of failing endpoints. */
#include "gateway/worker.h"

#include "base/mem.h"
#include "gateway/front.h"
#include "wire_kit.h"

#define CONNS_MAX 8

static struct world *begin(const char *yaml, const char *more, int workers)
{
    struct story s;

    story_init(&s, yaml);
    s.more = more;
    s.workers = workers;
    return story_begin(&s);
}

static int64_t conns(const struct world *w)
{
    return world_metric(w, METRIC_CONNS, 0);
}

TEST(past_the_limit_connections_are_closed_and_a_place_that_is_free_is_taken)
{
    struct world *w = begin(STORY_TWO, "limits: {connections: 4}\n", 3);
    struct wire c[CONNS_MAX], late;
    int closed_n = 0;

    for (int i = 0; i < CONNS_MAX; i++) {
        wire_open(&c[i], w);
        world_run(w, STORY_MS);
    }
    world_run(w, 100 * STORY_MS);
    for (int i = 0; i < CONNS_MAX; i++) {
        CHECK_INT(c[i].closed, i >= 4); /* whichever worker they came to */
        closed_n += c[i].closed;
        CHECK_INT(c[i].got.n, 0);
    }
    CHECK_INT(closed_n, CONNS_MAX - 4);
    CHECK_INT(conns(w), 4);
    wire_close(&c[0]);
    world_run(w, 100 * STORY_MS);
    CHECK_INT(conns(w), 3);
    wire_open(&late, w);
    wire_send(&late, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(wire_wait(&late, "ok\n", STORY_S));
    for (int i = 1; i < CONNS_MAX; i++)
        wire_close(&c[i]);
    wire_close(&late);
    world_run(w, 100 * STORY_MS);
    CHECK_INT(conns(w), 0);
    CHECK_INT(world_metric(w, METRIC_CONNS_ACCEPTED, 0), 5);
    story_end(&w);
}

TEST(workers_share_a_port_that_the_first_one_got)
{
    struct world *w =
        begin("listen: 127.0.0.1:0\n"
              "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n"
              "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n",
              NULL, 3);
    struct wire c[CONNS_MAX * 4];

    CHECK(addr_port(&w->listen) != 0);
    for (size_t i = 0; i < COUNT_OF(c); i++)
        wire_open(&c[i], w);
    world_run(w, STORY_S);
    CHECK_INT(conns(w), COUNT_OF(c));
    for (int i = 0; i < 3; i++) {
        struct metrics *m = w->workers[i]->desk->metrics;

        CHECK(metrics_get(&m, 1, METRIC_CONNS, 0) > 0);
        CHECK_INT(metrics_get(&m, 1, METRIC_CONNS, 0), w->workers[i]->conns_n);
        CHECK(!worker_is_idle(w->workers[i]));
    }
    for (size_t i = 0; i < COUNT_OF(c); i++)
        wire_close(&c[i]);
    story_end(&w);
}

TEST(an_address_that_cannot_be_listened_at_is_named)
{
    static const struct config_listener NOWHERE[] = {{.at = "nowhere"}};
    struct world *w = begin(STORY_TWO, NULL, 1);
    const struct config_listener *listen = w->app->edition->cfg->listen;
    const char *which = "";

    w->app->edition->cfg->listen = NOWHERE;
    CHECK(front_open(w->workers[0], NULL, &which) != ERR_OK);
    CHECK_STR(which, "nowhere");
    w->app->edition->cfg->listen = listen;
    story_end(&w);
}

/* -- last bytes ----------------------------------------------------------------------------------------- */

#define LETTERS_N 500000 /* of an answer that no pipe of the virtual network holds */
#define FRAME "{\"choices\":[{\"message\":{\"content\":\"%0*d\"}}]}"
#define ANSWER_N (LETTERS_N + (int)sizeof FRAME - 5)

/* To a client that does not read. */
static void slow_client(struct world *w, struct origin *o, struct wire *c)
{
    char *reply = mem_zalloc(2 * LETTERS_N);

    snprintf(reply, 2 * LETTERS_N, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" FRAME, ANSWER_N, LETTERS_N,
             0);
    origin_open(o, w, reply);
    wire_open(c, w);
    world_run(w, 10 * STORY_MS);
    stream_pause(c->stream);
    wire_ask(c, "", story_body("any", false, "much", NULL));
    world_run(w, STORY_S);
    CHECK_INT(o->asked_n, 1);
    CHECK_INT(c->got.n, 0);
    mem_free(reply);
}

TEST(a_drain_lets_a_slow_client_take_its_last_bytes)
{
    struct world *w = begin(ORIGIN_YAML("openai", "none"), "timeouts: {drain_delay: 1s, drain: 30s}\n", 1);
    struct origin o;
    struct wire c;

    slow_client(w, &o, &c);
    control_drain(w->control);
    world_run(w, 2 * STORY_S);
    CHECK(!w->drained && !c.closed);
    stream_resume(c.stream);
    world_run(w, STORY_S);
    CHECK_INT(wire_body(&c).n, ANSWER_N);
    CHECK(c.closed && w->drained);
    wire_close(&c);
    origin_close(&o);
    story_end(&w);
}

TEST(a_client_that_never_reads_does_not_hold_up_a_drain)
{
    struct world *w = begin(ORIGIN_YAML("openai", "none"), "timeouts: {drain_delay: 1s, drain: 30s}\n", 1);
    struct origin o;
    struct wire c;

    slow_client(w, &o, &c);
    control_drain(w->control);
    world_run(w, 2 * STORY_S);
    CHECK(!w->drained);
    world_run(w, 5 * STORY_S);
    CHECK(w->drained);
    wire_close(&c);
    origin_close(&o);
    story_end(&w);
}

/* -- what the operator is told -------------------------------------------------------------------------- */

static size_t warnings(FILE *f, char *all, size_t cap)
{
    size_t n = 0;

    rewind(f);
    all[fread(all, 1, cap - 1, f)] = '\0';
    for (const char *at = all; (at = strstr(at, "endpoint raw (http://10.0.0.3/v1): ")) != NULL; at++)
        n++;
    return n;
}

TEST(a_kind_of_failure_of_an_endpoint_is_logged_at_most_once_in_ten_seconds)
{
    static const struct {
        const char *status;
        bool logged;
        const char *says;
    } ROWS[] = {{"500 Oops", true, "server_error, status 500: "},
                {"401 No", true, "credential, status 401: "},
                {"429 Busy", true, "account_busy, status 429: "},
                {"400 Bad", false, NULL},
                {"404 Gone", false, NULL}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char all[8192];
        FILE *f = tmpfile();
        struct origin o;
        struct world *w;
        struct log log;

        ASSERT(f != NULL);
        log_init(&log, fileno(f), LOG_INFO, true);
        w = wire_world(ORIGIN_YAML("openai", "secret"), -1, &log);
        origin_open(&o, w,
                    origin_response(ROWS[i].status, "",
                                    "{\"error\":{\"message\":\"why sk-0123456789abcdef01234\"}}"));
        for (int k = 0; k < 18; k++) { /* one a second; a refused key is left alone for 5 s, then 10 s */
            struct caller *c = story_ask(w, story_body("any", false, "fail", NULL));

            CHECK(story_wait(w, c, STORY_S));
            caller_free(&c);
            if (k == 8 && !CHECK_INT(warnings(f, all, sizeof all), ROWS[i].logged))
                tap_print_bytes("log", all, strlen(all));
            world_run(w, STORY_S);
        }
        CHECK_INT(warnings(f, all, sizeof all), ROWS[i].logged ? 2 : 0);
        if (ROWS[i].logged && !CHECK(strstr(all, ROWS[i].says) != NULL && strstr(all, "why sk-***") != NULL))
            tap_print_bytes("log", all, strlen(all));
        CHECK(strstr(all, "0123456789") == NULL);
        origin_close(&o);
        story_end(&w);
        fclose(f);
    }
}
