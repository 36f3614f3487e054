/* SPDX-License-Identifier: MIT */
/* TCP streams over loopback: bytes, back-pressure both ways, and many of them. How they end is in
 * tcp_end_test.c. */

#include "base/budget.h"
#include "real_kit.h"

/* More than two kernels' buffers hold. */
#define MUCH ((size_t)64 * 1024 * 1024)

TEST(echoes_one_byte_and_many)
{
    static const size_t SIZES[] = {1, 100, 8191, 32 * 1024, 32 * 1024 + 1, 3000000};
    struct kit k;

    kit_init(&k);
    k.model.echo = k.model.let_go = true;
    for (size_t i = 0; i < COUNT_OF(SIZES); i++) {
        struct slice bytes = noise(SIZES[i], i);
        struct side x = {.greet = bytes, .expect = bytes};

        kit_pair(&k, &x);
        kit_until(&k, &x.got_n, bytes.n);
        CHECK_INT(x.got_n, bytes.n);
        CHECK(!x.differs);
        CHECK_INT(x.closes_n, 0);
        CHECK_INT(stream_pending(x.s), 0);
        stream_close(&x.s);
        kit_until(&k, &k.accepted->closes_n, 1);
        CHECK_INT(k.accepted->why, ERR_EOF);
        noise_free(bytes);
    }
    kit_fini(&k);
}

TEST(what_is_sent_before_the_connection_stands_waits_for_it)
{
    struct kit k;
    struct side x = {0};

    kit_init(&k);
    kit_connect(&k, &x);
    stream_send(x.s, SLICE("early"));
    CHECK_INT(stream_pending(x.s), 5);
    kit_until(&k, &x.opens_n, 1);
    kit_until(&k, &k.accepts_n, 1);
    kit_until(&k, &k.accepted->got_n, 5);
    CHECK(k.accepted->hash == hash_of(SLICE("early")));
    stream_close(&x.s);
    kit_fini(&k);
}

TEST(many_pieces_of_a_turn_arrive_in_order)
{
    static const size_t PIECE_BYTES[] = {1, 7, 1000, 9000};
    struct kit k;
    struct slice bytes = noise(200 * 9001, 5);

    kit_init(&k);
    for (size_t i = 0; i < COUNT_OF(PIECE_BYTES); i++) {
        struct side x = {0}, whole = {0}, *y = kit_pair(&k, &x);

        for (size_t j = 0; j < 200; j++) { /* a gap between them, so that they are not joined */
            struct slice piece = {bytes.p + j * (PIECE_BYTES[i] + 1), PIECE_BYTES[i]};

            stream_send(x.s, piece);
            side_note(&whole, piece);
        }
        kit_until(&k, &y->got_n, 200 * PIECE_BYTES[i]);
        CHECK(y->hash == whole.hash);
        stream_close(&x.s);
    }
    noise_free(bytes);
    kit_fini(&k);
}

/* A sender that does as the gateway's own do: it goes on when nothing is pending. */
struct source_of_bytes {
    struct side *side;
    struct slice bytes;
    size_t sent, most_pending;
    struct timer timer;
};

#define STEP ((size_t)100000)

static void pour(struct timer *t)
{
    struct source_of_bytes *b = CONTAINER_OF(t, struct source_of_bytes, timer);
    struct stream *s = b->side->s;
    size_t left = b->bytes.n - b->sent, n = left < STEP ? left : STEP;

    if (stream_pending(s) == 0) {
        stream_send(s, (struct slice){b->bytes.p + b->sent, n});
        b->sent += n;
    }
    if (stream_pending(s) > b->most_pending)
        b->most_pending = stream_pending(s);
    if (b->sent < b->bytes.n)
        timer_set(&s->loop->wheel, t, s->loop->now_us);
}

static void start_pouring(struct source_of_bytes *b, struct side *x, struct slice bytes)
{
    *b = (struct source_of_bytes){.side = x, .bytes = bytes};
    timer_init(&b->timer, pour);
    timer_set(&x->s->loop->wheel, &b->timer, 0);
}

TEST(a_reader_that_pauses_holds_the_sender_back_both_ways)
{
    struct kit k;
    struct side x = {0}, *y;
    struct slice up = noise(MUCH, 1), down = noise(MUCH, 2);
    struct source_of_bytes a, b;

    kit_init(&k);
    y = kit_pair(&k, &x);
    x.expect = down;
    y->expect = up;
    stream_pause(x.s);
    stream_pause(y->s);
    start_pouring(&a, &x, up);
    start_pouring(&b, y, down);
    while (a.sent < MUCH && b.sent < MUCH && (stream_pending(x.s) == 0 || stream_pending(y->s) == 0))
        kit_rest(&k, CLOCK_MS_US);
    CHECK_INT(x.got_n + y->got_n, 0);
    CHECK(a.sent < MUCH && b.sent < MUCH); /* the kernel's buffers are full */
    stream_resume(x.s);
    kit_until(&k, &x.got_n, MUCH);
    CHECK_INT(y->got_n, 0);
    stream_resume(y->s);
    kit_until(&k, &y->got_n, MUCH);
    CHECK(!x.differs && !y->differs);
    CHECK(a.most_pending <= STEP && b.most_pending <= STEP);
    CHECK(x.drains_n > 0 && y->drains_n > 0);
    CHECK_INT(stream_pending(x.s) + stream_pending(y->s), 0);
    stream_close(&x.s);
    kit_fini(&k);
    noise_free(up);
    noise_free(down);
}

TEST(pending_output_is_bounded_and_charged)
{
    struct kit k;
    struct budget budget;
    struct side x = {0}, *y;
    struct slice bytes = noise(2 * PENDING_MAX, 1);

    budget_init(&budget, 1 << 30);
    kit_init_with(&k, &(struct real_opts){.seed = 1, .budget = &budget, .pending_max = PENDING_MAX});
    k.pause_accepted = true;
    y = kit_pair(&k, &x);
    while (x.closes_n == 0 && stream_pending(x.s) == 0) { /* fills the kernel's buffers */
        stream_send(x.s, (struct slice){bytes.p, PENDING_MAX});
        kit_rest(&k, CLOCK_MS_US);
    }
    CHECK_INT(x.closes_n, 0);
    CHECK(budget_used(&budget) >= stream_pending(x.s));
    CHECK(stream_pending(x.s) <= PENDING_MAX);
    stream_send(x.s, bytes);
    kit_until(&k, &x.closes_n, 1);
    CHECK_INT(x.why, ERR_TOO_LARGE);
    CHECK_INT(budget_used(&budget), 0); /* nobody needs it any more */
    stream_close(&x.s);
    CHECK_INT(y->got_n, 0);
    kit_fini(&k);
    noise_free(bytes);
}

TEST(a_paused_accepted_stream_sees_its_client_leave)
{
    struct kit k;
    struct side x = {0}, *y;

    kit_init(&k);
    k.pause_accepted = true;
    y = kit_pair(&k, &x);
    stream_send(x.s, SLICE("unread"));
    CHECK(kit_rest(&k, 50 * CLOCK_MS_US) <= IDLE_TURNS_MAX); /* bytes alone wake nobody */
    CHECK_INT(y->closes_n, 0);
    stream_close(&x.s);
    kit_until(&k, &y->closes_n, 1);
    CHECK_INT(y->why, ERR_EOF);
    CHECK_INT(y->got_n, 0);
    CHECK(kit_rest(&k, 50 * CLOCK_MS_US) <= IDLE_TURNS_MAX); /* nor does an end that was told */
    kit_fini(&k);
}

TEST(a_paused_connected_stream_loses_nothing_and_does_not_spin)
{
    struct slice bytes = noise(100000, 3);
    struct kit k;
    struct side x = {0}, *y;

    kit_init(&k);
    y = pair_that_waits(&k, &x, bytes);
    stream_finish(&y->s);
    CHECK(kit_rest(&k, 100 * CLOCK_MS_US) <= IDLE_TURNS_MAX);
    CHECK_INT(x.closes_n + x.got_n, 0);
    stream_resume(x.s);
    kit_until(&k, &x.closes_n, 1);
    CHECK_INT(x.why, ERR_EOF);
    CHECK_INT(x.got_n, bytes.n);
    CHECK(x.hash == hash_of(bytes));
    stream_close(&x.s);
    kit_fini(&k);
    noise_free(bytes);
}

TEST(what_came_before_a_reset_is_read_while_output_is_blocked)
{
    struct slice bytes = noise(100000, 3), much = noise(PENDING_MAX, 4);

    for (int paused = 0; paused < 2; paused++) {
        struct kit k;
        struct side x = {0}, *y;

        kit_init(&k);
        k.pause_accepted = true;
        y = pair_that_waits(&k, &x, bytes);
        stream_send(x.s, much);
        kit_rest(&k, 20 * CLOCK_MS_US);
        CHECK(stream_pending(x.s) > 0);
        CHECK_INT(stream_pending(y->s), 0); /* all of it is on its way */
        if (!paused)
            stream_resume(x.s);
        stream_close(&y->s); /* with much unread: a reset */
        if (paused) {
            CHECK(kit_rest(&k, 50 * CLOCK_MS_US) <= IDLE_TURNS_MAX);
            CHECK_INT(x.closes_n, 0);
            stream_resume(x.s);
        }
        kit_until(&k, &x.closes_n, 1);
        CHECK_INT(x.why, ERR_RESET);
        CHECK_INT(x.got_n, bytes.n);
        CHECK(x.hash == hash_of(bytes));
        CHECK_INT(stream_pending(x.s), 0);
        stream_close(&x.s);
        kit_fini(&k);
    }
    noise_free(bytes);
    noise_free(much);
}

/* -- many ----------------------------------------------------------------------------------------------- */

#define SHORT_N 2000
#define AT_ONCE 20

struct shorts;

struct one_short {
    struct side side; /* first member */
    struct shorts *of;
};

struct shorts {
    struct kit *kit;
    struct one_short places[AT_ONCE];
    size_t started_n, done_n;
};

static const struct stream_cb SHORT_CB;

static void start_short(struct shorts *m, struct one_short *x)
{
    if (m->started_n == SHORT_N)
        return;
    m->started_n++;
    *x = (struct one_short){.side = {.greet = SLICE("short")}, .of = m};
    kit_connect(m->kit, &x->side);
    stream_set_cb(x->side.s, &SHORT_CB, x);
}

static void on_short_closed(void *ud, enum err why)
{
    struct one_short *x = ud;

    x->of->done_n += why == ERR_EOF && x->side.got_n == 5;
    stream_close(&x->side.s);
    kit_look(x->of->kit);
    start_short(x->of, x);
}

static const struct stream_cb SHORT_CB = {side_opened, side_data, NULL, on_short_closed};

TEST(thousands_of_short_connections_leave_nothing)
{
    struct kit k;
    struct shorts m = {.kit = &k};
    int fd_before, fd_after;

    kit_init(&k);
    k.model.finish_on_data = true;
    fd_before = dup(0);
    for (size_t i = 0; i < AT_ONCE; i++)
        start_short(&m, &m.places[i]);
    kit_until(&k, &m.done_n, SHORT_N);
    CHECK_INT(k.accepts_n, SHORT_N);
    kit_rest(&k, 20 * CLOCK_MS_US); /* the last ones see each other's end */
    CHECK_INT(real_of(k.l)->tcp_n, 1);
    CHECK_INT(k.l->finishing_n, 0);
    fd_after = dup(0);
    CHECK_INT(fd_after, fd_before + 1); /* no descriptor is still taken */
    close(fd_before);
    close(fd_after);
    kit_fini(&k);
}
