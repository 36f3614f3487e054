/* SPDX-License-Identifier: MIT */
/* The log of an answer: every subscriber gets every event once and in order, and may leave or be freed inside
 * any of its callbacks. */
#include "gateway/answer_log.h"

#include "base/mem.h"
#include "tap.h"

#define READERS_N 4

struct reader {
    struct subscriber s; /* first member */
    struct answer_log *log;
    char got[64];  /* b, the events' letters, e */
    char leave_at; /* leaves inside the callback of this letter */
    bool free_at_end;
    enum err err;
    int64_t length;
};

static void note(struct subscriber *s, char letter)
{
    struct reader *r = (struct reader *)s;
    size_t n = strlen(r->got);

    CHECK(n + 1 < sizeof r->got);
    r->got[n] = letter;
    if (letter == r->leave_at)
        answer_log_leave(r->log, s);
}

static void on_begin(struct subscriber *s, int64_t length)
{
    ((struct reader *)s)->length = length;
    note(s, 'b');
}

static void on_event(struct subscriber *s, struct slice bytes)
{
    CHECK_INT(bytes.n, 1);
    note(s, bytes.p[0]);
}

static void on_end(struct subscriber *s, const struct flight_end *end)
{
    struct reader *r = (struct reader *)s;

    r->err = end->err;
    note(s, 'e');
    if (r->free_at_end)
        mem_free(r);
}

static const struct subscriber_cb CB = {on_begin, on_event, on_end};

static void subscribe(struct answer_log *l, struct reader *r)
{
    r->log = l;
    answer_log_subscribe(l, &r->s, NULL, &CB);
}

static void append(struct answer_log *l, const char *letters)
{
    for (; *letters != '\0'; letters++)
        answer_log_append(l, (struct slice){letters, 1});
}

TEST(every_subscriber_gets_everything_once_and_in_order)
{
    static const struct flight_end COMPLETE = {.err = ERR_OK, .retry_after_us = -1};
    struct reader r[READERS_N] = {0};
    struct answer_log l;

    answer_log_init(&l);
    CHECK(answer_log_is_unread(&l));
    for (size_t i = 0; i < READERS_N; i++)
        subscribe(&l, &r[i]);
    CHECK(!answer_log_is_unread(&l));
    answer_log_begin(&l, 77);
    append(&l, "123");
    answer_log_end(&l, &COMPLETE);
    for (size_t i = 0; i < READERS_N; i++) {
        CHECK_STR(r[i].got, "b123e");
        CHECK_INT(r[i].length, 77);
        CHECK_INT(r[i].s.cursor, 3);
        CHECK_INT(r[i].err, ERR_OK);
    }
    CHECK(answer_log_is_unread(&l));
}

TEST(a_flight_that_fails_before_its_answer_ends_without_a_beginning)
{
    static const struct flight_end FULL = {.err = ERR_QUEUE_FULL, .retry_after_us = -1};
    struct reader r = {0};
    struct answer_log l;

    answer_log_init(&l);
    subscribe(&l, &r);
    answer_log_end(&l, &FULL);
    CHECK_STR(r.got, "e");
    CHECK_INT(r.err, ERR_QUEUE_FULL);
}

TEST(a_subscriber_may_leave_inside_any_callback_and_the_others_miss_nothing)
{
    static const struct flight_end COMPLETE = {.err = ERR_OK, .retry_after_us = -1};
    static const struct {
        char leave_at;
        const char *got;
    } ROWS[] = {{'b', "b"}, {'1', "b1"}, {'3', "b123"}};

    for (size_t row = 0; row < COUNT_OF(ROWS) * READERS_N; row++) {
        struct reader r[READERS_N] = {0};
        size_t leaver = row % READERS_N;
        struct answer_log l;

        answer_log_init(&l);
        for (size_t i = 0; i < READERS_N; i++)
            subscribe(&l, &r[i]);
        r[leaver].leave_at = ROWS[row / READERS_N].leave_at;
        answer_log_begin(&l, -1);
        append(&l, "123");
        answer_log_end(&l, &COMPLETE);
        for (size_t i = 0; i < READERS_N; i++)
            CHECK_STR(r[i].got, i == leaver ? ROWS[row / READERS_N].got : "b123e");
    }
}

TEST(the_last_one_to_leave_leaves_it_unread)
{
    struct reader r[2] = {0};
    struct answer_log l;

    answer_log_init(&l);
    subscribe(&l, &r[0]);
    subscribe(&l, &r[1]);
    answer_log_leave(&l, &r[0].s);
    CHECK(!answer_log_is_unread(&l));
    answer_log_begin(&l, -1);
    append(&l, "1");
    answer_log_leave(&l, &r[1].s);
    CHECK(answer_log_is_unread(&l));
    append(&l, "2"); /* to nobody */
    CHECK_STR(r[0].got, "");
    CHECK_STR(r[1].got, "b1");
}

TEST(one_that_wants_no_events_holds_the_log)
{
    struct reader r[2] = {0};
    struct answer_log l;

    answer_log_init(&l);
    subscribe(&l, &r[0]);
    subscribe(&l, &r[1]);
    CHECK(!answer_log_is_held(&l));
    r[1].s.held = true;
    CHECK(answer_log_is_held(&l));
    answer_log_leave(&l, &r[1].s);
    CHECK(!answer_log_is_held(&l));
    answer_log_leave(&l, &r[0].s);
}

TEST(the_memory_of_subscribers_may_go_at_the_end)
{
    static const struct flight_end COMPLETE = {.err = ERR_OK, .retry_after_us = -1};
    struct answer_log l;

    answer_log_init(&l);
    for (size_t i = 0; i < READERS_N; i++) {
        struct reader *r = MEM_NEW(struct reader);

        r->free_at_end = true;
        subscribe(&l, r);
    }
    answer_log_begin(&l, -1);
    append(&l, "1");
    answer_log_end(&l, &COMPLETE);
    CHECK(answer_log_is_unread(&l));
}
