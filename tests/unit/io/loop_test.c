/* SPDX-License-Identifier: MIT */
/* What a turn does and in which order, on a loop without io. */
#include "io/loop.h"

#include "base/clock.h"
#include "base/mem.h"
#include "support/mem_stream.h"
#include "tap.h"

/* Notes of what happened, one letter each. */
static char notes[64];

static void note(char c)
{
    size_t n = strlen(notes);

    if (CHECK(n + 1 < sizeof notes)) {
        notes[n] = c;
        notes[n + 1] = '\0';
    }
}

static void begin(struct loop *l)
{
    notes[0] = '\0';
    mem_loop_init(l);
}

struct thing {
    struct loop *loop;
    char letter;
    struct message message;
    struct timer timer;
    struct afterwards afterwards;
    struct thing *again; /* deferred by this one's end */
};

static void on_message(struct message *m)
{
    note(CONTAINER_OF(m, struct thing, message)->letter);
}

static void on_timer(struct timer *t)
{
    note(CONTAINER_OF(t, struct thing, timer)->letter);
}

static void on_afterwards(struct afterwards *a)
{
    struct thing *t = CONTAINER_OF(a, struct thing, afterwards);

    note(t->letter);
    if (t->again != NULL)
        loop_defer(t->loop, &t->again->afterwards, on_afterwards);
}

TEST(messages_come_before_timers_and_what_was_deferred_last)
{
    struct loop l;
    struct thing mail = {.letter = 'm'}, soon = {.letter = 't'}, later = {.letter = 'l'},
                 end = {.letter = 'e'};

    begin(&l);
    message_init(&mail.message, on_message);
    timer_init(&soon.timer, on_timer);
    timer_init(&later.timer, on_timer);
    CHECK(!loop_has_work(&l));
    loop_defer(&l, &end.afterwards, on_afterwards);
    CHECK(loop_has_work(&l));
    timer_set(&l.wheel, &soon.timer, l.now_us + CLOCK_MS_US);
    timer_set(&l.wheel, &later.timer, l.now_us + CLOCK_SECOND_US);
    mailbox_send(&l.mailbox, &mail.message);
    loop_begin_turn(&l, l.now_us + 2 * CLOCK_MS_US, l.wall_us + 7);
    CHECK_STR(notes, "mt");
    loop_end_turn(&l);
    CHECK_STR(notes, "mte");
    CHECK(!loop_has_work(&l)); /* a timer that is not due is none */
    CHECK_INT(l.turns, 1);
    timer_stop(&l.wheel, &later.timer);
    mem_loop_fini(&l);
}

TEST(mail_alone_is_work)
{
    struct loop l;
    struct thing mail = {.letter = 'm'};

    begin(&l);
    message_init(&mail.message, on_message);
    mailbox_send(&l.mailbox, &mail.message);
    CHECK(loop_has_work(&l));
    loop_begin_turn(&l, l.now_us, l.wall_us);
    loop_end_turn(&l);
    CHECK(!loop_has_work(&l));
    CHECK_STR(notes, "m");
    mem_loop_fini(&l);
}

TEST(what_is_deferred_while_deferred_things_run_runs_too)
{
    struct loop l;
    struct thing c = {.loop = &l, .letter = 'c'}, b = {.loop = &l, .letter = 'b', .again = &c},
                 a = {.loop = &l, .letter = 'a', .again = &b}, z = {.loop = &l, .letter = 'z'};

    begin(&l);
    loop_defer(&l, &a.afterwards, on_afterwards);
    loop_defer(&l, &z.afterwards, on_afterwards);
    loop_begin_turn(&l, l.now_us, l.wall_us);
    loop_end_turn(&l);
    CHECK_STR(notes, "azbc");
    mem_loop_fini(&l);
}

/* A stream whose flush does something else first. */
struct chained {
    struct stream stream; /* first member */
    char letter;
    struct stream *next; /* gets output from the flush */
    struct thing *end;   /* deferred by the flush */
};

static void on_flush(struct stream *s)
{
    struct chained *c = (struct chained *)s;

    note(c->letter);
    if (c->next != NULL)
        stream_send(c->next, SLICE("from a flush"));
    if (c->end != NULL)
        loop_defer(s->loop, &c->end->afterwards, on_afterwards);
    CHECK_INT(stream_sent(s, s->out_n), ERR_OK);
}

static void ignore_pause(struct stream *s, bool paused)
{
    (void)s;
    (void)paused;
}

static void ignore_close(struct stream *s, bool graceful)
{
    (void)s;
    (void)graceful;
}

static const struct stream_ops CHAINED_OPS = {on_flush, ignore_pause, ignore_close};

TEST(streams_that_become_dirty_in_the_flush_are_flushed_before_anything_is_freed)
{
    struct loop l;
    struct thing end = {.loop = &l, .letter = 'e'};
    struct chained a = {.letter = 'a'}, b = {.letter = 'b'};

    begin(&l);
    stream_init(&a.stream, &l, &CHAINED_OPS, 100);
    stream_init(&b.stream, &l, &CHAINED_OPS, 100);
    a.next = &b.stream;
    b.end = &end;
    stream_send(&a.stream, SLICE("x"));
    CHECK(loop_has_work(&l));
    loop_begin_turn(&l, l.now_us, l.wall_us);
    loop_end_turn(&l);
    CHECK_STR(notes, "abe");
    CHECK(!loop_has_work(&l));
    mem_loop_fini(&l);
}

TEST(the_memory_of_a_turn_lasts_until_its_end_and_is_reused)
{
    struct loop l;
    uint64_t allocs_n = 0;

    begin(&l);
    for (int turn = 0; turn < 100; turn++) {
        char *a, *b;

        loop_begin_turn(&l, l.now_us, l.wall_us);
        a = loop_scratch(&l, 1000);
        memset(a, 'a', 1000);
        b = loop_scratch(&l, 100000);
        memset(b, 'b', 100000);
        CHECK(a[0] == 'a' && a[999] == 'a');
        loop_end_turn(&l);
        if (turn == 10)
            allocs_n = mem_alloc_n();
    }
    CHECK_INT(mem_alloc_n() - allocs_n, 0);
    CHECK_INT(l.turns, 100);
    mem_loop_fini(&l);
}

TEST(a_turn_sets_both_clocks)
{
    struct loop l;

    begin(&l);
    loop_begin_turn(&l, l.now_us + 5, l.wall_us - 7); /* wall time may go back */
    CHECK_INT(l.now_us, 1000000005);
    CHECK_INT(l.wall_us, 1795335329999993);
    loop_end_turn(&l);
    mem_loop_fini(&l);
}

static struct loop *freed;

static void on_free(struct loop *l)
{
    freed = l;
}

TEST(freeing_asks_the_implementation_and_forgets)
{
    static const struct loop_ops OPS = {.free = on_free};
    struct loop l = {.ops = &OPS}, *p = &l;

    loop_free(&p);
    CHECK(p == NULL);
    CHECK(freed == &l);
    freed = NULL;
    loop_free(&p);
    CHECK(freed == NULL);
}
