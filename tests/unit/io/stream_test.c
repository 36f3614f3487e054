/* SPDX-License-Identifier: MIT */
/* What all streams share: queueing a turn's output, counting what went out, keeping the rest, telling the
 * owner. The stream under test has no implementation but what the test does in its stead. */
#include "io/stream.h"

#include <sys/uio.h>

#include "base/budget.h"
#include "base/warm.h"
#include "support/mem_stream.h"
#include "tap.h"

#define PENDING_MAX ((size_t)10000)

struct bare {
    struct stream stream; /* first member */
    struct loop loop;
    struct budget budget;
    size_t flushes_n, closes_n, finishes_n, pauses_n, resumes_n;
    /* what its owner was told */
    size_t opens_n, datas_n, drains_n, ends_n;
    enum err why;
};

/* Takes nothing: everything has to wait. */
static void on_flush(struct stream *s)
{
    ((struct bare *)s)->flushes_n++;
    CHECK_INT(stream_sent(s, 0), ERR_OK);
}

static void on_pause(struct stream *s, bool paused)
{
    struct bare *b = (struct bare *)s;

    b->pauses_n += paused;
    b->resumes_n += !paused;
}

static void on_let_go(struct stream *s, bool graceful)
{
    struct bare *b = (struct bare *)s;

    b->finishes_n += graceful;
    b->closes_n += !graceful;
}

static const struct stream_ops BARE_OPS = {on_flush, on_pause, on_let_go};

static void on_open(void *ud)
{
    ((struct bare *)ud)->opens_n++;
}

static void on_data(void *ud, struct slice bytes)
{
    (void)bytes;
    ((struct bare *)ud)->datas_n++;
}

static void on_drain(void *ud)
{
    ((struct bare *)ud)->drains_n++;
}

static void on_close(void *ud, enum err why)
{
    struct bare *b = ud;

    b->ends_n++;
    b->why = why;
}

static const struct stream_cb ALL_CB = {on_open, on_data, on_drain, on_close};
static const struct stream_cb NO_CB = {NULL, NULL, NULL, NULL};

static struct stream *bare_init(struct bare *b)
{
    memset(b, 0, sizeof *b);
    mem_loop_init(&b->loop);
    budget_init(&b->budget, 1 << 20);
    b->loop.budget = &b->budget;
    stream_init(&b->stream, &b->loop, &BARE_OPS, PENDING_MAX);
    b->stream.open = true;
    stream_set_cb(&b->stream, &ALL_CB, b);
    return &b->stream;
}

static void bare_fini(struct bare *b)
{
    list_remove(&b->stream.dirty_node);
    chunks_fini(&b->stream.pending);
    CHECK_INT(budget_used(&b->budget), 0);
    mem_loop_fini(&b->loop);
}

/* What would go out now, joined, with at most `max` pieces. */
static struct slice gathered(struct bare *b, size_t max, size_t *pieces_n)
{
    struct iovec iov[64];
    size_t total, n = stream_gather(&b->stream, iov, max, &total), at = 0;
    char *out = loop_scratch(&b->loop, total + 1);

    for (size_t i = 0; i < n; i++) {
        memcpy(out + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    CHECK_INT(at, total);
    out[at] = '\0';
    *pieces_n = n;
    return (struct slice){out, at};
}

static void send_text(struct stream *s, const char *text)
{
    stream_send(s, slice_of(text));
}

/* -- queueing ------------------------------------------------------------------------------------------- */

TEST(pieces_that_follow_each_other_in_memory_are_joined)
{
    static const char TEXT[] = "one two three four";
    struct bare b;
    struct stream *s = bare_init(&b);
    size_t n;

    stream_send(s, (struct slice){TEXT, 4});
    stream_send(s, (struct slice){TEXT + 4, 4});
    CHECK_STR(gathered(&b, 64, &n).p, "one two ");
    CHECK_INT(n, 1);
    stream_send(s, (struct slice){TEXT + 14, 4}); /* a gap */
    stream_send(s, (struct slice){TEXT + 8, 6});  /* before the last */
    CHECK_STR(gathered(&b, 64, &n).p, "one two fourthree ");
    CHECK_INT(n, 3);
    CHECK_INT(stream_pending(s), 18);
    bare_fini(&b);
}

TEST(an_empty_piece_is_nothing)
{
    struct bare b;
    struct stream *s = bare_init(&b);
    size_t n;

    stream_send(s, SLICE_NONE);
    stream_send(s, SLICE(""));
    CHECK(list_empty(&b.loop.dirty));
    CHECK_INT(gathered(&b, 64, &n).n, 0);
    CHECK_INT(n, 0);
    CHECK_INT(stream_pending(s), 0);
    bare_fini(&b);
}

TEST(a_stream_is_flushed_once_in_a_turn)
{
    struct bare b;
    struct stream *s = bare_init(&b);

    send_text(s, "a");
    send_text(s, "b");
    CHECK_INT(b.flushes_n, 0);
    loop_end_turn(&b.loop);
    CHECK_INT(b.flushes_n, 1);
    loop_end_turn(&b.loop);
    CHECK_INT(b.flushes_n, 1); /* what waits is the implementation's to send */
    bare_fini(&b);
}

/* -- what went out -------------------------------------------------------------------------------------- */

TEST(every_split_of_what_went_out_keeps_the_rest_in_order)
{
    static const char *const PIECES[] = {"alpha ", "beta ", "gamma ", "delta"};
    const char *whole = "alpha beta gamma delta";

    for (size_t first = 0; first <= strlen(whole); first++) {
        for (size_t second = first; second <= strlen(whole); second++) {
            struct bare b;
            struct stream *s = bare_init(&b);
            size_t n;

            for (size_t i = 0; i < COUNT_OF(PIECES); i++)
                send_text(s, PIECES[i]);
            CHECK_INT(stream_sent(s, first), ERR_OK);
            CHECK_STR(gathered(&b, 64, &n).p, whole + first);
            CHECK_INT(stream_pending(s), strlen(whole) - first);
            CHECK_INT(stream_sent(s, second - first), ERR_OK);
            CHECK_STR(gathered(&b, 64, &n).p, whole + second);
            CHECK_INT(stream_pending(s), strlen(whole) - second);
            bare_fini(&b);
        }
    }
}

TEST(new_output_stands_behind_what_waits)
{
    struct bare b;
    struct stream *s = bare_init(&b);
    size_t n;

    send_text(s, "waits, ");
    CHECK_INT(stream_sent(s, 2), ERR_OK);
    loop_end_turn(&b.loop); /* the memory of that turn is gone */
    send_text(s, "follows");
    CHECK_STR(gathered(&b, 64, &n).p, "its, follows");
    CHECK_INT(n, 2);
    CHECK_INT(stream_sent(s, 7), ERR_OK); /* all that waited and a bit */
    CHECK_STR(gathered(&b, 64, &n).p, "llows");
    CHECK_INT(n, 1);
    bare_fini(&b);
}

TEST(nothing_overtakes_what_does_not_fit_into_one_gather)
{
    struct bare b;
    struct stream *s = bare_init(&b);
    char *big = loop_scratch(&b.loop, 9500);
    size_t n;

    memset(big, 'x', 9500);
    stream_send(s, (struct slice){big, 3000});
    CHECK_INT(stream_sent(s, 0), ERR_OK);
    stream_send(s, (struct slice){big, 6500});
    CHECK_INT(stream_sent(s, 0), ERR_OK); /* several chunks wait now */
    send_text(s, "the last");
    CHECK(gathered(&b, 64, &n).n == 9508 && n > 2);
    struct slice front = gathered(&b, 1, &n);
    CHECK_INT(n, 1);
    CHECK(slice_find(front, SLICE("the")) < 0);
    CHECK_INT(stream_sent(s, front.n), ERR_OK); /* keeps the rest, the new piece at its end */
    struct slice rest = gathered(&b, 64, &n);
    CHECK_INT(rest.n, 9508 - front.n);
    CHECK(slice_ends(rest, SLICE("xthe last")));
    bare_fini(&b);
}

TEST(more_pieces_than_one_gather_takes_go_in_turn)
{
    struct bare b;
    struct stream *s = bare_init(&b);
    size_t n;

    for (int i = 0; i < 10; i++)
        send_text(s, i % 2 == 0 ? "even " : "odd ");
    CHECK_STR(gathered(&b, 3, &n).p, "even odd even ");
    CHECK_INT(n, 3);
    CHECK_INT(stream_sent(s, 14), ERR_OK);
    CHECK_STR(gathered(&b, 64, &n).p, "odd even odd even odd even odd ");
    CHECK_INT(n, 1); /* it waits in one chunk now */
    bare_fini(&b);
}

TEST(output_of_an_upper_stream_counts_what_is_below_it)
{
    struct bare lower, upper;
    struct stream *l = bare_init(&lower), *u = bare_init(&upper);

    u->below = l;
    send_text(l, "12345");
    CHECK_INT(stream_pending(u), 5);
    send_text(u, "678");
    CHECK_INT(stream_pending(u), 8);
    CHECK_INT(stream_pending(l), 5);
    bare_fini(&upper);
    bare_fini(&lower);
}

/* -- bounds --------------------------------------------------------------------------------------------- */

TEST(what_waits_is_bounded)
{
    struct bare b;
    struct stream *s = bare_init(&b);
    char *big = loop_scratch(&b.loop, PENDING_MAX + 1);

    memset(big, 'x', PENDING_MAX + 1);
    stream_send(s, (struct slice){big, PENDING_MAX + 1});
    CHECK_INT(stream_sent(s, 1), ERR_OK); /* exactly the bound */
    CHECK_INT(stream_pending(s), PENDING_MAX);
    send_text(s, "!");
    CHECK_INT(stream_sent(s, 0), ERR_TOO_LARGE);
    CHECK_INT(stream_pending(s), PENDING_MAX); /* what waited before is still whole */
    bare_fini(&b);
}

TEST(what_waits_is_charged_and_given_back)
{
    struct bare b;
    struct stream *s = bare_init(&b);
    uint64_t used;

    stream_send(s, (struct slice){loop_scratch(&b.loop, 6000), 6000});
    CHECK_INT(budget_used(&b.budget), 0); /* the turn's memory is the loop's */
    CHECK_INT(stream_sent(s, 1000), ERR_OK);
    used = budget_used(&b.budget);
    CHECK(used >= 5000 && used <= 16384);
    CHECK_INT(stream_sent(s, 4999), ERR_OK);
    CHECK(budget_used(&b.budget) > 0);
    CHECK_INT(stream_sent(s, 1), ERR_OK);
    CHECK_INT(budget_used(&b.budget), 0);
    bare_fini(&b);
}

TEST(a_budget_that_is_used_up_refuses)
{
    struct bare b;
    struct stream *s = bare_init(&b);

    CHECK(budget_charge(&b.budget, 1 << 20));
    send_text(s, "no room");
    CHECK_INT(stream_sent(s, 6), ERR_MEMORY_BUDGET);
    CHECK_INT(stream_pending(s), 0);
    send_text(s, "sent");
    CHECK_INT(stream_sent(s, 4), ERR_OK); /* what goes out at once needs none */
    budget_release(&b.budget, 1 << 20);
    bare_fini(&b);
}

/* -- telling the owner ---------------------------------------------------------------------------------- */

TEST(the_end_is_told_once_and_drops_the_output)
{
    struct bare b;
    struct stream *s = bare_init(&b);

    send_text(s, "lost");
    stream_ended(s, ERR_RESET);
    stream_ended(s, ERR_EOF);
    stream_deliver(s, SLICE("late"));
    stream_drained(s);
    send_text(s, "later");
    CHECK_INT(b.ends_n, 1);
    CHECK_INT(b.why, ERR_RESET);
    CHECK_INT(b.datas_n + b.drains_n, 0);
    CHECK_INT(stream_pending(s), 0);
    CHECK(list_empty(&b.loop.dirty));
    stream_pause(s); /* of no effect on what has ended */
    stream_resume(s);
    CHECK_INT(b.pauses_n + b.resumes_n, 0);
    stream_finish(&s); /* nothing is left to finish */
    CHECK(s == NULL);
    CHECK_INT(b.closes_n, 1);
    CHECK_INT(b.finishes_n, 0);
    bare_fini(&b);
}

TEST(no_callback_comes_after_letting_go)
{
    for (int graceful = 0; graceful < 2; graceful++) {
        struct bare b;
        struct stream *s = bare_init(&b);

        send_text(s, "last");
        if (graceful)
            stream_finish(&s);
        else
            stream_close(&s);
        CHECK(s == NULL);
        CHECK_INT(b.finishes_n, graceful);
        CHECK_INT(b.closes_n, !graceful);
        CHECK_INT(stream_pending(&b.stream), graceful ? 4 : 0);
        stream_opened(&b.stream);
        stream_deliver(&b.stream, SLICE("late"));
        stream_drained(&b.stream);
        stream_ended(&b.stream, ERR_EOF);
        CHECK_INT(b.opens_n + b.datas_n + b.drains_n + b.ends_n, 0);
        stream_close(&s); /* of nothing: nothing */
        stream_finish(&s);
        CHECK_INT(b.finishes_n + b.closes_n, 1);
        bare_fini(&b);
    }
}

TEST(a_stream_that_never_opened_cannot_finish)
{
    struct bare b;
    struct stream *s = bare_init(&b);

    s->open = false;
    send_text(s, "never");
    stream_finish(&s);
    CHECK_INT(b.closes_n, 1);
    CHECK_INT(b.finishes_n, 0);
    CHECK_INT(stream_pending(&b.stream), 0);
    bare_fini(&b);
}

TEST(callbacks_may_be_left_out)
{
    struct bare b;
    struct stream *s = bare_init(&b);

    stream_set_cb(s, &NO_CB, NULL);
    stream_opened(s);
    stream_deliver(s, SLICE("bytes"));
    stream_drained(s);
    stream_ended(s, ERR_EOF);
    CHECK(s->open && s->ended);
    bare_fini(&b);
}

TEST(pausing_twice_is_pausing_once)
{
    struct bare b;
    struct stream *s = bare_init(&b);

    stream_resume(s);
    stream_pause(s);
    stream_pause(s);
    CHECK_INT(b.pauses_n, 1);
    stream_resume(s);
    stream_resume(s);
    CHECK_INT(b.resumes_n, 1);
    bare_fini(&b);
}

TEST(what_its_bytes_will_touch_is_noted_where_the_kernel_is_read)
{
    struct bare above, below;
    struct stream *s = bare_init(&above), *lower = bare_init(&below);
    struct warm w = {0};

    stream_touches(s, &above, 0, 1); /* nothing is read ahead for it: nothing is noted */
    s->below = lower;
    lower->warm = &w;
    stream_touches(s, &above, 0, 1);
    stream_touches(lower, &below, 0, 1);
    CHECK_INT(w.n, 2);
    stream_set_cb(s, &NO_CB, NULL); /* another owner: other objects */
    CHECK_INT(w.n, 0);
    stream_leads_to(lower, s); /* and what carries it */
    CHECK_INT(w.n, 2);
    s->below = NULL;
    bare_fini(&above);
    bare_fini(&below);
}

TEST(what_comes_of_a_stream_under_way_is_counted_where_the_kernel_is_read)
{
    struct bare above, below;
    struct stream *s = bare_init(&above), *lower = bare_init(&below);
    size_t *events = &below.loop.spent.events;

    s->below = lower;
    stream_set_cb(lower, &ALL_CB, &below);
    stream_deliver(lower, SLICE("x"));
    CHECK_INT((int)*events, 0);
    stream_is_under_way(s);
    stream_deliver(lower, SLICE("x"));
    stream_deliver(lower, SLICE("x"));
    CHECK_INT((int)*events, 2);
    stream_set_cb(s, &NO_CB, NULL); /* another owner, who may be in a hurry */
    stream_deliver(lower, SLICE("x"));
    CHECK_INT((int)*events, 2);
    s->below = NULL;
    bare_fini(&above);
    bare_fini(&below);
}
