/* SPDX-License-Identifier: MIT */
/* Which of a gateway's reads may wait for a rest of the loop: the events of a stream that a client is already
 * getting, and nothing else. */
#include "support/story.h"
#include "tap.h"

/* Sums up what the loop of the one worker has counted in its turns. */
struct watch {
    struct world *w;
    struct loop *turn; /* that runs */
    size_t events_n;
};

static void on_turn(void *ud, struct loop *l)
{
    struct watch *k = ud;

    if (l == NULL && k->w != NULL && k->turn == k->w->worker_loops[0])
        k->events_n += k->turn->spent.events;
    k->turn = l;
}

static void begin(struct watch *k)
{
    struct story s;

    *k = (struct watch){0};
    story_init(&s, STORY_ONE("openai", "/v1"));
    s.on_turn = on_turn;
    s.on_turn_ud = k;
    k->w = story_begin(&s);
}

static size_t events_of(struct watch *k, bool stream)
{
    size_t before = k->events_n;
    struct caller *c = story_ask(k->w, story_body("m", stream, "hello", NULL));

    CHECK(story_wait(k->w, c, 60 * STORY_S));
    CHECK_INT(c->status, 200);
    caller_free(&c);
    return k->events_n - before;
}

TEST(events_of_a_stream_under_way_may_wait_and_its_first_one_may_not)
{
    struct watch k;
    size_t tokens_n = story_length("hello"), n;

    begin(&k);
    n = events_of(&k, true);
    CHECK(n >= tokens_n - 1 && n <= tokens_n + 2); /* behind the first: the last ones share a read or not */
    story_end(&k.w);
}

TEST(a_plain_answer_may_not_also_where_a_stream_was_before)
{
    struct watch k;

    begin(&k);
    events_of(&k, true);
    CHECK_INT((int)events_of(&k, false), 0);
    CHECK(events_of(&k, true) > 0);
    story_end(&k.w);
}
