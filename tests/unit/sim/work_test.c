/* SPDX-License-Identifier: MIT */
/* The life of answers: their times, the line for slots, departures, slow readers. */
#include "sim_kit.h"

static size_t length_of(const char *prompt)
{
    return sim_text_length(sim_text_hash(slice_of(prompt), 0), 64);
}

TEST(plain_and_streamed_answers_are_the_known_text)
{
    static const char *const PROMPTS[] = {"Hi there", "", "你好", "one more"};
    struct sim_opts o;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    for (size_t i = 0; i < sizeof PROMPTS / sizeof PROMPTS[0]; i++) {
        struct caller *plain = kit_chat(&k, "any", false, PROMPTS[i], "");
        struct caller *stream = kit_chat(&k, "other", true, PROMPTS[i], "");
        size_t n = length_of(PROMPTS[i]);

        kit_run(&k, 10 * CLOCK_SECOND_US);
        CHECK_INT(plain->status, 200);
        CHECK(plain->complete && stream->complete && stream->done);
        check_text(plain, PROMPTS[i], n);
        check_text(stream, PROMPTS[i], n);
        CHECK_INT(stream->events_n, n + 3); /* role, finish, [DONE] */
        CHECK(buf_has(&plain->body, "\"finish_reason\":\"stop\""));
        CHECK(buf_has(&plain->body, "\"model\":\"any\""));
    }
    CHECK_INT(sim_stats(k.sim)->answered_n, 8);
    kit_fini(&k);
}

TEST(times_are_kept_to_the_tick)
{
    struct sim_opts o;
    struct caller *plain, *stream;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    stream = kit_chat(&k, "any~ttft=2s,gap=5ms,tokens=50", true, "x", "");
    plain = kit_chat(&k, "any~ttft=2s,gap=5ms,tokens=50", false, "x", "");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    check_text(stream, "x", 50);
    CHECK(stream->head_us - stream->started_us >= 2000 * MS &&
          stream->head_us - stream->started_us <= 2002 * MS);
    CHECK_INT(stream->first_us, stream->head_us);
    CHECK(stream->ended_us - stream->first_us >= 245 * MS && stream->ended_us - stream->first_us <= 247 * MS);
    CHECK(plain->head_us - plain->started_us >= 2245 * MS && plain->head_us - plain->started_us <= 2247 * MS);
    CHECK_INT(plain->ended_us, plain->head_us);
    kit_fini(&k);
}

/* A prompt's tokens are four bytes each. */
TEST(a_long_prompt_takes_longer_to_read)
{
    struct sim_opts o;
    struct caller *brief, *lengthy;
    char prompt[121] = "";
    int64_t more_us;
    struct kit k;

    memset(prompt, 'x', sizeof prompt - 1);
    sim_opts_default(&o);
    o.prefill_us = 10 * CLOCK_SECOND_US;
    kit_init(&k, &o);
    brief = kit_chat(&k, "any~ttft=1s,gap=5ms,tokens=5", true, "xxxx", "");
    lengthy = kit_chat(&k, "any~ttft=1s,gap=5ms,tokens=5", true, prompt, "");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    more_us = lengthy->first_us - brief->first_us;
    CHECK(brief->first_us - brief->started_us >= 1010 * MS &&
          brief->first_us - brief->started_us <= 1012 * MS);
    CHECK(more_us >= 288 * MS && more_us <= 292 * MS);
    kit_fini(&k);
}

TEST(max_tokens_bounds_the_length)
{
    struct sim_opts o;
    struct caller *a, *b, *c;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    a = kit_chat(&k, "any", true, "x", ",\"max_tokens\":3");
    b = kit_chat(&k, "any", false, "x", ",\"max_completion_tokens\":3");
    c = kit_chat(&k, "any~tokens=3", false, "x", ",\"max_tokens\":3");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    check_text(a, "x", 3);
    check_text(b, "x", 3);
    check_text(c, "x", 3);
    CHECK(buf_has(&a->body, "\"finish_reason\":\"length\""));
    CHECK(buf_has(&b->body, "\"finish_reason\":\"length\""));
    CHECK(buf_has(&c->body, "\"finish_reason\":\"stop\""));
    kit_fini(&k);
}

TEST(the_form_follows_path_model_and_option)
{
    static const char body[] =
        "{\"model\":\"any\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
        "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
    static const char usage[] = ",\"stream_options\":{\"include_usage\":true}";
    struct sim_opts o;
    struct caller *openai, *path, *model, *calm, *few;
    struct kit k;
    size_t n = length_of("x"), thoughts = sim_text_length(sim_text_thought(sim_text_hash(SLICE("x"), 0)), 16);

    sim_opts_default(&o);
    o.deepseek = true;
    kit_init(&k, &o);
    openai = kit_chat(&k, "any", true, "x", usage);
    path = kit_call(&k, "/chat/completions", body, NULL);
    model = kit_chat(&k, "deepseek-flash", true, "x", usage);
    calm = kit_chat(&k, "deepseek-flash", true, "x", ",\"thinking\":{\"type\":\"disabled\"}");
    few = kit_chat(&k, "deepseek-flash", true, "x", ",\"max_tokens\":6");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    CHECK(!buf_has(&openai->body, "reasoning_content") &&
          buf_has(&openai->body, "\"choices\":[],\"usage\":{"));
    CHECK_INT(openai->events_n, n + 4);
    CHECK(buf_has(&path->body, "\"reasoning_content\":\"\"") && !buf_has(&path->body, "\"choices\":[]"));
    CHECK_INT(path->events_n, thoughts + n + 2); /* role, [DONE] */
    CHECK_INT(model->events_n, thoughts + n + 2);
    CHECK(buf_has(&model->body, "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,"));
    CHECK(!buf_has(&calm->body, "reasoning_content") && !buf_has(&calm->body, "usage"));
    CHECK_INT(calm->events_n, n + 2);
    check_text(path, "x", n);
    check_text(model, "x", n);
    check_text(calm, "x", n);
    CHECK_INT(few->events_n, 6 + 2); /* thoughts take half */
    check_text(few, "x", 3);
    kit_fini(&k);
}

TEST(queued_calls_get_their_head_and_keepalives_and_go_in_order)
{
    struct sim_opts o;
    struct caller *c[4];
    struct kit k;

    sim_opts_default(&o);
    o.slots = 1;
    kit_init(&k, &o);
    for (int i = 0; i < 4; i++) { /* the first, third stream */
        c[i] = kit_chat(&k, "any~ttft=3500ms,gap=0,tokens=2", i % 2 == 0, "x", "");
        kit_run(&k, 10 * MS);
    }
    CHECK_INT(sim_stats(k.sim)->working_n, 1);
    CHECK_INT(sim_stats(k.sim)->queued_n, 3);
    CHECK_INT(c[0]->status, 0);
    CHECK_INT(c[1]->status, 200);
    CHECK_INT(c[2]->status, 200);
    kit_run(&k, 60 * CLOCK_SECOND_US);
    for (int i = 0; i < 4; i++) {
        CHECK(c[i]->complete);
        CHECK(i == 0 || c[i]->ended_us - c[i - 1]->ended_us >= 3500 * MS);
        CHECK(i == 0 || c[i]->ended_us - c[i - 1]->ended_us <= 3503 * MS);
        check_text(c[i], "x", 2);
    }
    CHECK_INT(buf_count(&c[0]->body, ": keep-alive"), 0);
    CHECK_MEM(c[1]->body.p, 4, "\n\n\n{", 4); /* 3.49 s in line */
    CHECK_INT(buf_count(&c[2]->body, ": keep-alive\n\n"), 6);
    CHECK(slice_starts(buf_slice(&c[2]->body), SLICE(": keep-alive\n\n: keep-alive\n\n")));
    CHECK_INT(c[3]->body.p[9], '\n');
    CHECK_INT(c[3]->body.p[10], '{');
    kit_fini(&k);
}

TEST(a_suffix_can_make_a_call_wait)
{
    struct sim_opts o;
    struct caller *s, *p, *behind;
    struct kit k;

    sim_opts_default(&o);
    o.slots = 1;
    kit_init(&k, &o);
    s = kit_chat(&k, "any~queue=3500ms,ttft=0,gap=0,tokens=2", true, "x", "");
    p = kit_chat(&k, "any~queue=600s,ttft=0,gap=0,tokens=2", false, "x", "");
    behind = kit_chat(&k, "any~ttft=5500ms,gap=0,tokens=2", true, "x", ""); /* takes the slot meanwhile */
    kit_run(&k, 100 * MS);
    CHECK_INT(s->status, 200);
    CHECK_INT(sim_stats(k.sim)->queued_n, 2);
    kit_run(&k, 700 * CLOCK_SECOND_US);
    CHECK(s->done && p->complete && behind->done);
    CHECK(s->ended_us >= behind->ended_us);
    CHECK_INT(buf_count(&s->body, ": keep-alive"), 5); /* 3.5 s of its own and 2 s in line */
    CHECK_INT(buf_count(&p->body, "\n"), 599);
    check_text(s, "x", 2);
    check_text(p, "x", 2);
    kit_fini(&k);
}

TEST(above_the_account_limit_calls_are_refused_at_once)
{
    struct sim_opts o;
    struct caller *c[4], *late;
    struct kit k;

    sim_opts_default(&o);
    o.slots = 1;
    o.account_limit = 2;
    kit_init(&k, &o);
    for (int i = 0; i < 4; i++)
        c[i] = kit_chat(&k, "any", i == 3, "x", ",\"max_tokens\":2");
    kit_run(&k, 5 * MS);
    for (int i = 2; i < 4; i++) {
        CHECK_INT(c[i]->status, 429);
        CHECK_STR(c[i]->retry_after, "1");
        CHECK(c[i]->complete && buf_has(&c[i]->body, "\"code\":\"rate_limit_exceeded\""));
    }
    kit_run(&k, 10 * CLOCK_SECOND_US);
    CHECK(c[0]->complete && c[1]->complete);
    late = kit_chat(&k, "any", false, "x", ",\"max_tokens\":2");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    CHECK_INT(late->status, 200);
    CHECK_INT(sim_stats(k.sim)->refused_n, 2);
    kit_fini(&k);
}

TEST(who_leaves_frees_the_slot_in_every_state)
{
    static const char *const STATES[] = {"any~ttft=100s", "any~ttft=0,gap=1s", "any~stall=1,ttft=0,gap=0"};

    for (size_t i = 0; i < 2 * (sizeof STATES / sizeof STATES[0]); i++) {
        struct sim_opts o;
        struct caller *first, *gone, *next;
        int64_t left_us;
        struct kit k;

        sim_opts_default(&o);
        o.slots = 1;
        kit_init(&k, &o);
        first = kit_chat(&k, STATES[i / 2], i % 2 == 0, "x", "");
        kit_run(&k, 2500 * MS);
        gone = kit_chat(&k, "any", true, "x", "");
        kit_run(&k, 10 * MS);
        next = kit_chat(&k, "any~ttft=0,gap=0", false, "x", "");
        kit_run(&k, 10 * MS);
        caller_leave(gone); /* out of the line */
        kit_run(&k, 5 * MS);
        CHECK_INT(sim_stats(k.sim)->cancelled_n, 1);
        CHECK_INT(sim_stats(k.sim)->queued_n, 1);
        left_us = vnet_now_us(k.net);
        caller_leave(first);
        kit_run(&k, 5 * MS);
        CHECK(next->complete);
        CHECK(next->ended_us - left_us <= 2 * MS);
        CHECK_INT(sim_stats(k.sim)->cancelled_n, 2);
        CHECK(sim_stats(k.sim)->last_cancel_us - left_us <= MS);
        CHECK_INT(sim_stats(k.sim)->working_n, 0);
        kit_fini(&k);
    }
}

TEST(nothing_is_made_for_a_caller_that_does_not_read)
{
    struct caller_ask slow = {.pause_at_bytes = 1000};
    struct sim_opts o;
    struct caller *c;
    uint64_t made_n;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    c = kit_call(&k, "/v1/chat/completions",
                 "{\"model\":\"any~ttft=0,gap=0,size=2000,tokens=5000\",\"stream\":true,"
                 "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
                 &slow);
    kit_run(&k, 10 * CLOCK_SECOND_US);
    made_n = sim_stats(k.sim)->tokens_n;
    CHECK(made_n >= 100 && made_n * 2000 <= 600000); /* the pipe, and what may wait */
    kit_run(&k, 100 * CLOCK_SECOND_US);
    CHECK_INT(sim_stats(k.sim)->tokens_n, made_n);
    CHECK(!c->complete);
    caller_go_on(c);
    kit_run(&k, CLOCK_SECOND_US);
    CHECK(c->complete && c->done);
    CHECK_INT(c->events_n, 5003);
    kit_fini(&k);
}

TEST(bodies_are_charged_to_the_budget_and_given_back)
{
    struct vnet_opts net = {.seed = 4, .segment_max = 40};
    struct sim_opts o;
    struct caller *fits, *not ;
    struct budget budget;
    struct kit k;

    sim_opts_default(&o);
    budget_init(&budget, 1024);
    o.budget = &budget;
    kit_init_net(&k, &o, &net);
    fits = kit_chat(&k, "any~ttft=1s", false, "x", "");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    CHECK_INT(fits->status, 200);
    CHECK_INT(budget_used(&budget), 0);
    CHECK(budget_charge(&budget, 1000));
    not = kit_chat(&k, "any", false, "x", "");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    CHECK_INT(not ->status, 503);
    CHECK_INT(budget_used(&budget), 1000);
    kit_fini(&k);
}

/* A client that keeps nothing, so that what is allocated is the simulator's. */
static void send_request(void *ud)
{
    static const char body[] = "{\"model\":\"any~tokens=180\",\"stream\":true,"
                               "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
    struct stream *s = *(struct stream **)ud;

    stream_send(s,
                arena_printf(&s->loop->turn,
                             "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s",
                             sizeof body - 1, body));
}

static void forget(void *ud, struct slice bytes)
{
    (void)ud;
    (void)bytes;
}

static void let_go(void *ud, enum err why)
{
    (void)why;
    stream_close(ud);
}

TEST(an_event_costs_no_allocation)
{
    static const struct stream_cb CB = {send_request, forget, NULL, let_go};
    uint64_t before_n, made_n;
    struct sim_opts o;
    struct stream *s;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    s = k.client->ops->connect(k.client, &k.at, 65536);
    stream_set_cb(s, &CB, &s);
    kit_run(&k, 2 * CLOCK_SECOND_US);
    made_n = sim_stats(k.sim)->tokens_n;
    before_n = mem_alloc_n();
    kit_run(&k, CLOCK_SECOND_US);
    CHECK_INT(sim_stats(k.sim)->tokens_n - made_n, 50);
    CHECK_INT(mem_alloc_n() - before_n, 0);
    kit_run(&k, 700 * CLOCK_SECOND_US); /* until the connection has been idle for too long */
    CHECK(s == NULL);
    kit_fini(&k);
}
