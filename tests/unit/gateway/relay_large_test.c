/* SPDX-License-Identifier: MIT */
/* Large events without a gateway around them: the helper's work, what the relay makes of it, and neither
 * with memory enough. */
#include "gateway/judging.h"

#include "base/mem.h"
#include "base/reserve.h"
#include "llm/surface.h"
#include "tap.h"

#define LARGE ((size_t)600 * 1024)
#define TEXT_MAX (64 * 1024 * 1024)
#define EVENT_MAX 1024
#define TOKEN "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"

/* An event with n bytes of text in `where`, a member of the delta. */
static void add_event_of(struct buf *b, const char *where, size_t n, const char *more)
{
    CHECK_INT(buf_printf(b, "data: {\"choices\":[{\"index\":0,\"delta\":{\"%s\":\"", where), ERR_OK);
    CHECK_INT(buf_reserve(b, n), ERR_OK);
    memset(b->p + b->n, 'x', n);
    b->n += n;
    CHECK_INT(buf_printf(b, "\"}}]%s}\n\n", more), ERR_OK);
}

static void add_event(struct buf *b, size_t n, const char *more)
{
    add_event_of(b, "content", n, more);
}

/* -- the work itself ------------------------------------------------------------------------------------- */

/* The reserve has no piece of this size. */
TEST(what_is_too_large_for_the_reserve_ends_the_call_and_not_the_process)
{
    static const char *const forms[] = {
        ",\"usage\":null",
        ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}",
        ",\r\ndata: \"object\":\"chunk\"",
    };
    struct relay_opts o = {.answer = {surface_get(SURFACE_CHAT), dialect_get(DIALECT_OPENAI)}};

    CHECK(reserve_open());
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        bool felt = true;

        for (uint64_t from = 0; felt; from++) {
            struct judging *j = judging_new(&o, true);

            buf_init(&j->text, TEXT_MAX, NULL);
            add_event(&j->text, RESERVE_LARGE_BYTES, forms[i]);
            *mem_faults() = (struct mem_faults){.on = true, .from = from, .n = 1000};
            judging_work(j);
            felt = mem_faults()->seen_n > from;
            *mem_faults() = (struct mem_faults){.on = false};
            CHECK_INT(j->err, felt ? ERR_EXHAUSTED : ERR_OK);
            CHECK(felt || (j->rendered.p != NULL && j->rendered.p != j->ev.raw.p && from > 0));
            judging_free(&j);
            CHECK(reserve_fill());
        }
    }
    reserve_close();
}

TEST(want_of_memory_at_the_helper_is_no_verdict_on_the_answer)
{
    for (int is_event = 0; is_event < 2; is_event++) {
        struct relay_opts o = {.answer = {surface_get(SURFACE_CHAT), dialect_get(DIALECT_OPENAI)}};
        struct judging *j = judging_new(&o, is_event);

        buf_init(&j->text, TEXT_MAX, NULL);
        add_event(&j->text, LARGE, "");
        *mem_faults() = (struct mem_faults){.on = true, .n = 1};
        judging_work(j);
        *mem_faults() = (struct mem_faults){.on = false};
        CHECK_INT(j->err, ERR_EXHAUSTED);
        judging_free(&j);
    }
}

/* -- the relay ------------------------------------------------------------------------------------------- */

struct bench {
    struct relay relay;
    struct arena scratch;
    size_t parsed_bytes;
    struct buf out;
    size_t firsts_n;
};

static void on_first(void *ud)
{
    ((struct bench *)ud)->firsts_n++;
}

static void on_event(void *ud, struct slice event)
{
    CHECK_INT(buf_add(&((struct bench *)ud)->out, event), ERR_OK);
}

static void on_done(void *ud)
{
    (void)ud;
}

static const struct relay_sink SINK = {on_first, on_event, on_done};

static void bench_begin(struct bench *b, size_t event_max)
{
    struct relay_opts o = {.answer = {surface_get(SURFACE_CHAT), dialect_get(DIALECT_OPENAI)},
                           .event_max = event_max,
                           .scratch = &b->scratch,
                           .parsed_bytes = &b->parsed_bytes};

    *b = (struct bench){0};
    arena_init(&b->scratch, NULL, 0, 4096);
    buf_init(&b->out, TEXT_MAX, NULL);
    relay_init(&b->relay, &o, &SINK, b);
}

static void bench_end(struct bench *b)
{
    relay_fini(&b->relay);
    arena_fini(&b->scratch);
    buf_fini(&b->out);
}

/* Judges what the relay has left and gives it back. */
static enum outcome judge(struct bench *b)
{
    struct judging *j = judging_new(&b->relay.opts, true);
    enum outcome o;
    bool payload;

    CHECK(relay_has_large(&b->relay));
    relay_take(&b->relay, &j->text);
    judging_work(j);
    CHECK_INT(j->err, ERR_OK);
    o = relay_judged(&b->relay, &j->ev, &j->event, j->rendered, &payload);
    judging_free(&j);
    return o;
}

static enum outcome feed(struct bench *b, struct slice bytes)
{
    return relay_feed(&b->relay, bytes, NULL);
}

/* In a turn that has parsed enough, even a small event is left to others; what came behind it in the same
 * read may be longer than an event may be. */
TEST(what_comes_with_a_judged_event_is_bounded_by_a_read_not_by_an_event)
{
    struct bench b;
    struct buf text;

    buf_init(&text, TEXT_MAX, NULL);
    CHECK_INT(buf_add(&text, SLICE(TOKEN)), ERR_OK);
    while (text.n + sizeof TOKEN < TURN_STREAM_BYTES)
        CHECK_INT(buf_add(&text, SLICE(TOKEN)), ERR_OK);
    bench_begin(&b, EVENT_MAX);
    b.parsed_bytes = TURN_PARSED_BYTES;
    CHECK_INT(feed(&b, (struct slice){text.p, 10}), OUTCOME_OK);
    CHECK_INT(feed(&b, slice_from(buf_slice(&text), 10)), OUTCOME_OK);
    CHECK_INT(judge(&b), OUTCOME_OK);
    CHECK_MEM(b.out.p, b.out.n, text.p, text.n);
    bench_end(&b);
    buf_fini(&text);
}

TEST(a_large_comment_in_an_events_form_counts_as_one)
{
    struct bench b;
    struct buf text;

    buf_init(&text, TEXT_MAX, NULL);
    CHECK_INT(buf_add(&text, SLICE("retry: 1000\n\n")), ERR_OK);
    bench_begin(&b, EVENT_MAX);
    b.parsed_bytes = TURN_PARSED_BYTES;
    CHECK_INT(feed(&b, (struct slice){text.p, 3}), OUTCOME_OK);
    CHECK_INT(feed(&b, slice_from(buf_slice(&text), 3)), OUTCOME_OK);
    CHECK_INT(judge(&b), OUTCOME_OK);
    CHECK_INT(relay_keepalive_bytes(&b.relay), text.n);
    CHECK_INT(b.out.n, 0);
    bench_end(&b);
    buf_fini(&text);
}

/* A large event that says nothing is held back until one comes that does. */
TEST(what_was_held_back_may_be_too_large_for_the_reserve)
{
    struct bench b;
    struct buf text;

    CHECK(reserve_open());
    for (int refused = 0; refused < 2; refused++) {
        buf_init(&text, TEXT_MAX, NULL);
        add_event_of(&text, "role", RESERVE_LARGE_BYTES, "");
        bench_begin(&b, TEXT_MAX);
        CHECK_INT(feed(&b, buf_slice(&text)), OUTCOME_OK);
        CHECK_INT(b.firsts_n, 0);
        *mem_faults() = (struct mem_faults){.on = refused, .n = 1000};
        CHECK_INT(feed(&b, SLICE(TOKEN)), refused ? OUTCOME_EXHAUSTED : OUTCOME_OK);
        *mem_faults() = (struct mem_faults){.on = false};
        CHECK_INT(b.firsts_n, !refused);
        CHECK_INT(b.out.n, refused ? 0 : text.n + sizeof TOKEN - 1);
        bench_end(&b);
        buf_fini(&text);
        CHECK(reserve_fill());
    }
    reserve_close();
}
