/* SPDX-License-Identifier: MIT */
/* When acknowledgements may wait: decided on made-up reads, and tried on real connections to peers with and
 * without Nagle's algorithm. */
#include "io/acks.h"

#include <netinet/in.h>
#include <linux/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "real_kit.h"

#define MS CLOCK_MS_US
#define EVENT_BYTES 190

struct story {
    struct acks a;
    struct acks_record r;
    int64_t now_us;
};

/* A read that comes so long after the one before. */
static bool read_after(struct story *s, int64_t gap_ms)
{
    s->now_us += gap_ms * MS;
    return acks_read(&s->a, &s->r, EVENT_BYTES, s->now_us);
}

/* Reads until the kernel is asked to delay; how many that took, 0: more than `max`. */
static int reads_until_asked(struct story *s, int64_t gap_ms, int max)
{
    for (int i = 1; i <= max; i++) {
        if (read_after(s, gap_ms))
            return i;
    }
    return 0;
}

static struct story begin(void)
{
    return (struct story){.now_us = 1000 * MS};
}

TEST(asks_once_for_a_stream_whose_events_come_soon)
{
    struct story s = begin();

    CHECK(reads_until_asked(&s, 20, 10) > 0);
    for (int i = 0; i < 1000; i++)
        CHECK(!read_after(&s, 20));
    CHECK_INT(s.r.asked_n, 1);
}

TEST(asks_nothing_where_the_kernels_timer_would_end_it_at_once)
{
    struct story s = begin();

    CHECK_INT(reads_until_asked(&s, 40, 1000), 0);
    CHECK_INT(reads_until_asked(&s, 500, 1000), 0);
}

TEST(asks_again_after_a_pause_of_the_endpoint)
{
    struct story s = begin();

    CHECK(reads_until_asked(&s, 20, 10) > 0);
    for (int i = 0; i < 50; i++)
        CHECK(!read_after(&s, 20));
    CHECK(!read_after(&s, 3000));
    CHECK(reads_until_asked(&s, 20, 10) > 0);
    CHECK_INT(s.r.doubts, 0);
}

TEST(asks_ever_more_seldom_where_it_does_not_pay)
{
    struct story s = begin();

    for (int i = 0; i < 1000; i++) { /* five soon, one late: never acknowledged much less than at once */
        for (int j = 0; j < 5; j++)
            (void)read_after(&s, 20);
        (void)read_after(&s, 60);
    }
    CHECK(s.r.asked_n >= 1 && s.r.asked_n <= 4);
}

TEST(requests_and_replies_are_left_to_the_kernel)
{
    struct story s = begin();

    for (int i = 0; i < 1000; i++) {
        acks_sent(&s.a);
        CHECK(!read_after(&s, 3));
    }
    CHECK_INT(s.r.asked_n, 0);
}

TEST(a_peer_that_waits_is_found_out_after_two_pauses)
{
    struct story s = begin();

    for (int i = 0; i < 2; i++) {
        CHECK(reads_until_asked(&s, 20, 20) > 0);
        CHECK(!read_after(&s, 20)); /* sent before it noticed */
        CHECK(!read_after(&s, 41)); /* held until the kernel's timer */
    }
    CHECK_INT(reads_until_asked(&s, 20, 1000), 0);
}

TEST(large_reads_prove_nothing)
{
    struct story s = begin();

    CHECK(reads_until_asked(&s, 20, 10) > 0);
    for (int i = 0; i < 10; i++) { /* acknowledged at once, so the next one comes soon from anybody */
        s.now_us += 20 * MS;
        CHECK(!acks_read(&s.a, &s.r, 1200, s.now_us));
        CHECK_INT(s.a.delayed_n, 1);
    }
    CHECK(!read_after(&s, 20));
    CHECK(!read_after(&s, 41));
    CHECK_INT(s.a.doubts_n, 1);
}

/* Lets a fresh connection run into the kernel's timer, so often as given. */
static void doubt(struct story *s, int n)
{
    for (int i = 0; i < n; i++) {
        s->a = (struct acks){.read_us = s->now_us};
        CHECK(reads_until_asked(s, 20, 20) > 0);
        CHECK(!read_after(s, 20));
        CHECK(!read_after(s, 41));
    }
}

TEST(what_four_connections_found_out_spares_the_fifth_for_ten_minutes)
{
    struct story s = begin();

    doubt(&s, 4);
    s.a = (struct acks){0};
    CHECK_INT(reads_until_asked(&s, 20, 1000), 0);
    s.now_us += ACKS_REST_US;
    CHECK(reads_until_asked(&s, 20, 20) > 0);
}

TEST(one_that_did_not_wait_clears_the_endpoint)
{
    struct story s = begin();

    for (int i = 0; i < 10; i++) {
        doubt(&s, 3);
        s.a = (struct acks){.read_us = s.now_us};
        CHECK(reads_until_asked(&s, 20, 20) > 0);
        CHECK(!read_after(&s, 20));
        CHECK(!read_after(&s, 20));
        CHECK_INT(s.r.doubts, 0);
    }
}

TEST(one_stall_of_many_streams_is_one_doubt)
{
    struct story s[8];

    struct acks_record r = {0};

    for (int i = 0; i < 8; i++) {
        s[i] = begin();
        s[i].r = r;
        CHECK(reads_until_asked(&s[i], 20, 10) > 0);
        CHECK(!read_after(&s[i], 20));
        CHECK(!read_after(&s[i], 50));
        r = s[i].r;
    }
    CHECK_INT(r.doubts, 1);
    CHECK_INT(r.prompt_until_us, 0);
}

TEST(switched_off_is_off)
{
    struct story s = begin();

    s.r.off = true;
    CHECK_INT(reads_until_asked(&s, 20, 1000), 0);
}

/* -- real connections ------------------------------------------------------------------------------------ */

/* An endpoint on a thread of its own: takes one connection and sends it an event every few milliseconds. */
struct peer {
    pthread_t thread;
    int listener;
    bool nagle;
    int events_n, pace_ms;
    uint32_t segments_n; /* that came back: acknowledgements */
};

static void *serve(void *ud)
{
    struct peer *p = ud;
    char event[EVENT_BYTES] = {0}, end;
    struct tcp_info info = {0};
    socklen_t n = sizeof info;
    int fd = accept(p->listener, NULL, NULL), nodelay = !p->nagle;

    CHECK(fd >= 0);
    CHECK_INT(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, sizeof nodelay), 0);
    for (int i = 0; i < p->events_n; i++) {
        struct timespec pause = {0, p->pace_ms * 1000000};

        CHECK_INT(send(fd, event, sizeof event, MSG_NOSIGNAL), (int)sizeof event);
        nanosleep(&pause, NULL);
    }
    CHECK_INT(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
    p->segments_n = info.tcpi_segs_in;
    CHECK_INT(recv(fd, &end, 1, 0), 0); /* until the other side has all of it */
    close(fd);
    return NULL;
}

/* Reads everything that such a peer sends. */
static void stream_from(struct peer *p, struct acks_record *r)
{
    struct kit k;
    struct side x = {0};
    struct addr at;

    CHECK_INT(addr_parse(SLICE("127.0.0.1:0"), &at), ERR_OK);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(p->listener, (struct sockaddr *)&at.ss, at.n), 0);
    CHECK_INT(listen(p->listener, 1), 0);
    CHECK_INT(getsockname(p->listener, (struct sockaddr *)&at.ss, &at.n), 0);
    CHECK_INT(pthread_create(&p->thread, NULL, serve, p), 0);
    kit_init(&k);
    k.l->ops->unlisten(&k.ls);
    k.at = at;
    kit_connect(&k, &x);
    x.s->acks = r;
    kit_until(&k, &x.got_n, (size_t)p->events_n * EVENT_BYTES);
    stream_close(&x.s);
    pthread_join(p->thread, NULL);
    close(p->listener);
    kit_fini(&k);
}

TEST(a_real_peer_gets_fewer_acknowledgements)
{
    struct peer prompt = {.events_n = 200, .pace_ms = 2}, later = prompt;
    struct acks_record off = {.off = true}, on = {0};

    stream_from(&prompt, &off);
    stream_from(&later, &on);
    CHECK_INT(off.asked_n, 0);
    CHECK(on.asked_n >= 1);
    CHECK(later.segments_n * 4 < prompt.segments_n * 3);
}

/* Asked for without end it would be told to delay some forty times, and held up as often. */
TEST(a_real_peer_with_nagle_is_left_alone_soon)
{
    struct peer p = {.nagle = true, .events_n = 1000, .pace_ms = 2};
    struct acks_record r = {0};

    stream_from(&p, &r);
    CHECK(r.asked_n >= 1 && r.asked_n <= 10);
}
