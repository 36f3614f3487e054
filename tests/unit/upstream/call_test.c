/* SPDX-License-Identifier: MIT */
/* One attempt at an endpoint: what becomes of every kind of answer and of every kind of end. */
#include "call_kit.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"

/* -- answers that are whole ----------------------------------------------------------------------------- */

TEST(two_calls_share_a_connection)
{
    struct scene sc;
    struct tried t;
    const char *want = "POST /v1/chat/completions HTTP/1.1\r\nHost: endpoint.test\r\nContent-Length: "
                       "15\r\n\r\n{\"model\":\"any\"}";

    scene_init(&sc);
    for (size_t i = 1; i <= 2; i++) {
        tried_run(&t, &sc);
        CHECK_INT(t.ends_n, 1);
        CHECK_INT(t.why, ERR_OK);
        CHECK_INT(t.step, CALL_ANSWERED);
        CHECK_INT(t.heads_n, 1);
        CHECK_INT(t.status, 200);
        CHECK(tried_body_is(&t, "fine"));
        CHECK_INT(sc.at.requests_n, i);
        CHECK_INT(sc.at.accepts_n, 1);
        CHECK_INT(sc.pool.idle_n, 1);
        tried_fini(&t);
    }
    CHECK_MEM(sc.at.peers->in.p, strlen(want), want, strlen(want));
    scene_fini(&sc);
}

struct whole_case {
    const char *reply, *body;
    int status;
    bool close; /* the endpoint does, right behind it */
    bool reused;
};

static const struct whole_case WHOLES[] = {
    {OK_HEAD "fine", "fine", 200, false, true},
    {OK_HEAD "fine", "fine", 200, true, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n", "fine", 200,
     false, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine", "fine", 200, false, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine", "fine", 200, false, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nfine", "fine", 200, false, true},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", 200, true, false},
    {"HTTP/1.1 204 No Content\r\n\r\n", "", 204, false, true},
    {"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 1\r\n\r\nbusy", "busy", 503, false, true},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" OK_HEAD "fine", "fine",
     200, false, true},
    {"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\nfine", "fine", 200, true, false},
};

static void reply_and_close(struct peer *p)
{
    if (!peer_has_request(p))
        return;
    peer_answer(p);
    stream_finish(&p->s);
}

TEST(every_whole_answer_is_whole_however_it_is_cut)
{
    static const size_t PIECES[] = {0, 1, 7};

    for (size_t i = 0; i < COUNT_OF(WHOLES) * COUNT_OF(PIECES); i++) {
        const struct whole_case *w = &WHOLES[i / COUNT_OF(PIECES)];
        struct vnet_opts net = {.seed = i, .latency_us = MS, .segment_max = PIECES[i % COUNT_OF(PIECES)]};
        struct scene sc;
        struct tried t;

        scene_init_with(&sc, &net, &POOL_OPTS);
        sc.at.reply = w->reply;
        sc.at.on_data = w->close ? reply_and_close : NULL;
        tried_run(&t, &sc);
        CHECK_INT(t.ends_n, 1);
        CHECK_INT(t.why, ERR_OK);
        CHECK_INT(t.step, CALL_ANSWERED);
        CHECK_INT(t.heads_n, 1);
        CHECK_INT(t.status, w->status);
        CHECK(tried_body_is(&t, w->body));
        CHECK_INT(sc.pool.idle_n, w->reused);
        CHECK_INT(sc.at.peers->s != NULL, w->reused);
        tried_fini(&t);
        scene_fini(&sc);
    }
}

/* -- answers that are not ------------------------------------------------------------------------------- */

static void reset_behind_reply(struct peer *p)
{
    if (!peer_has_request(p) || p->of->reply == NULL)
        return;
    peer_say(p, p->of->reply);
    p->of->reply = NULL;
    timer_set(&p->of->l->wheel, &p->go_on, p->of->l->now_us + 50 * MS);
}

static void on_time_to_close(struct timer *t)
{
    stream_close(&CONTAINER_OF(t, struct peer, go_on)->s);
}

static void closes_when_told(struct peer *p)
{
    timer_init(&p->go_on, on_time_to_close);
}

struct broken_case {
    const char *reply;
    enum err why; /* when the endpoint closes behind it */
    size_t heads_n;
    const char *body;
};

static const struct broken_case BROKEN[] = {
    {"", ERR_EOF, 0, ""},
    {"H", ERR_EOF, 0, ""},
    {"HTTP/1.1 200 OK\r\nContent-Le", ERR_EOF, 0, ""},
    {"HTTP/1.1 100 Continue\r\n\r\n", ERR_EOF, 0, ""},
    {OK_HEAD, ERR_EOF, 1, ""},
    {OK_HEAD "fin", ERR_EOF, 1, "fin"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfi", ERR_EOF, 1, "fi"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n", ERR_EOF, 1, "fine"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n", ERR_EOF, 1, "fine"},
    {"nonsense", ERR_MALFORMED, 0, ""},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", ERR_MALFORMED, 0, ""},
    {"HTTP/2.0 200 OK\r\n\r\n", ERR_MALFORMED, 0, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nfine", ERR_MALFORMED, 0, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ERR_MALFORMED, 1, ""},
    {OK_HEAD "fine and more", ERR_MALFORMED, 1, "fine"}, /* an answer to a question that nobody asked */
    {OK_HEAD "fineHTTP/1.1 200 OK\r\n", ERR_MALFORMED, 1, "fine"},
};

TEST(every_broken_answer_is_told)
{
    for (size_t i = 0; i < COUNT_OF(BROKEN); i++) {
        const struct broken_case *b = &BROKEN[i];
        struct scene sc;
        struct tried t;

        scene_init(&sc);
        sc.at.reply = b->reply;
        sc.at.on_data = reset_behind_reply;
        sc.at.on_accept = closes_when_told;
        tried_run(&t, &sc);
        CHECK_INT(t.ends_n, 1);
        if (!CHECK_INT(t.why, b->why))
            printf("# case %zu\n", i);
        CHECK_INT(t.step, b->reply[0] == '\0' ? CALL_SENT : CALL_ANSWERED);
        CHECK_INT(t.heads_n, b->heads_n);
        CHECK(tried_body_is(&t, b->body));
        CHECK_INT(sc.pool.idle_n, 0);
        CHECK_INT(sc.at.accepts_n, 1); /* a fresh connection is not tried again */
        tried_fini(&t);
        scene_fini(&sc);
    }
}

TEST(a_head_that_is_too_large_is_refused)
{
    char reply[4000];
    struct scene sc;
    struct tried t;

    snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nX-Padding: %02500d\r\nContent-Length: 0\r\n\r\n", 1);
    scene_init(&sc);
    sc.at.reply = reply;
    tried_run(&t, &sc);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.why, ERR_TOO_LARGE);
    CHECK_INT(t.heads_n, 0);
    tried_fini(&t);
    scene_fini(&sc);
}

TEST(interim_answers_without_end_are_refused)
{
    char reply[600] = "";
    struct scene sc;
    struct tried t;

    for (size_t i = 0; i < 20; i++)
        strncat(reply, "HTTP/1.1 100 Continue\r\n\r\n", sizeof reply - strlen(reply) - 1);
    scene_init(&sc);
    sc.at.reply = reply;
    tried_run(&t, &sc);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.why, ERR_MALFORMED);
    tried_fini(&t);
    scene_fini(&sc);
}

static void say_a_part_and_read_no_more(struct peer *p)
{
    peer_say(p, p->of->reply);
    stream_pause(p->s);
}

TEST(a_reset_is_never_a_clean_end)
{
    struct slice body = {.p = mem_zalloc(500000), .n = 500000};
    struct client_request rq = small_request(&body);

    for (int reset = 0; reset < 2; reset++) {
        struct scene sc;
        struct tried t;

        scene_init(&sc);
        sc.at.reply = "HTTP/1.1 200 OK\r\n\r\nuntil the en"; /* only the connection's end ends it */
        sc.at.on_data = reset ? say_a_part_and_read_no_more : reply_and_close;
        tried_init(&t, &sc);
        tried_start(&t, &rq);
        scene_run(&sc, CLOCK_SECOND_US);
        CHECK_INT(t.status, 200);
        stream_close(&sc.at.peers->s); /* with bytes unread: a reset */
        scene_run(&sc, CLOCK_SECOND_US);
        CHECK_INT(t.ends_n, 1);
        CHECK_INT(t.why, reset ? ERR_RESET : ERR_OK);
        CHECK(tried_body_is(&t, "until the en"));
        tried_fini(&t);
        scene_fini(&sc);
    }
    mem_free((void *)(uintptr_t)body.p);
}

/* -- no connection -------------------------------------------------------------------------------------- */

TEST(no_connection_no_call)
{
    static const struct {
        const char *host;
        bool swallow;
        enum err why;
    } CASES[] = {
        {"10.0.0.7", false, ERR_REFUSED}, {"10.0.0.7", true, ERR_TIMEOUT}, {"unknown.test", false, ERR_DNS}};

    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        struct scene sc;
        struct pool_opts o = POOL_OPTS;
        struct addr at;
        struct tried t;

        o.host = CASES[i].host;
        o.connect_us = CLOCK_SECOND_US;
        scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS}, &o);
        CHECK_INT(addr_parse(SLICE("10.0.0.7:80"), &at), ERR_OK);
        vnet_blackhole(sc.v, &at, CASES[i].swallow);
        tried_run(&t, &sc);
        CHECK_INT(t.ends_n, 1);
        CHECK_INT(t.why, CASES[i].why);
        CHECK_INT(t.step, CALL_CONNECTING);
        tried_fini(&t);
        scene_fini(&sc);
    }
}

/* -- what the caller says ------------------------------------------------------------------------------- */

TEST(a_caller_that_refuses_the_answer_ends_the_call_with_its_reason)
{
    for (int at_body = 0; at_body < 2; at_body++) {
        static const struct slice BODY = {"{}", 2};
        struct client_request rq = small_request(&BODY);
        struct scene sc;
        struct tried t;

        scene_init(&sc);
        tried_init(&t, &sc);
        *(at_body ? &t.on_body : &t.on_head) = ERR_UPSTREAM_MALFORMED;
        tried_start(&t, &rq);
        scene_run(&sc, CLOCK_SECOND_US);
        CHECK_INT(t.ends_n, 1);
        CHECK_INT(t.why, ERR_UPSTREAM_MALFORMED);
        CHECK_INT(t.step, CALL_ANSWERED);
        CHECK_INT(sc.pool.idle_n, 0);
        CHECK_INT(sc.at.peers->closes_n, 1);
        tried_fini(&t);
        scene_fini(&sc);
    }
}

/* Chunks that come 10 ms apart, then the end mark. */
static void on_next_chunk(struct timer *t)
{
    struct peer *p = CONTAINER_OF(t, struct peer, go_on);

    if (p->requests_n == 12) {
        peer_say(p, "0\r\n\r\n");
        return;
    }
    peer_say(p,
             p->requests_n++ == 1 ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" : "1\r\nx\r\n");
    timer_set(&p->of->l->wheel, t, p->of->l->now_us + 10 * MS);
}

static void streams_when_asked(struct peer *p)
{
    timer_init(&p->go_on, on_next_chunk);
}

static void stream_chunks(struct peer *p)
{
    if (!peer_has_request(p) || p->requests_n > 0)
        return;
    p->requests_n = 1;
    timer_set(&p->of->l->wheel, &p->go_on, p->of->l->now_us + 10 * MS);
}

TEST(cancelled_at_any_time_it_leaves_nothing)
{
    static const struct slice BODY = {"{}", 2};
    struct client_request rq = small_request(&BODY);

    for (int64_t after_us = 0; after_us < 140 * MS; after_us += after_us < 6 * MS ? MS / 2 : 5 * MS) {
        struct scene sc;
        struct tried t;
        size_t seen;

        scene_init(&sc);
        sc.at.on_accept = streams_when_asked;
        sc.at.on_data = stream_chunks;
        tried_init(&t, &sc);
        tried_start(&t, &rq);
        scene_run(&sc, after_us);
        CHECK_INT(t.ends_n, after_us > 125 * MS);
        call_cancel(&t.call);
        CHECK(t.call == NULL);
        seen = t.heads_n + t.body.n + t.ends_n;
        scene_run(&sc, 10 * MS);
        CHECK_INT(t.heads_n + t.body.n + t.ends_n, seen); /* no callback comes any more */
        if (sc.at.peers != NULL && t.ends_n == 0)
            CHECK_INT(sc.at.peers->closes_n, 1); /* the endpoint knows within 10 ms */
        tried_fini(&t);
        scene_fini(&sc);
    }
}

TEST(cancelled_inside_its_own_callbacks_it_leaves_nothing)
{
    for (int at_body = 0; at_body < 2; at_body++) {
        static const struct slice BODY = {"{}", 2};
        struct client_request rq = small_request(&BODY);
        struct scene sc;
        struct tried t;

        scene_init(&sc);
        tried_init(&t, &sc);
        *(at_body ? &t.cancel_on_body : &t.cancel_on_head) = true;
        tried_start(&t, &rq);
        scene_run(&sc, CLOCK_SECOND_US);
        CHECK_INT(t.ends_n, 0);
        CHECK_INT(t.heads_n, 1);
        CHECK_INT(t.body.n, at_body ? 4 : 0);
        CHECK_INT(sc.pool.idle_n, 0);
        CHECK_INT(sc.at.peers->closes_n, 1);
        tried_fini(&t);
        scene_fini(&sc);
    }
}

TEST(a_paused_call_reads_nothing_and_loses_nothing)
{
    static const struct slice BODY = {"{}", 2};
    struct client_request rq = small_request(&BODY);
    struct slice answer = {.p = mem_zalloc(300001), .n = 300000};
    struct scene sc;
    struct tried t;

    memset((void *)(uintptr_t)answer.p, 'a', answer.n);
    scene_init_with(&sc, &(struct vnet_opts){.seed = 1, .latency_us = MS, .pipe_bytes = 10000}, &POOL_OPTS);
    sc.at.reply = NULL;
    tried_init(&t, &sc);
    tried_start(&t, &rq);
    scene_run(&sc, 20 * MS);
    peer_say(sc.at.peers, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
    t.pause_on_head = true;
    scene_run(&sc, 20 * MS);
    CHECK_INT(t.heads_n, 1);
    peer_say(sc.at.peers, answer.p);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(t.body.n, 0);
    CHECK(stream_pending(sc.at.peers->s) > 280000); /* the back-pressure reached the endpoint */
    stream_finish(&sc.at.peers->s);
    scene_run(&sc, 100 * MS);
    CHECK_INT(t.ends_n, 0);
    CHECK_INT(call_step(t.call), CALL_ANSWERED);
    call_resume(t.call);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(t.ends_n, 1);
    CHECK_INT(t.why, ERR_OK);
    CHECK(tried_body_is(&t, answer.p));
    tried_fini(&t);
    scene_fini(&sc);
    mem_free((void *)(uintptr_t)answer.p);
}

TEST(a_call_can_be_paused_before_it_has_a_connection)
{
    static const struct slice BODY = {"{}", 2};
    struct client_request rq = small_request(&BODY);
    struct scene sc;
    struct tried t;

    scene_init(&sc);
    tried_init(&t, &sc);
    tried_start(&t, &rq);
    CHECK_INT(call_step(t.call), CALL_CONNECTING);
    CHECK_INT(call_last_byte_us(t.call), 0);
    call_pause(t.call);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(sc.at.requests_n, 1); /* the request goes out all the same */
    CHECK_INT(t.heads_n, 0);
    CHECK_INT(call_step(t.call), CALL_SENT);
    call_resume(t.call);
    scene_run(&sc, CLOCK_SECOND_US);
    CHECK_INT(t.ends_n, 1);
    CHECK(tried_body_is(&t, "fine"));
    tried_fini(&t);
    scene_fini(&sc);
}

TEST(the_time_of_the_last_byte_is_known)
{
    static const struct slice BODY = {"{}", 2};
    struct client_request rq = small_request(&BODY);
    struct scene sc;
    struct tried t;
    int64_t sent_us, at_us;

    scene_init(&sc);
    sc.at.reply = OK_HEAD;
    tried_init(&t, &sc);
    tried_start(&t, &rq);
    scene_run(&sc, CLOCK_SECOND_US);
    sent_us = call_last_byte_us(t.call);
    at_us = vnet_now_us(sc.v);
    CHECK(sent_us > 0 && sent_us < at_us - 900 * MS);
    peer_say(sc.at.peers, "fi");
    scene_run(&sc, 10 * MS);
    CHECK_INT(call_last_byte_us(t.call), at_us + MS);
    tried_fini(&t);
    scene_fini(&sc);
}
