/* SPDX-License-Identifier: MIT */
/* What a connection answers, byte by byte. */
#include "http/conn.h"

#include "support/http_peer.h"
#include "tap.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_1_0 "GET / HTTP/1.0\r\n\r\n"
#define GET_1_0_KEEP "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
#define HEAD "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"

/* A peer with a request in work. */
static void ask(struct http_peer *p, const char *text)
{
    http_peer_init(p);
    p->answer = ANSWER_LATER;
    http_peer_say(p, text);
    CHECK_INT(p->requests_n, 1);
}

/* Ends the turn and the exchange, and compares what the client got. */
static void expect(struct http_peer *p, const char *got, bool connection_lives)
{
    p->in_work = false;
    mem_turn(&p->stream, 0, SLICE_NONE);
    CHECK_STR(http_peer_got(p), got);
    CHECK_INT(p->conn != NULL, connection_lives);
    CHECK_INT(p->stream.finished, !connection_lives);
    http_peer_fini(p);
}

TEST(a_small_answer)
{
    const struct header headers[] = {{SLICE("Content-Type"), SLICE("application/json")},
                                     {SLICE("x-request-id"), SLICE("req_1")}};
    struct http_peer p;

    ask(&p, GET);
    conn_respond(p.conn, 404, headers, 2, SLICE("{}"));
    expect(&p,
           "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nx-request-id: req_1\r\n"
           "Content-Length: 2\r\n\r\n{}",
           true);
}

TEST(every_head_has_a_date)
{
    struct http_peer p;

    ask(&p, GET);
    conn_respond(p.conn, 200, NULL, 0, SLICE_NONE);
    p.in_work = false;
    mem_turn(&p.stream, 0, SLICE_NONE);
    CHECK_STR(mem_stream_text(&p.stream),
              "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 08:15:30 GMT\r\nContent-Length: 0\r\n\r\n");
    http_peer_fini(&p);
}

TEST(a_large_answer_goes_out_as_it_lies)
{
    static char body[10001];
    struct http_peer p;
    const char *got;

    memset(body, 'x', sizeof body - 1);
    ask(&p, GET);
    conn_respond(p.conn, 200, NULL, 0, slice_of(body));
    p.in_work = false;
    mem_turn(&p.stream, 0, SLICE_NONE);
    got = http_peer_got(&p);
    CHECK_INT(http_peer_got_n(&p, "\r\nContent-Length: 10000\r\n\r\nx"), 1);
    CHECK_STR(strstr(got, "\r\n\r\n") + 4, body);
    CHECK_INT(p.stream.pieces_n, 2);
    http_peer_fini(&p);
}

TEST(a_chunked_answer)
{
    struct http_peer p;

    ask(&p, GET);
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    CHECK(conn_head_sent(p.conn));
    conn_body(p.conn, SLICE("data: 0123456789\n\n"));
    conn_body(p.conn, SLICE(""));
    conn_body(p.conn, SLICE("x"));
    conn_end(p.conn);
    expect(&p,
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12\r\ndata: "
           "0123456789\n\n\r\n1\r\nx\r\n0\r\n\r\n",
           true);
}

TEST(sizes_of_chunks)
{
    static const size_t SIZES[] = {1, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, 4097, 65535, 65536};
    static char body[65536];

    memset(body, 'x', sizeof body);
    for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
        struct http_peer p;
        char want[32];
        const char *at;

        ask(&p, GET);
        conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
        conn_body(p.conn, (struct slice){body, SIZES[i]});
        conn_end(p.conn);
        p.in_work = false;
        mem_turn(&p.stream, 0, SLICE_NONE);
        at = strstr(http_peer_got(&p), "\r\n\r\n") + 4;
        snprintf(want, sizeof want, "%zx\r\n", SIZES[i]);
        CHECK(strncmp(at, want, strlen(want)) == 0);
        at += strlen(want);
        CHECK_INT(strspn(at, "x"), SIZES[i]);
        CHECK_STR(at + SIZES[i], "\r\n0\r\n\r\n");
        http_peer_fini(&p);
    }
}

TEST(http_1_0_gets_a_stream_until_close)
{
    struct http_peer p;

    ask(&p, GET_1_0_KEEP);
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    conn_body(p.conn, SLICE("data: x\n\n"));
    conn_end(p.conn);
    expect(&p, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndata: x\n\n", false);
}

TEST(http_1_0_keeps_a_connection_when_asked_to)
{
    struct http_peer p;

    ask(&p, GET_1_0_KEEP);
    conn_respond(p.conn, 200, NULL, 0, SLICE("ok"));
    expect(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", true);
    ask(&p, GET_1_0);
    conn_respond(p.conn, 200, NULL, 0, SLICE("ok"));
    expect(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false);
}

TEST(head_gets_no_body)
{
    struct http_peer p;

    ask(&p, HEAD);
    conn_respond(p.conn, 200, NULL, 0, SLICE("ok"));
    expect(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true);
    ask(&p, HEAD);
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    conn_body(p.conn, SLICE("x"));
    conn_end(p.conn);
    expect(&p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true);
    ask(&p, HEAD);
    conn_head(p.conn, 200, NULL, 0, 1000);
    conn_end(p.conn);
    expect(&p, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", true);
    ask(&p, HEAD);
    conn_head(p.conn, 200, NULL, 0, CONN_NO_BODY);
    conn_end(p.conn);
    expect(&p, "HTTP/1.1 200 OK\r\n\r\n", true);
}

TEST(answers_without_a_body)
{
    struct http_peer p;

    ask(&p, GET);
    conn_head(p.conn, 204, NULL, 0, CONN_NO_BODY);
    conn_end(p.conn);
    expect(&p, "HTTP/1.1 204 No Content\r\n\r\n", true);
    ask(&p, GET);
    conn_head(p.conn, 200, NULL, 0, CONN_NO_BODY);
    conn_end(p.conn);
    expect(&p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true);
    ask(&p, GET);
    conn_head(p.conn, 304, NULL, 0, CONN_CHUNKED);
    conn_end(p.conn);
    expect(&p, "HTTP/1.1 304 Not Modified\r\n\r\n", true);
}

TEST(nobody_can_split_a_head)
{
    const struct header headers[] = {
        {SLICE("x-one"), SLICE("a\r\nx-evil: 1\r\n\r\n<html>")},
        {SLICE("x-two"), SLICE("short\n")},
        {SLICE("x-three"), SLICE("\ttabs\tare fine, bytes above ASCII too: \xE6\xBD\xAE")},
        {SLICE("x-four"), {"a\0b", 3}}};
    struct http_peer p;

    ask(&p, GET);
    conn_respond(p.conn, 200, headers, 4, SLICE("ok"));
    expect(&p,
           "HTTP/1.1 200 OK\r\nx-one: a  x-evil: 1    <html>\r\nx-two: short \r\n"
           "x-three: \ttabs\tare fine, bytes above ASCII too: \xE6\xBD\xAE\r\nx-four: a b\r\n"
           "Content-Length: 2\r\n\r\nok",
           true);
}

TEST(close_after_is_announced_and_kept)
{
    struct http_peer p;

    ask(&p, GET GET);
    conn_close_after(p.conn);
    conn_respond(p.conn, 200, NULL, 0, SLICE("ok"));
    CHECK_INT(p.requests_n, 1);
    expect(&p, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false);
}

TEST(an_aborted_answer_has_no_end_mark)
{
    struct http_peer p;

    ask(&p, GET);
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    conn_body(p.conn, SLICE("x"));
    conn_abort(p.conn);
    CHECK_INT(p.gone_n, 0);
    expect(&p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", false);

    ask(&p, GET);
    conn_head(p.conn, 200, NULL, 0, 10);
    conn_body(p.conn, SLICE("x"));
    conn_abort(p.conn);
    expect(&p, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", false);
}

TEST(an_aborted_answer_that_ends_with_the_connection_still_says_what_was_queued)
{
    struct http_peer p;

    ask(&p, GET_1_0);
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    conn_body(p.conn, SLICE("x"));
    conn_abort(p.conn);
    expect(&p, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx", false);
}

TEST(an_answer_that_never_began_is_reset_too)
{
    struct http_peer p;

    ask(&p, GET);
    conn_abort(p.conn);
    CHECK(p.stream.closed && p.conn == NULL);
    p.in_work = false;
    http_peer_fini(&p);
}

TEST(pending_output_is_told_and_its_end_too)
{
    struct http_peer p;

    ask(&p, GET);
    p.stream.room_n = 20;
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    mem_turn(&p.stream, 0, SLICE_NONE);
    CHECK(conn_pending(p.conn) > 0);
    CHECK_INT(p.drains_n, 0);
    p.stream.room_n = SIZE_MAX;
    mem_turn(&p.stream, 0, SLICE_NONE);
    CHECK_INT(conn_pending(p.conn), 0);
    CHECK_INT(p.drains_n, 1);
    http_peer_fini(&p);
}

TEST(who_stopped_at_much_output_is_woken_although_it_went_out_at_once)
{
    static char body[4096];
    struct http_peer p;

    ask(&p, GET);
    loop_begin_turn(&p.loop, p.loop.now_us, p.loop.wall_us);
    conn_head(p.conn, 200, NULL, 0, CONN_CHUNKED);
    conn_body(p.conn, (struct slice){body, sizeof body});
    CHECK(conn_pending(p.conn) > sizeof body);
    loop_end_turn(&p.loop);
    CHECK_INT(conn_pending(p.conn), 0);
    http_peer_wait(&p, 10000, 1000);
    CHECK_INT(p.drains_n, 1);
    conn_body(p.conn, SLICE("small"));
    http_peer_wait(&p, 10000, 1000);
    CHECK_INT(p.drains_n, 1);
    http_peer_fini(&p);
}

TEST(refusals_without_an_owners_word_are_answered_all_the_same)
{
    static const struct conn_handler NOTHING = {NULL, NULL, NULL, NULL, NULL, NULL, NULL};
    const struct conn_limits limits = {2048, 4096, 1000000, 1000000, 1000000, 1000000, 0, 0};
    struct loop loop;
    struct mem_stream s;

    mem_loop_init(&loop);
    mem_stream_init(&s, &loop, 65536);
    conn_new(&s.stream, NULL, &limits, &NOTHING, NULL);
    mem_turn(&s, 0, SLICE("BREW / HTTP/1.1\r\n\r\n"));
    CHECK(strstr(mem_stream_text(&s), "HTTP/1.1 405 Method Not Allowed\r\n") == s.out.p);
    CHECK(s.finished);
    mem_loop_fini(&loop);
    mem_stream_fini(&s);
}

TEST(raw_bytes_stand_outside_of_all_framing)
{
    struct http_peer p;

    ask(&p, GET);
    conn_raw(p.conn, SLICE("no HTTP"));
    CHECK(conn_head_sent(p.conn));
    conn_raw(p.conn, SLICE_NONE);
    conn_abort(p.conn); /* in an orderly way: what was queued goes out */
    expect(&p, "no HTTP", false);
    ask(&p, GET);
    conn_head(p.conn, 200, NULL, 0, 3);
    conn_body(p.conn, SLICE("abc"));
    conn_raw(p.conn, SLICE("defg"));
    conn_end(p.conn);
    expect(&p, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdefg", true);
}
