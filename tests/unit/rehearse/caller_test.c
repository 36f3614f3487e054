/* SPDX-License-Identifier: MIT */
/* The client of rehearsals: what it sends, and that it tells every kind of answer from every other. */
#include "rehearse/caller.h"

#include "unit/upstream/upstream_kit.h"

#define BODY_PLAIN "{\"model\":\"any\"}"
#define BODY_STREAM "{\"model\":\"any\",\"stream\":true}"
#define CHUNKED                                                                                    \
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Request-Id: id-1\r\nX-Tidegate-Endpoint: " \
    "one\r\n\r\n"
#define DELTA(text) "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define FAILURE "data: {\"error\":{\"code\":\"upstream_truncated\"}}\n\n"
#define END "data: [DONE]\n\n"

struct ended {
    size_t n;
    bool free_it;
};

static void on_end(void *ud, struct caller *c)
{
    struct ended *e = ud;

    e->n++;
    if (e->free_it)
        caller_free(&c);
}

static struct caller *call(struct scene *sc, const char *body, struct ended *e, struct caller_ask *more)
{
    struct caller_ask ask = more != NULL ? *more : (struct caller_ask){.path = "/v1/chat/completions"};

    CHECK_INT(addr_parse(SLICE("10.0.0.1:80"), &ask.to), ERR_OK);
    ask.body = slice_of(body);
    return caller_start(sc->l, &ask, on_end, e);
}

/* One chunk of a chunked body; valid until the next call. */
static const char *chunk(const char *text)
{
    static char out[2048];

    snprintf(out, sizeof out, "%zx\r\n%s\r\n", strlen(text), text);
    return out;
}

TEST(it_sends_what_it_was_asked_to)
{
    static const struct header MORE[] = {{{"Authorization", 13}, {"Bearer k", 8}}};
    struct caller_ask ask = {.path = "/v1/x", .headers = MORE, .headers_n = 1};
    const char *want = "POST /v1/x HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\n"
                       "Authorization: Bearer k\r\nContent-Length: 15\r\n\r\n" BODY_PLAIN;
    struct scene sc;
    struct ended e = {0};
    struct caller *c;

    scene_init(&sc);
    c = call(&sc, BODY_PLAIN, &e, &ask);
    CHECK_INT(e.n, 0);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_MEM(sc.at.peers->in.p, strlen(want), want, strlen(want));
    CHECK_INT(e.n, 1);
    caller_free(&c);
    CHECK(c == NULL);
    c = call(&sc, "", &e, &(struct caller_ask){.path = "/v1/models"});
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK(slice_starts((struct slice){sc.at.peers->in.p, 100}, SLICE("GET /v1/models HTTP/1.1\r\n")));
    CHECK_INT(e.n, 2);
    caller_free(&c);
    scene_fini(&sc);
}

/* -- plain answers -------------------------------------------------------------------------------------- */

struct plain_case {
    const char *reply, *text;
    int status;
    bool close, complete;
    enum err why;
};

#define MESSAGE "{\"choices\":[{\"message\":{\"content\":\"hi\"}}]}"

static const struct plain_case PLAINS[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n" MESSAGE, "hi", 200, false, true, ERR_OK},
    {"HTTP/1.1 200 OK\r\n\r\n" MESSAGE, "hi", 200, true, true, ERR_OK},
    {"HTTP/1.1 200 OK\r\nContent-Length: 43\r\n\r\n" MESSAGE, "", 200, true, false, ERR_EOF},
    {"HTTP/1.1 503 Busy\r\nContent-Length: 42\r\nRetry-After: 7\r\n\r\n" MESSAGE, "", 503, false, true,
     ERR_OK},
    {"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n" MESSAGE "!", "", 200, false, false, ERR_MALFORMED},
    {"", "", 0, true, false, ERR_EOF},
    {"SSH-2.0", "", 0, false, false, ERR_MALFORMED},
};

static void reply_and_finish(struct peer *p)
{
    if (peer_has_request(p)) {
        peer_answer(p);
        stream_finish(&p->s);
    }
}

TEST(plain_answers_are_told_apart)
{
    for (size_t i = 0; i < COUNT_OF(PLAINS); i++) {
        const struct plain_case *p = &PLAINS[i];
        struct scene sc;
        struct ended e = {0};
        struct caller *c;

        scene_init(&sc);
        sc.at.reply = p->reply;
        sc.at.on_data = p->close ? reply_and_finish : NULL;
        c = call(&sc, BODY_PLAIN, &e, NULL);
        scene_run(&sc, CLOCK_SECOND_US);
        CHECK_INT(e.n, 1);
        CHECK_INT(c->status, p->status);
        CHECK_INT(c->complete, p->complete);
        CHECK_INT(c->why, p->why);
        if (!CHECK(!p->complete || slice_eq(buf_slice(&c->text), slice_of(p->text))))
            printf("# case %zu\n", i);
        CHECK_STR(c->retry_after, p->status == 503 ? "7" : "");
        CHECK(!c->left && !c->done && !c->error_event);
        CHECK_INT(c->events_n, 0);
        caller_free(&c);
        scene_fini(&sc);
    }
}

/* -- streams -------------------------------------------------------------------------------------------- */

struct stream_case {
    const char *events;
    bool whole; /* the body ends by its framing */
    const char *text;
    size_t events_n;
    bool done, error_event;
};

static const struct stream_case STREAMS[] = {
    {DELTA("one ") DELTA("two") END, true, "one two", 3, true, false},
    {DELTA("one ") ": keep-alive\n\n\n" DELTA("two") END, true, "one two", 3, true, false},
    {DELTA("one ") DELTA("two"), true, "one two", 2, false, false},
    {DELTA("one ") DELTA("two"), false, "one two", 2, false, false},
    {DELTA("one ") FAILURE, false, "one ", 2, false, true},
    {"data: {\"choices\":[]}\n\n" END, true, "", 2, true, false},
};

TEST(streams_are_told_apart)
{
    for (size_t i = 0; i < COUNT_OF(STREAMS); i++) {
        const struct stream_case *p = &STREAMS[i];
        struct scene sc;
        struct ended e = {0};
        struct caller *c;

        scene_init(&sc);
        sc.at.reply = CHUNKED;
        c = call(&sc, BODY_STREAM, &e, NULL);
        scene_run(&sc, CLOCK_SECOND_US);
        CHECK_INT(c->head_us, c->started_us + 3 * MS + MS);
        peer_say(sc.at.peers, chunk(p->events));
        scene_run(&sc, 10 * MS);
        CHECK_INT(e.n, 0);
        if (p->whole)
            peer_say(sc.at.peers, "0\r\n\r\n");
        else
            stream_close(&sc.at.peers->s);
        scene_run(&sc, 10 * MS);
        CHECK_INT(e.n, 1);
        CHECK_INT(c->complete, p->whole);
        CHECK_INT(c->why, p->whole ? ERR_OK : ERR_EOF);
        CHECK(slice_eq(buf_slice(&c->text), slice_of(p->text)));
        CHECK(slice_eq(buf_slice(&c->body), slice_of(p->events)));
        CHECK_INT(c->events_n, p->events_n);
        CHECK_INT(c->done, p->done);
        CHECK_INT(c->error_event, p->error_event);
        CHECK_STR(c->endpoint, "one");
        CHECK_STR(c->request_id, "id-1");
        CHECK(c->started_us < c->head_us && c->head_us < c->first_us && c->first_us < c->ended_us);
        caller_free(&c);
        scene_fini(&sc);
    }
}

TEST(an_event_that_is_no_json_is_malformed)
{
    struct scene sc;
    struct ended e = {0};
    struct caller *c;

    scene_init(&sc);
    sc.at.reply = CHUNKED;
    c = call(&sc, BODY_STREAM, &e, NULL);
    scene_run(&sc, CLOCK_SECOND_US);
    peer_say(sc.at.peers, chunk("data: {\"choices\":[\n\n"));
    scene_run(&sc, 10 * MS);
    CHECK_INT(e.n, 1);
    CHECK_INT(c->why, ERR_MALFORMED);
    CHECK(!c->complete);
    caller_free(&c);
    scene_fini(&sc);
}

/* -- what the client does ------------------------------------------------------------------------------- */

TEST(it_leaves_when_it_was_told_to)
{
    struct caller_ask ask = {.path = "/", .leave_after_us = 500 * MS};
    struct scene sc;
    struct ended e = {0};
    struct caller *c;

    scene_init(&sc);
    sc.at.reply = NULL;
    c = call(&sc, BODY_PLAIN, &e, &ask);
    scene_run(&sc, 499 * MS);
    CHECK_INT(e.n, 0);
    scene_run(&sc, 10 * MS);
    CHECK_INT(e.n, 1);
    CHECK(c->left && !c->complete);
    CHECK_INT(c->why, ERR_CANCELLED);
    CHECK_INT(c->ended_us, c->started_us + 500 * MS);
    CHECK_INT(sc.at.peers->closes_n, 1);
    caller_leave(c); /* it has left */
    CHECK_INT(e.n, 1);
    caller_free(&c);
    scene_fini(&sc);
}

TEST(who_was_answered_in_time_does_not_leave)
{
    struct caller_ask ask = {.path = "/", .leave_after_us = 500 * MS};
    struct scene sc;
    struct ended e = {0};
    struct caller *c;

    scene_init(&sc);
    c = call(&sc, BODY_PLAIN, &e, &ask);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(e.n, 1);
    CHECK(!c->left && c->complete);
    caller_free(&c);
    scene_fini(&sc);
}

TEST(it_stops_reading_and_goes_on)
{
    struct caller_ask ask = {.path = "/", .pause_at_bytes = 5};
    struct scene sc;
    struct ended e = {0};
    struct caller *c;

    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS, .pipe_bytes = 1000}, &POOL_OPTS);
    sc.at.reply = "HTTP/1.1 503 Busy\r\nContent-Length: 5010\r\n\r\n12345";
    c = call(&sc, BODY_PLAIN, &e, &ask);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(c->body.n, 5);
    for (int i = 0; i < 5; i++) {
        char more[1002];

        snprintf(more, sizeof more, "%01001d", i);
        peer_say(sc.at.peers, more);
        scene_run(&sc, 10 * MS);
    }
    CHECK_INT(c->body.n, 5);
    CHECK(stream_pending(sc.at.peers->s) > 3000);
    caller_go_on(c);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(e.n, 1);
    CHECK(c->complete);
    CHECK_INT(c->body.n, 5010);
    caller_free(&c);
    scene_fini(&sc);
}

TEST(nobody_listens)
{
    struct scene sc;
    struct ended e = {0};
    struct caller *c;

    scene_init(&sc);
    sc.at.l->ops->unlisten(&sc.at.ls);
    c = call(&sc, BODY_PLAIN, &e, NULL);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(e.n, 1);
    CHECK_INT(c->why, ERR_REFUSED);
    CHECK_INT(c->status, 0);
    caller_free(&c);
    scene_fini(&sc);
}

TEST(it_may_be_freed_at_any_time)
{
    for (int64_t after_us = 0; after_us < 8 * MS; after_us += MS / 2) {
        struct scene sc;
        struct ended e = {0}, of_itself = {.free_it = true};
        struct caller *c;

        scene_init(&sc);
        c = call(&sc, BODY_PLAIN, &e, NULL);
        call(&sc, BODY_PLAIN, &of_itself, NULL);
        scene_run(&sc, after_us);
        caller_free(&c);
        scene_run(&sc, CLOCK_SECOND_US);
        CHECK_INT(of_itself.n, 1);
        CHECK(e.n <= 1);
        scene_fini(&sc);
    }
}
