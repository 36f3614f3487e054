/* SPDX-License-Identifier: MIT */
/* The life of a connection: its clocks, how it ends, and what it costs. */
#include "http/conn.h"

#include "base/mem.h"
#include "support/http_peer.h"
#include "tap.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST_5 "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
#define STEP_US 100000

/* -- clocks ------------------------------------------------------------------------------------------------
 */

TEST(an_idle_connection_ends_silently)
{
    struct http_peer p;

    http_peer_init(&p);
    http_peer_wait(&p, 4900000, STEP_US);
    CHECK(p.conn != NULL);
    http_peer_wait(&p, 200000, STEP_US);
    CHECK(p.conn == NULL);
    CHECK_INT(p.refused_n, 0);
    CHECK_STR(http_peer_got(&p), "");
    http_peer_fini(&p);
}

TEST(the_idle_clock_begins_anew_with_every_answer)
{
    struct http_peer p;

    http_peer_init(&p);
    for (int i = 0; i < 5; i++) {
        http_peer_wait(&p, 4000000, STEP_US);
        http_peer_say(&p, GET);
    }
    CHECK_INT(p.completes_n, 5);
    http_peer_wait(&p, 4900000, STEP_US);
    CHECK(p.conn != NULL);
    http_peer_wait(&p, 200000, STEP_US);
    CHECK(p.conn == NULL);
    http_peer_fini(&p);
}

TEST(a_head_that_comes_too_slowly_is_answered_408)
{
    struct http_peer p;
    const char *text = "GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    http_peer_init(&p);
    for (int i = 0; p.conn != NULL && i < 20; i++)
        mem_turn(&p.stream, STEP_US, (struct slice){text + i, 1});
    CHECK_INT(p.refused_why, ERR_CLIENT_TIMEOUT);
    CHECK_INT(p.requests_n, 0);
    CHECK(p.stream.finished);
    CHECK_INT(http_peer_got_n(&p, "HTTP/1.1 408 Request Timeout\r\n"), 1);
    CHECK_INT(http_peer_got_n(&p, "Connection: close\r\n"), 1);
    http_peer_fini(&p);
}

TEST(the_clock_of_a_second_head_runs_too)
{
    struct http_peer p;

    http_peer_init(&p);
    http_peer_say(&p, GET "GET / HTTP");
    http_peer_wait(&p, 900000, STEP_US);
    CHECK(p.conn != NULL);
    http_peer_wait(&p, 200000, STEP_US);
    CHECK(p.conn == NULL);
    CHECK_INT(p.refused_why, ERR_CLIENT_TIMEOUT);
    http_peer_fini(&p);
}

TEST(a_body_may_be_slow_but_not_pause)
{
    struct http_peer p;

    http_peer_init(&p);
    http_peer_say(&p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        http_peer_wait(&p, 1900000, STEP_US);
        http_peer_say(&p, "x");
    }
    CHECK(p.conn != NULL);
    http_peer_wait(&p, 2100000, STEP_US);
    CHECK(p.conn == NULL);
    CHECK_INT(p.gone_n, 1);
    CHECK_INT(p.gone_why, ERR_CLIENT_TIMEOUT);
    CHECK_INT(p.body_bytes, 20);
    CHECK_INT(http_peer_got_n(&p, "HTTP/1.1 408 "), 1);
    http_peer_fini(&p);
}

TEST(no_clock_of_the_connection_ends_a_long_answer)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_LATER;
    http_peer_say(&p, GET);
    http_peer_wait(&p, 600000000, 1000000);
    if (!CHECK(p.conn != NULL))
        return;
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    http_peer_wait(&p, 600000000, 1000000);
    conn_body(p.conn, SLICE("x"));
    http_peer_wait(&p, 600000000, 1000000);
    conn_end(p.conn);
    http_peer_wait(&p, 1000000, 1000000);
    CHECK_INT(http_peer_got_n(&p, "\r\n\r\n1\r\nx\r\n0\r\n\r\n"), 1);
    http_peer_fini(&p);
}

TEST(a_client_that_takes_nothing_is_gone_after_write_us)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_LATER;
    http_peer_say(&p, GET);
    http_peer_wait(&p, 60000000, STEP_US); /* time in which there was nothing to take does not count */
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    p.stream.room_n = 10;
    http_peer_wait(&p, 3900000, STEP_US);
    CHECK(p.conn != NULL);
    http_peer_wait(&p, 1300000, STEP_US);
    CHECK(p.conn == NULL);
    CHECK_INT(p.gone_n, 1);
    CHECK_INT(p.gone_why, ERR_TIMEOUT);
    CHECK(p.stream.closed);
    http_peer_fini(&p);
}

TEST(a_client_that_takes_a_byte_now_and_then_is_slow_not_gone)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_LATER;
    p.stream.room_n = 0;
    http_peer_say(&p, GET);
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    for (int i = 0; i < 20; i++) {
        http_peer_wait(&p, 2500000, STEP_US);
        p.stream.room_n = 1;
    }
    CHECK(p.conn != NULL);
    p.stream.room_n = SIZE_MAX;
    http_peer_wait(&p, STEP_US, STEP_US);
    CHECK_INT(p.drains_n, 1);
    http_peer_fini(&p);
}

TEST(an_answered_client_that_does_not_read_is_dropped_too)
{
    struct http_peer p;

    http_peer_init(&p);
    p.stream.room_n = 0;
    http_peer_say(&p, GET);
    CHECK_INT(p.completes_n, 1);
    http_peer_wait(&p, 5300000, STEP_US);
    CHECK(p.conn == NULL);
    CHECK(p.stream.closed);
    CHECK_INT(p.gone_n, 0);
    http_peer_fini(&p);
}

/* -- ends --------------------------------------------------------------------------------------------------
 */

TEST(a_client_that_leaves_is_told_of_at_once)
{
    static const enum err WHYS[] = {ERR_EOF, ERR_RESET, ERR_TOO_LARGE},
                          SAID[] = {ERR_CLIENT_GONE, ERR_CLIENT_GONE, ERR_TOO_LARGE};

    for (size_t i = 0; i < 3; i++) {
        struct http_peer p;

        http_peer_init(&p);
        p.answer = ANSWER_LATER;
        http_peer_say(&p, POST_5 "he");
        mem_turn_close(&p.stream, WHYS[i]);
        CHECK_INT(p.gone_n, 1);
        CHECK_INT(p.gone_why, SAID[i]);
        CHECK_INT(p.closed_n, 1);
        http_peer_fini(&p);
    }
}

TEST(a_client_that_leaves_between_requests_is_nobodys_business)
{
    struct http_peer p;

    http_peer_init(&p);
    http_peer_say(&p, GET "GET /");
    mem_turn_close(&p.stream, ERR_EOF);
    CHECK_INT(p.completes_n, 1);
    CHECK_INT(p.gone_n + p.refused_n, 0);
    CHECK_INT(p.closed_n, 1);
    http_peer_fini(&p);
}

TEST(closing_in_any_callback_is_safe)
{
    static const enum http_peer_answer WHERE[] = {CLOSE_ON_REQUEST, CLOSE_ON_BODY, CLOSE_ON_COMPLETE,
                                                  CLOSE_ON_REFUSED};
    static const char *const TEXTS[] = {
        POST_5 "hello" GET,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" GET,
        "\r\n\r\n",
    };

    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 3; j++) {
            struct http_peer p;

            http_peer_init(&p);
            p.answer = WHERE[i];
            http_peer_say(&p, TEXTS[j]);
            CHECK_INT(p.closed_n, WHERE[i] != CLOSE_ON_REFUSED || j == 2);
            CHECK(p.requests_n <= 1 || WHERE[i] == CLOSE_ON_REFUSED);
            CHECK(p.gone_n <= 1 && (p.gone_n == 0 || p.gone_why == ERR_CANCELLED));
            http_peer_fini(&p);
        }
    }
}

TEST(draining_ends_idle_connections_now_and_others_after_their_answer)
{
    struct http_peer p;

    http_peer_init(&p);
    conn_drain(p.conn);
    CHECK(p.conn == NULL && p.stream.finished);
    http_peer_fini(&p);

    http_peer_init(&p);
    http_peer_say(&p, POST_5);
    conn_drain(p.conn);
    CHECK(p.conn != NULL);
    http_peer_say(&p, "hello");
    CHECK(p.conn == NULL && p.stream.finished);
    CHECK_STR(http_peer_got(&p), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    http_peer_fini(&p);
}

TEST(the_owners_list_lets_go_before_the_owner_hears_of_the_end)
{
    struct list all;
    struct http_peer p;

    list_init(&all);
    http_peer_init(&p);
    list_push_back(&all, conn_node(p.conn));
    mem_turn_close(&p.stream, ERR_RESET);
    CHECK_INT(p.closed_n, 1);
    CHECK(list_empty(&all));
    http_peer_fini(&p);
}

/* -- cost --------------------------------------------------------------------------------------------------
 */

TEST(a_request_costs_one_allocation_and_one_send_of_one_piece)
{
    static const char TEXT[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
        "Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\n"
        "Authorization: Bearer sk-0123456789abcdef0123456789abcdef\r\n"
        "Content-Type: application/json\r\nUser-Agent: OpenAI/Python 1.99.0\r\n"
        "X-Stainless-Lang: python\r\nX-Stainless-Package-Version: 1.99.0\r\n"
        "X-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\n"
        "X-Stainless-Runtime-Version: 3.12.1\r\nX-Stainless-Async: false\r\n"
        "x-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\n"
        "Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello";
    struct http_peer p;
    uint64_t before;

    http_peer_init(&p);
    http_peer_say(&p, TEXT); /* the loop takes its memory */
    mem_stream_forget(&p.stream);
    p.stream.sends_n = p.stream.pieces_n = 0;
    before = mem_alloc_n();
    http_peer_say(&p, TEXT);
    CHECK_INT(mem_alloc_n() - before, 1);
    CHECK_INT(p.completes_n, 2);
    CHECK_INT(p.headers_n, 17);
    CHECK_INT(p.stream.sends_n, 1);
    CHECK_INT(p.stream.pieces_n, 1);
    http_peer_fini(&p);
}

/* -- the pace of a body ------------------------------------------------------------------------------------
 */

/* A byte of a body every `every_us`, with a grace of 3 s and then 10 bytes a second; how many it took. */
static size_t trickle(struct http_peer *p, int64_t every_us, size_t most)
{
    size_t n = 0;

    http_peer_init(p);
    p->limits.body_rate = 10;
    p->limits.body_grace_us = 3000000;
    http_peer_say(p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    for (; p->conn != NULL && n < most; n++) {
        http_peer_say(p, "x");
        http_peer_wait(p, every_us, every_us / 4);
    }
    return n;
}

TEST(a_body_slower_than_its_rate_is_refused_behind_the_grace)
{
    struct http_peer p;
    size_t n = trickle(&p, 1000000, 100); /* a byte a second: 3 s of grace, and a tenth for each byte */

    CHECK(n == 4);
    CHECK_INT(p.gone_n, 1);
    CHECK_INT(p.gone_why, ERR_CLIENT_TIMEOUT);
    CHECK_INT(http_peer_got_n(&p, "HTTP/1.1 408 "), 1);
    http_peer_fini(&p);
}

TEST(a_body_that_keeps_its_rate_may_take_as_long_as_it_likes)
{
    struct http_peer p;

    CHECK_INT(trickle(&p, 90000, 500), 500); /* 11 bytes a second, for 45 s */
    CHECK(p.conn != NULL);
    CHECK_INT(p.gone_n, 0);
    http_peer_fini(&p);
}

TEST(bytes_that_came_early_are_credit)
{
    struct http_peer p;

    http_peer_init(&p);
    p.limits.body_us = 60000000;
    p.limits.body_rate = 10;
    p.limits.body_grace_us = 3000000;
    http_peer_say(
        &p,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n0123456789012345678901234567890123456789");
    http_peer_wait(&p, 6800000, 50000); /* 40 bytes are 4 s, behind 3 s of grace */
    CHECK(p.conn != NULL);
    http_peer_wait(&p, 400000, 50000);
    CHECK(p.conn == NULL);
    CHECK_INT(p.gone_why, ERR_CLIENT_TIMEOUT);
    http_peer_fini(&p);
}

/* Its answer is out and says nothing of an end: the client will ask again here. */
TEST(the_rest_of_a_body_that_was_refused_early_has_the_same_grace)
{
    struct http_peer p;

    http_peer_init(&p);
    p.answer = ANSWER_ON_REQUEST;
    p.limits.idle_us = 60000000;
    p.limits.body_rate = 10;
    p.limits.body_grace_us = 3000000;
    http_peer_wait(&p, 10000000, 500000); /* longer than the grace since the clock began */
    http_peer_say(&p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    CHECK_INT(http_peer_got_n(&p, "Connection: close"), 0);
    http_peer_wait(&p, 1000000, 50000);
    http_peer_say(&p, "56789" GET);
    CHECK(p.conn != NULL);
    CHECK_INT(p.requests_n, 2);
    http_peer_fini(&p);
}
