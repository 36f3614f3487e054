/* SPDX-License-Identifier: MIT */
/* Events and plain answers that are too large to be judged on the loop: helpers judge them, and every end is
 * what it would have been. */
#include "gateway/judging.h"

#include "judging_kit.h"

/* -- events --------------------------------------------------------------------------------------------- */

/* All of it in one reply, so that small events come in the very read that ends a large one, and the
 * connection's end with the last. */
TEST(large_events_are_judged_by_helpers_and_keep_their_order)
{
    for (int hang_up = 0; hang_up < 2; hang_up++) {
        struct talk t;
        struct buf got;

        talk_begin(&t);
        t.origin.hang_up = hang_up;
        add(&t.text, SMALL("a"));
        add_event(&t.text, LARGE, "");
        add(&t.text, SMALL("b") SMALL("c"));
        add_event(&t.text, 2 * LARGE, "");
        add_event(&t.text, LARGE, "");
        add(&t.text, STOP DONE);
        talk_ask(&t, STREAM_HEAD, 0, true);
        talk_run(&t, STORY_S);
        CHECK_INT(t.away_n, 1);
        talk_body(&t, &got);
        CHECK_INT(got.n, t.text.n);
        CHECK(slice_eq(buf_slice(&got), buf_slice(&t.text)));
        CHECK(world_is_idle(t.w) && budget_used(&t.w->app->budget) == 0);
        buf_fini(&got);
        talk_end(&t);
    }
}

/* An event below the bound is judged at once; with many of them in a turn the helpers take over. */
TEST(small_events_never_leave_the_loop)
{
    struct talk t;

    talk_begin(&t);
    for (int i = 0; i < 8; i++)
        add_event(&t.text, 60000, "");
    add(&t.text, STOP DONE);
    talk_ask(&t, STREAM_HEAD, 0, true);
    talk_run(&t, STORY_S);
    CHECK_INT(t.away_n, 0);
    CHECK_INT(wire_count(&t.client, DONE), 1);
    talk_end(&t);
}

TEST(usage_that_was_not_asked_for_is_cut_out_of_a_large_event)
{
    struct talk t;

    talk_begin(&t);
    add_event(&t.text, LARGE, ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}");
    add(&t.text, STOP DONE);
    talk_ask(&t, STREAM_HEAD, 0, true);
    talk_run(&t, STORY_S);
    CHECK_INT(t.away_n, 1);
    CHECK(!wire_has(&t.client, "usage"));
    CHECK_INT(wire_count(&t.client, DONE), 1);
    CHECK_INT(world_metric(t.w, METRIC_TOKENS_OUT, 0), 4);
    talk_end(&t);
}

TEST(a_large_event_in_another_form_is_written_as_sdks_know_it)
{
    struct talk t;
    struct buf got;

    talk_begin(&t);
    add(&t.text, "id: 7\r\ndata: {\"choices\":[{\"index\":0,\r\ndata: \"delta\":{\"content\":\"");
    add_letters(&t.text, LARGE);
    add(&t.text, "\"}}]}\r\n\r\n" STOP DONE);
    talk_ask(&t, STREAM_HEAD, 0, true);
    talk_run(&t, STORY_S);
    CHECK_INT(t.away_n, 1);
    talk_body(&t, &got);
    CHECK(slice_starts(buf_slice(&got),
                       SLICE("data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"xxx")));
    CHECK(slice_find(buf_slice(&got), SLICE("xxx\"}}]}\n\n" STOP DONE)) > 0);
    buf_fini(&got);
    talk_end(&t);
}

TEST(a_large_event_that_is_none_or_an_error_ends_the_call_as_a_small_one)
{
    static const struct {
        const char *begin, *end, *says;
    } rows[] = {
        {"data: {\"a\":\"", "\"\n\n", "upstream_malformed"},
        {"data: {\"error\":{\"code\":400,\"message\":\"no such thing\",\"more\":\"", "\"}}\n\n",
         "no such thing"},
    };

    for (size_t i = 0; i < 2; i++) {
        struct talk t;

        talk_begin(&t);
        add(&t.text, rows[i].begin);
        add_letters(&t.text, LARGE);
        add(&t.text, rows[i].end);
        add(&t.text, SMALL("a") STOP DONE);
        talk_ask(&t, STREAM_HEAD, 0, true);
        talk_run(&t, STORY_S);
        CHECK(t.away_n > 0);
        CHECK(wire_expect(&t.client, rows[i].says));
        CHECK(!wire_has(&t.client, "[DONE]") && world_is_idle(t.w));
        talk_end(&t);
    }
}

/* The answer breaks off in the read that ended the large event. */
TEST(what_came_before_a_cut_goes_out_and_the_cut_is_told)
{
    struct talk t;

    talk_begin(&t);
    t.origin.hang_up = true;
    add_event(&t.text, LARGE, "");
    add(&t.text, SMALL("b") "data: {\"cho");
    talk_ask(&t, STREAM_HEAD, 10, true);
    talk_run(&t, STORY_S);
    CHECK_INT(t.away_n, 1);
    CHECK_INT(wire_count(&t.client, SMALL("b")), 1);
    CHECK(wire_expect(&t.client, "\"error\""));
    CHECK(!wire_has(&t.client, "[DONE]"));
    CHECK(world_is_idle(t.w) && budget_used(&t.w->app->budget) == 0);
    talk_end(&t);
}

/* -- plain answers --------------------------------------------------------------------------------------- */

static void plain(const char *begin, const char *end, int status, const char *says)
{
    struct talk t;

    talk_begin(&t);
    add(&t.text, begin);
    add_letters(&t.text, LARGE);
    add(&t.text, end);
    talk_ask(&t, PLAIN_HEAD, 0, false);
    talk_run(&t, STORY_S);
    CHECK(t.away_n > 0);
    CHECK_INT(wire_status(&t.client), status);
    CHECK(wire_has(&t.client, says));
    if (status == 200)
        CHECK(slice_eq(wire_body(&t.client), buf_slice(&t.text)));
    CHECK(world_is_idle(t.w) && budget_used(&t.w->app->budget) == 0);
    talk_end(&t);
}

TEST(large_plain_answers_are_judged_by_helpers)
{
    plain("{\"choices\":[{\"index\":0,\"message\":{\"content\":\"", "\"},\"finish_reason\":\"stop\"}]}", 200,
          "xxx");
    plain("{\"choices\":[],\"x\":\"", "\"}", 502, "upstream_");
    plain("{\"choices\":[{\"message\":{\"content\":\"", "\"}", 502, "upstream_malformed");
    plain("{\"error\":{\"code\":400,\"message\":\"no such thing\",\"x\":\"", "\"}}", 400, "no such thing");
}

/* In no form that llm/redact.h knows. */
#define SECRET "tide-and-time-wait-for-none"

TEST(a_credential_in_the_words_of_a_large_error_does_not_leave)
{
    for (int stream = 0; stream < 2; stream++) {
        struct talk t;

        talk_begin_with(&t, ORIGIN_YAML("openai", SECRET));
        add(&t.text, stream ? "data: " : "");
        add(&t.text, "{\"error\":{\"code\":400,\"message\":\"no " SECRET " here\",\"x\":\"");
        add_letters(&t.text, LARGE);
        add(&t.text, stream ? "\"}}\n\n" : "\"}}");
        talk_ask(&t, stream ? STREAM_HEAD : PLAIN_HEAD, 0, stream);
        talk_run(&t, STORY_S);
        CHECK(origin_was_asked(&t.origin, SECRET) && t.away_n > 0);
        CHECK(wire_expect(&t.client, "no ****") && wire_has(&t.client, " here"));
        CHECK(!wire_has(&t.client, SECRET));
        talk_end(&t);
    }
}

/* Its lines are joined in further memory, which the budget does not have. */
TEST(an_event_that_cannot_be_put_together_is_not_left_out)
{
    struct talk t;

    talk_begin_with(&t, ORIGIN_YAML("openai", "none") "limits: {memory: 1200KiB}\n");
    add(&t.text, SMALL("a") "data: {\"choices\":[{\"index\":0,\r\ndata: \"delta\":{\"content\":\"");
    add_letters(&t.text, LARGE);
    add(&t.text, "\"}}]}\r\n\r\n" STOP DONE);
    talk_ask(&t, STREAM_HEAD, 0, true);
    talk_run(&t, STORY_S);
    CHECK(t.away_n > 0);
    CHECK_INT(wire_count(&t.client, SMALL("a")), 1);
    CHECK(wire_expect(&t.client, "memory_budget_exhausted") && !wire_has(&t.client, "[DONE]"));
    CHECK(world_is_idle(t.w) && budget_used(&t.w->app->budget) == 0);
    talk_end(&t);
}

/* -- what happens meanwhile ------------------------------------------------------------------------------ */

static void add_answer(struct talk *t, bool stream)
{
    if (stream) {
        add_event(&t->text, LARGE, "");
        add(&t->text, STOP DONE);
    } else {
        add(&t->text, "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"");
        add_letters(&t->text, LARGE);
        add(&t->text, "\"},\"finish_reason\":\"stop\"}]}");
    }
}

static void talk_large(struct talk *t, bool stream)
{
    talk_begin(t);
    add_answer(t, stream);
    talk_ask(t, stream ? STREAM_HEAD : PLAIN_HEAD, 0, stream);
    CHECK(talk_wait_away(t));
}

TEST(a_client_may_leave_meanwhile)
{
    for (int stream = 0; stream < 2; stream++) {
        struct talk t;

        talk_large(&t, stream);
        stream_close(&t.client.stream);
        talk_run(&t, 100 * STORY_MS);
        CHECK(world_is_idle(t.w) && budget_used(&t.w->app->budget) == 0);
        CHECK_INT(t.w->workers[0]->readings_n, 0);
        talk_end(&t);
    }
}

TEST(a_cut_waits_for_what_comes_home)
{
    for (int stream = 0; stream < 2; stream++) {
        struct talk t;

        talk_large(&t, stream);
        control_cut(t.w->control);
        CHECK(!t.w->drained);
        world_run_until(t.w, 10 * STORY_S, &t.w->drained);
        CHECK(t.w->drained && t.w->workers[0]->readings_n == 0 && t.w->workers[0]->flights_n == 0);
        talk_end(&t);
    }
}

TEST(a_drain_and_a_reload_let_it_end)
{
    for (int stream = 0; stream < 2; stream++) {
        struct config_report report = {.text = ""};
        struct talk t;

        talk_large(&t, stream);
        CHECK_INT(world_reload(t.w, YAML "workers: 1\n", &report), ERR_OK);
        control_drain(t.w->control);
        world_run_until(t.w, 10 * STORY_S, &t.w->drained);
        CHECK(t.w->drained);
        CHECK_INT(wire_count(&t.client, stream ? DONE : "\"finish_reason\":\"stop\"}]}"), 1);
        talk_end(&t);
    }
}

/* Helpers that have too much to do hold nobody past the deadline. */
TEST(the_deadline_holds_meanwhile)
{
    for (int stream = 0; stream < 2; stream++) {
        size_t late_n = 0, full_n = 0;

        for (int n = 1; n <= 60; n++) {
            struct talk t;

            talk_begin_with(&t, YAML_SHORT);
            add_answer(&t, stream);
            t.text.n -= stream ? sizeof "\n" STOP DONE - 1 : 1;
            talk_ask(&t, stream ? STREAM_HEAD : PLAIN_HEAD, stream ? sizeof "\n" STOP DONE - 1 : 1, stream);
            talk_run(&t, 50 * STORY_MS - n * STORY_MS / 10);
            origin_say(&t.origin, 0, stream ? "\n" STOP DONE : "}");
            for (int i = 0; i < 1000 && wire_status(&t.client) == 0; i++)
                talk_run(&t, 100);
            late_n += wire_status(&t.client) == 504 && t.w->workers[0]->readings_n > 0;
            full_n += wire_status(&t.client) == 200;
            talk_run(&t, 100 * STORY_MS);
            CHECK(wire_status(&t.client) == 504 || wire_status(&t.client) == 200);
            CHECK(world_is_idle(t.w) && t.w->workers[0]->readings_n == 0);
            talk_end(&t);
        }
        CHECK(late_n > 0 && full_n > 0);
    }
}

/* -- helpers whose time the test chooses ---------------------------------------------------------------- */

/* Else a fast endpoint would fill memory with what waits behind the event, and a busy machine would be taken
 * for an endpoint that says nothing. */
TEST(while_an_event_is_judged_its_endpoint_is_not_read_and_not_blamed)
{
    struct loop_ops ops;
    struct talk t;
    struct buf got;

    talk_begin_with(&t, ORIGIN_YAML("openai", "none") "limits: {event: 1MiB}\n"
                                                      "timeouts: {transport: 100ms, progress: 100ms}\n");
    hold_tasks(&t, &ops);
    add_event(&t.text, LARGE, "");
    while (t.text.n < 4 * LARGE)
        add_event(&t.text, 1000, "");
    add(&t.text, STOP DONE);
    talk_ask(&t, STREAM_HEAD, 0, true);
    talk_run(&t, STORY_S);
    CHECK(in_hand != NULL);
    CHECK(budget_used(&t.w->app->budget) < 2 * LARGE);
    bring_home();
    talk_run(&t, STORY_S);
    talk_body(&t, &got);
    CHECK(slice_eq(buf_slice(&got), buf_slice(&t.text)));
    buf_fini(&got);
    talk_end(&t);
}

/* Nothing but the event comes in the read that ends it. */
TEST(an_event_may_be_the_last_that_was_read)
{
    struct talk t;
    struct buf got;

    talk_begin(&t);
    add_event(&t.text, LARGE, "");
    talk_ask(&t, STREAM_HEAD, sizeof STOP DONE - 1, true);
    talk_run(&t, 100 * STORY_MS);
    CHECK_INT(t.away_n, 1);
    origin_say(&t.origin, 0, STOP DONE);
    talk_run(&t, 100 * STORY_MS);
    talk_body(&t, &got);
    CHECK_INT(got.n, t.text.n + sizeof STOP DONE - 1);
    buf_fini(&got);
    talk_end(&t);
}

/* The flight lives to the end of the turn in which it has ended: what comes home in it finds nobody. */
TEST(what_comes_home_in_the_turn_of_a_cut_finds_nobody)
{
    for (int stream = 0; stream < 2; stream++) {
        struct loop_ops ops;
        struct talk t;

        talk_begin(&t);
        hold_tasks(&t, &ops);
        add_answer(&t, stream);
        talk_ask(&t, stream ? STREAM_HEAD : PLAIN_HEAD, 0, stream);
        talk_run(&t, 100 * STORY_MS);
        CHECK(in_hand != NULL);
        control_cut(t.w->control);
        bring_home();
        world_run_until(t.w, 10 * STORY_S, &t.w->drained);
        CHECK(t.w->drained && t.w->workers[0]->readings_n == 0 && t.w->workers[0]->flights_n == 0);
        CHECK_INT(wire_count(&t.client, "xxx"), 0);
        talk_end(&t);
    }
}
