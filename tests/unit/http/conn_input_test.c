/* SPDX-License-Identifier: MIT */
/* Reading requests: pipelining, early answers, expectations, bounds. */
#include "base/buf.h"
#include "base/mem.h"
#include "http/conn.h"
#include "support/http_peer.h"
#include "tap.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

/* -- pipelining --------------------------------------------------------------------------------------------
 */

static void many(enum http_peer_answer when)
{
    const size_t n = 10000;
    struct http_peer p;
    struct buf all;

    buf_init(&all, 1 << 20, NULL);
    for (size_t i = 0; i < n; i++)
        CHECK(buf_add(&all, SLICE(GET)) == ERR_OK);
    http_peer_init(&p);
    p.answer = when;
    http_peer_say_n(&p, buf_slice(&all));
    CHECK(p.stream.paused);
    http_peer_wait(&p, 3000000, 1000);
    CHECK_INT(p.requests_n, n);
    CHECK_INT(http_peer_got_n(&p, "HTTP/1.1 200 OK\r\n"), n);
    CHECK(!p.stream.paused);
    http_peer_fini(&p);
    buf_fini(&all);
}

TEST(ten_thousand_pipelined_requests_answered_in_on_request)
{
    many(ANSWER_ON_REQUEST);
}

TEST(ten_thousand_pipelined_requests_answered_in_on_complete)
{
    many(ANSWER_ON_COMPLETE);
}

TEST(pipelined_requests_are_answered_later_and_in_order)
{
    struct http_peer p;
    char want[64];

    http_peer_init(&p);
    p.answer = ANSWER_LATER;
    http_peer_say(
        &p, "GET /0 HTTP/1.1\r\nHost: a\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHo");
    http_peer_say(&p, "st: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    for (size_t i = 0; i < 4; i++) {
        snprintf(want, sizeof want, "/%zu", i);
        CHECK_INT(p.requests_n, i + 1);
        CHECK_STR(p.path, want);
        p.in_work = false;
        conn_respond(p.conn, 200, NULL, 0, slice_of(want));
        mem_turn(&p.stream, 0, SLICE_NONE);
    }
    CHECK_INT(p.requests_n, 4);
    CHECK(strstr(http_peer_got(&p), "/0HTTP") < strstr(http_peer_got(&p), "/1HTTP"));
    CHECK(strstr(http_peer_got(&p), "/1HTTP") < strstr(http_peer_got(&p), "/2HTTP"));
    http_peer_fini(&p);
}

TEST(a_body_pipelined_behind_a_request_in_work)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_LATER;
    http_peer_say(&p, GET CHUNKED "5\r\nhello\r\n1");
    http_peer_say(&p, "\r\nx\r\n0\r\n\r\n" GET);
    CHECK_INT(p.requests_n, 1);
    for (size_t i = 0; i < 3; i++) {
        p.in_work = false;
        conn_respond(p.conn, 200, NULL, 0, SLICE("ok"));
        mem_turn(&p.stream, 0, SLICE_NONE);
    }
    CHECK_INT(p.requests_n, 3);
    CHECK_INT(p.body_bytes, 6);
    http_peer_fini(&p);
}

TEST(reading_pauses_past_pipeline_max_and_goes_on)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_LATER;
    http_peer_say(&p, GET);
    for (int i = 0; i < 151; i++)
        http_peer_say(&p, GET); /* 27 bytes each: 4077 */
    CHECK(!p.stream.paused);
    http_peer_say(&p, GET);
    CHECK(p.stream.paused);
    p.answer = ANSWER_ON_COMPLETE;
    p.in_work = false;
    conn_respond(p.conn, 200, NULL, 0, SLICE("ok"));
    mem_turn(&p.stream, 0, SLICE_NONE);
    CHECK(!p.stream.paused);
    for (size_t begun = p.requests_n; begun < 153; begun = p.requests_n) { /* so many begin in a turn */
        mem_turn(&p.stream, 0, SLICE_NONE);
        if (!CHECK(p.requests_n > begun && p.requests_n - begun <= TURN_CONN_REQUESTS))
            break;
    }
    CHECK_INT(p.requests_n, 153);
    http_peer_fini(&p);
}

TEST(who_pipelines_more_than_fits_and_ignores_the_pause_is_dropped)
{
    static char filler[1024 * 1024];
    struct http_peer p;

    memset(filler, 'x', sizeof filler);
    http_peer_init(&p);
    p.answer = ANSWER_LATER;
    http_peer_say(&p, GET);
    for (int i = 0; p.conn != NULL && i < 3; i++)
        http_peer_say_n(&p, (struct slice){filler, sizeof filler});
    CHECK(p.conn == NULL);
    CHECK_INT(p.gone_why, ERR_TOO_LARGE);
    http_peer_fini(&p);
}

TEST(who_asks_but_does_not_read_is_not_read_either)
{
    static char body[30000];
    struct http_peer p;
    size_t asked;

    memset(body, 'x', sizeof body);
    http_peer_init(&p);
    p.answer_body = (struct slice){body, sizeof body};
    p.stream.room_n = 0;
    for (int i = 0; i < 100; i++)
        http_peer_say(&p, GET);
    http_peer_wait(&p, 100000, 10000);
    asked = p.requests_n;
    CHECK(asked >= 3 && asked <= 5);
    p.stream.room_n = SIZE_MAX;
    http_peer_wait(&p, 200000, 1000);
    CHECK_INT(p.requests_n, 100);
    CHECK_INT(http_peer_got_n(&p, "HTTP/1.1 200 OK"), 100);
    http_peer_fini(&p);
}

/* -- early answers -----------------------------------------------------------------------------------------
 */

TEST(a_short_rest_of_a_refused_body_is_read_and_dropped)
{
    static const char *const BODIES[] = {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234",
                                         "56789", CHUNKED "5\r\n01234\r\n", "5\r\n56789\r\n0\r\n\r\n"};

    for (size_t i = 0; i < 4; i += 2) {
        for (enum http_peer_answer when = ANSWER_ON_REQUEST; when <= ANSWER_ON_BODY; when++) {
            struct http_peer p;

            http_peer_init(&p);
            p.answer = when;
            http_peer_say(&p, BODIES[i]);
            CHECK_INT(http_peer_got_n(&p, "HTTP/1.1 200 OK\r\n"), 1);
            CHECK(!conn_body_done(p.conn));
            http_peer_say(&p, BODIES[i + 1]);
            CHECK(p.conn != NULL && conn_body_done(p.conn));
            http_peer_say(&p, GET);
            CHECK_INT(p.requests_n, 2);
            CHECK_INT(p.body_bytes, when == ANSWER_ON_BODY ? 5 : 0);
            http_peer_fini(&p);
        }
    }
}

TEST(a_long_rest_ends_the_connection_which_the_head_says)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_ON_REQUEST;
    http_peer_say(&p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 262145\r\n\r\n");
    CHECK(p.conn == NULL && p.stream.finished);
    CHECK_INT(http_peer_got_n(&p, "Connection: close\r\n"), 1);
    http_peer_fini(&p);

    http_peer_init(&p);
    p.answer = ANSWER_ON_REQUEST;
    http_peer_say(&p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 262144\r\n\r\n");
    CHECK(p.conn != NULL);
    CHECK_INT(http_peer_got_n(&p, "Connection: close\r\n"), 0);
    http_peer_fini(&p);
}

TEST(a_chunked_rest_is_dropped_up_to_a_bound)
{
    static char chunk[10 + 4096 + 2];
    struct http_peer p;
    size_t sent = 0;

    memset(chunk, 'x', sizeof chunk);
    memcpy(chunk, "00001000\r\n", 10);
    memcpy(chunk + 10 + 4096, "\r\n", 2);
    http_peer_init(&p);
    p.answer = ANSWER_ON_REQUEST;
    http_peer_say(&p, CHUNKED);
    while (p.conn != NULL && sent < 1024 * 1024) {
        http_peer_say_n(&p, (struct slice){chunk, sizeof chunk});
        sent += sizeof chunk;
    }
    CHECK(p.conn == NULL && p.stream.finished);
    CHECK(sent > 256 * 1024 && sent < 270 * 1024);
    CHECK_INT(p.body_bytes, 0);
    http_peer_fini(&p);
}

TEST(a_rest_that_breaks_or_stops_ends_the_connection)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_ON_REQUEST;
    http_peer_say(&p, CHUNKED);
    http_peer_say(&p, "zz\r\n");
    CHECK(p.conn == NULL && p.stream.finished);
    CHECK_INT(p.gone_n + p.refused_n, 0);
    http_peer_fini(&p);

    http_peer_init(&p);
    p.answer = ANSWER_ON_REQUEST;
    http_peer_say(&p, CHUNKED);
    http_peer_wait(&p, 2200000, 100000);
    CHECK(p.conn == NULL && p.stream.finished);
    CHECK_INT(p.gone_n + p.refused_n, 0);
    http_peer_fini(&p);
}

TEST(an_answer_that_ends_with_the_bodys_last_byte)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_ON_BODY;
    http_peer_say(&p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET);
    CHECK_INT(p.requests_n, 2);
    CHECK_INT(p.completes_n, 1); /* the GET's; the first was over before its body was */
    p.in_work = true;
    http_peer_fini(&p);
}

/* -- expectations ------------------------------------------------------------------------------------------
 */

#define EXPECT "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

TEST(a_waiting_client_is_told_to_continue)
{
    struct http_peer p;

    http_peer_init(&p);
    http_peer_say(&p, EXPECT);
    CHECK_STR(http_peer_got(&p), CONTINUE);
    http_peer_say(&p, "hello");
    CHECK_STR(http_peer_got(&p), CONTINUE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    http_peer_fini(&p);
}

TEST(a_client_that_did_not_wait_is_not_told)
{
    struct http_peer p;

    http_peer_init(&p);
    http_peer_say(&p, EXPECT "he");
    http_peer_say(&p, "llo");
    CHECK_STR(http_peer_got(&p), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    http_peer_fini(&p);
}

TEST(a_client_that_is_refused_while_it_waits_loses_the_connection)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_ON_REQUEST;
    http_peer_say(&p, EXPECT);
    CHECK_STR(http_peer_got(&p), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    CHECK(p.stream.finished);
    http_peer_fini(&p);
}

TEST(http_1_0_has_no_expectations)
{
    struct http_peer p;

    http_peer_init(&p);
    http_peer_say(&p, "POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: anything\r\n\r\n");
    CHECK_STR(http_peer_got(&p), "");
    http_peer_say(&p, "hello");
    CHECK_INT(http_peer_got_n(&p, "HTTP/1.1 200 OK\r\n"), 1);
    http_peer_fini(&p);
}

/* -- bounds ------------------------------------------------------------------------------------------------
 */

/* Says a head of exactly n bytes, padded by `fill` where %s stands in the form. */
static enum err head_of(size_t n, const char *before, const char *behind, char fill, size_t step)
{
    struct http_peer p;
    struct buf text;
    enum err why;

    buf_init(&text, 1 << 20, NULL);
    CHECK_INT(buf_add(&text, slice_of(before)), ERR_OK);
    while (text.n + strlen(behind) < n)
        CHECK(buf_add(&text, (struct slice){&fill, 1}) == ERR_OK);
    CHECK_INT(buf_add(&text, slice_of(behind)), ERR_OK);
    http_peer_init(&p);
    for (size_t at = 0; p.conn != NULL && at < text.n; at += step)
        http_peer_say_n(&p, (struct slice){text.p + at, step < text.n - at ? step : text.n - at});
    why = p.refused_why;
    CHECK_INT(p.completes_n, why == ERR_OK);
    CHECK_INT(http_peer_got_n(&p, "HTTP/1.1 431 "), why == ERR_HEAD_TOO_LARGE);
    http_peer_fini(&p);
    buf_fini(&text);
    return why;
}

TEST(a_head_up_to_its_bound_and_one_byte_more)
{
    static const struct {
        const char *before, *behind;
        char fill;
    } FORMS[] = {
        {"GET /", " HTTP/1.1\r\nHost: a\r\n\r\n", 'x'},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: ", "\r\n\r\n", 'x'},
        {"GET / HTTP/1.1\r\nHost: a\r\nX:", "y\r\n\r\n", ' '},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: y", "\r\n\r\n", '\t'},
        {"GET / HTTP/1.1\r\nHost: a\r\nX", ": y\r\n\r\n", 'x'},
    };
    static const size_t STEPS[] = {1, 7, 1000, 1 << 20};

    for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++) {
        for (size_t j = 0; j < 4; j++) {
            CHECK_INT(head_of(2048, FORMS[i].before, FORMS[i].behind, FORMS[i].fill, STEPS[j]), ERR_OK);
            CHECK_INT(head_of(2049, FORMS[i].before, FORMS[i].behind, FORMS[i].fill, STEPS[j]),
                      ERR_HEAD_TOO_LARGE);
        }
    }
}

TEST(a_head_that_comes_byte_by_byte_is_not_moved_with_every_byte)
{
    struct http_peer p;
    uint64_t before;

    http_peer_init(&p);
    p.limits.head_max = 1 << 20;
    http_peer_say(&p, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    before = mem_alloc_n();
    for (int i = 0; i < 20000; i++)
        http_peer_say(&p, "x");
    CHECK(mem_alloc_n() - before < 40);
    http_peer_say(&p, "\r\n\r\n");
    CHECK_INT(p.completes_n, 1);
    http_peer_fini(&p);

    http_peer_init(&p);
    p.limits.head_max = 1 << 20;
    http_peer_say(&p, "GET /");
    before = mem_alloc_n();
    for (int i = 0; i < 20000; i++)
        http_peer_say(&p, "x");
    CHECK(mem_alloc_n() - before < 40);
    http_peer_say(&p, " HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_INT(p.completes_n, 1);
    http_peer_fini(&p);
}

TEST(a_large_body_behind_a_small_head_in_one_read)
{
    struct http_peer p;
    struct buf text;

    buf_init(&text, 1 << 20, NULL);
    CHECK_INT(buf_printf(&text, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n%0100000d", 0),
              ERR_OK);
    http_peer_init(&p);
    http_peer_say_n(&p, buf_slice(&text));
    CHECK_INT(p.body_bytes, 100000);
    CHECK_INT(p.completes_n, 1);
    http_peer_fini(&p);
    buf_fini(&text);
}

static void with_headers(size_t n, enum err want)
{
    struct http_peer p;
    struct buf text;

    buf_init(&text, 1 << 20, NULL);
    CHECK_INT(buf_add(&text, SLICE("GET / HTTP/1.1\r\nHost: a\r\n")), ERR_OK);
    for (size_t i = 1; i < n; i++)
        CHECK_INT(buf_add(&text, SLICE("a: b\r\n")), ERR_OK);
    CHECK_INT(buf_add(&text, SLICE("\r\n")), ERR_OK);
    http_peer_init(&p);
    http_peer_say_n(&p, buf_slice(&text));
    CHECK_INT(p.refused_why, want);
    CHECK_INT(p.headers_n, want == ERR_OK ? n : 0);
    http_peer_fini(&p);
    buf_fini(&text);
}

TEST(a_hundred_headers_and_one_more)
{
    with_headers(100, ERR_OK);
    with_headers(101, ERR_HEAD_TOO_LARGE);
}

/* A chunked body in which `n` times `what` stands where %s is; says why it was refused. */
static enum err frames_of(const char *before, const char *what, size_t n, const char *behind, size_t step)
{
    struct http_peer p;
    struct buf text;
    enum err why;

    buf_init(&text, 1 << 20, NULL);
    CHECK_INT(buf_printf(&text, CHUNKED "%s", before), ERR_OK);
    for (size_t i = 0; i < n; i++)
        CHECK(buf_add(&text, slice_of(what)) == ERR_OK);
    CHECK_INT(buf_add(&text, slice_of(behind)), ERR_OK);
    http_peer_init(&p);
    for (size_t at = 0; p.conn != NULL && at < text.n; at += step)
        http_peer_say_n(&p, (struct slice){text.p + at, step < text.n - at ? step : text.n - at});
    why = p.refused_why;
    CHECK_INT(p.gone_n, why != ERR_OK);
    CHECK_INT(p.completes_n, why == ERR_OK);
    http_peer_fini(&p);
    buf_fini(&text);
    return why;
}

TEST(extensions_zeros_and_trailers_are_bounded)
{
    static const size_t STEPS[] = {1, 100, 1 << 20};

    for (size_t i = 0; i < 3; i++) {
        size_t step = STEPS[i];

        CHECK_INT(frames_of("1;", "x", 1500, "\r\na\r\n0\r\n\r\n", step), ERR_OK);
        CHECK_INT(frames_of("1;", "x", 2500, "\r\na\r\n0\r\n\r\n", step), ERR_HEAD_TOO_LARGE);
        CHECK_INT(frames_of("", "0", 2500, "1\r\na\r\n0\r\n\r\n", step), ERR_HEAD_TOO_LARGE);
        CHECK_INT(frames_of("1\r\na\r\n0\r\n", "x: y\r\n", 200, "\r\n", step), ERR_OK);
        CHECK_INT(frames_of("1\r\na\r\n0\r\n", "x: y\r\n", 500, "\r\n", step), ERR_HEAD_TOO_LARGE);
        /* What is wrong behind the bound does not count, whether it is here already or not. */
        CHECK_INT(frames_of("1\r\na\r\n0\r\n", "x: y\r\n", 500, "?\r\n\r\n", step), ERR_HEAD_TOO_LARGE);
        CHECK_INT(frames_of("1\r\na\r\n0\r\n", "x: y\r\n", 200, "?\r\n\r\n", step), ERR_BAD_REQUEST);
        /* Many small extensions are as bad as a long one; many small chunks are just a body. */
        CHECK_INT(frames_of("", "1;extension=0123456789\r\na\r\n", 1000, "0\r\n\r\n", step),
                  ERR_HEAD_TOO_LARGE);
        CHECK_INT(frames_of("", "1\r\na\r\n", 2000, "0\r\n\r\n", step), ERR_OK);
    }
}
