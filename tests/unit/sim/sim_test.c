/* SPDX-License-Identifier: MIT */
/* Each fault's exact shape, runs that repeat, and the routes around the answers. */
#include "sim_kit.h"

#include "base/json.h"

/* -- faults --------------------------------------------------------------------------------------------- */

/* One call with `suffix` in a fresh world, run for ten minutes and judged. */
static void with_fault(const char *suffix, bool stream, void (*judge)(struct kit *k, struct caller *c))
{
    struct sim_opts o;
    struct caller *c;
    char model[64];
    struct kit k;

    sim_opts_default(&o);
    snprintf(model, sizeof model, "any~ttft=1s,gap=10ms,tokens=6,%s", suffix);
    kit_init(&k, &o);
    c = kit_chat(&k, model, stream, "x", "");
    kit_run(&k, 500 * CLOCK_SECOND_US);
    judge(&k, c);
    kit_fini(&k);
}

static void judge_hang(struct kit *k, struct caller *c)
{
    CHECK_INT(c->status, 0);
    CHECK_INT(c->ended_us, 0);
    CHECK_INT(sim_stats(k->sim)->faults_n[SIM_HANG], 1);
}

static void judge_429(struct kit *k, struct caller *c)
{
    CHECK_INT(c->status, 429);
    CHECK_STR(c->retry_after, "1");
    CHECK(c->complete && c->head_us - c->started_us <= 2 * MS);
    CHECK_INT(sim_stats(k->sim)->refused_n, 1);
}

static void judge_500(struct kit *k, struct caller *c)
{
    static const char want[] =
        "{\"error\":{\"message\":\"The server had an error while processing your request.\","
        "\"type\":\"server_error\",\"param\":null,\"code\":\"internal_error\"}}";

    CHECK_INT(c->status, 500);
    CHECK_MEM(c->body.p, c->body.n, want, sizeof want - 1);
    CHECK_INT(sim_stats(k->sim)->faults_n[SIM_500], 1);
}

static void judge_503(struct kit *k, struct caller *c)
{
    CHECK_INT(c->status, 503);
    CHECK_STR(c->retry_after, "");
    CHECK(buf_has(&c->body, "\"code\":\"overloaded\""));
    CHECK_INT(sim_stats(k->sim)->faults_n[SIM_503], 1);
}

TEST(faults_before_an_answer)
{
    for (int stream = 0; stream < 2; stream++) {
        with_fault("hang", stream, judge_hang);
        with_fault("429", stream, judge_429);
        with_fault("500", stream, judge_500);
        with_fault("503", stream, judge_503);
    }
}

static void judge_cut_stream(struct kit *k, struct caller *c)
{
    CHECK_INT(c->status, 200);
    CHECK(!c->complete && !c->done && c->why != ERR_OK);
    CHECK_INT(c->events_n, 1 + 3);
    check_text(c, "x", 3);
    CHECK_INT(buf_count(&c->body, "\"finish_reason\":null"), 4);
    CHECK_INT(c->ended_us / MS, c->first_us / MS + 30);
    CHECK_INT(sim_stats(k->sim)->cut_n, 1);
}

static void judge_cut_plain(struct kit *k, struct caller *c)
{
    char want[3 * SIM_TOKEN_JSON_MAX];
    uint64_t hash = sim_text_hash(SLICE("x"), 0);
    size_t n = 0;

    for (uint64_t i = 0; i < 3; i++)
        n += sim_text_token_json(hash, i, want + n);
    CHECK_INT(c->status, 200);
    CHECK(!c->complete);
    CHECK(slice_ends(buf_slice(&c->body), (struct slice){want, n}));
    CHECK_INT(sim_stats(k->sim)->cut_n, 1);
}

static void judge_cut_at_once(struct kit *k, struct caller *c)
{
    CHECK_INT(c->status, 200);
    CHECK(!c->complete);
    CHECK_INT(c->body.n, 0);
    CHECK_INT(sim_stats(k->sim)->faults_n[SIM_CUT], 1);
}

static void judge_cut_late(struct kit *k, struct caller *c)
{
    CHECK(!c->complete && !c->done);
    CHECK_INT(c->events_n, 1 + 6);
    CHECK_INT(buf_count(&c->body, "\"finish_reason\":null"), 7);
    CHECK_INT(sim_stats(k->sim)->cut_n, 1);
}

TEST(a_cut_answer_never_looks_whole)
{
    with_fault("cut=3", true, judge_cut_stream);
    with_fault("cut=3", false, judge_cut_plain);
    with_fault("cut=0", true, judge_cut_at_once);
    with_fault("cut=99", true, judge_cut_late);
}

/* In DeepSeek's form the last token carries the end, so a late fault shows in its place. */
TEST(late_faults_of_deepseeks_form_show_before_its_end)
{
    struct sim_opts o;
    struct caller *cut, *malformed;
    struct kit k;

    sim_opts_default(&o);
    o.deepseek = true;
    kit_init(&k, &o);
    cut = kit_chat(&k, "deepseek~tokens=6,cut=99", true, "x", ",\"reasoning_effort\":\"none\"");
    malformed = kit_chat(&k, "deepseek~tokens=6,malformed=99", true, "x", ",\"reasoning_effort\":\"none\"");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    CHECK(!cut->complete);
    check_text(cut, "x", 5);
    CHECK(!buf_has(&cut->body, "\"finish_reason\":\"stop\""));
    CHECK_INT(malformed->why, ERR_MALFORMED);
    check_text(malformed, "x", 5);
    kit_fini(&k);
}

static void judge_stall(struct kit *k, struct caller *c)
{
    CHECK_INT(c->status, 200);
    CHECK_INT(c->ended_us, 0);
    CHECK_INT(sim_stats(k->sim)->working_n, 1);
    CHECK_INT(sim_stats(k->sim)->tokens_n, 3);
    if (c->events_n > 0)
        check_text(c, "x", 3);
    else
        CHECK(c->body.n > 0 && !buf_has(&c->body, "finish_reason"));
}

TEST(a_stalled_answer_keeps_its_connection)
{
    with_fault("stall=3", true, judge_stall);
    with_fault("stall=3", false, judge_stall);
}

static void judge_no_done(struct kit *k, struct caller *c)
{
    CHECK(c->complete && !c->done);
    check_text(c, "x", 6);
    CHECK(buf_has(&c->body, "\"finish_reason\":\"stop\""));
    CHECK(!buf_has(&c->body, "data: [DONE]"));
    CHECK_INT(sim_stats(k->sim)->answered_n, 1);
}

static void judge_malformed_stream(struct kit *k, struct caller *c)
{
    CHECK_INT(c->why, ERR_MALFORMED); /* the caller itself stops there */
    check_text(c, "x", 2);
    CHECK(slice_ends(buf_slice(&c->body), SLICE("\"content\":\"broken\n\n")));
    CHECK_INT(sim_stats(k->sim)->faults_n[SIM_MALFORMED], 1);
}

static void judge_malformed_plain(struct kit *k, struct caller *c)
{
    struct json_doc *doc;

    CHECK(c->complete);
    CHECK(c->body.n > 100);
    CHECK_INT(json_parse(buf_slice(&c->body), NULL, &doc, NULL), ERR_MALFORMED);
    CHECK_INT(sim_stats(k->sim)->answered_n, 1);
}

static void judge_empty(struct kit *k, struct caller *c)
{
    CHECK_INT(c->status, 200);
    CHECK(c->complete);
    CHECK_INT(c->text.n, 0);
    CHECK(buf_has(&c->body, "\"finish_reason\":\"stop\""));
    CHECK(c->done == (c->events_n > 0));
    CHECK_INT(sim_stats(k->sim)->tokens_n, 0);
}

TEST(answers_that_end_well_and_are_not)
{
    with_fault("nodone", true, judge_no_done);
    with_fault("malformed=2", true, judge_malformed_stream);
    with_fault("malformed=2", false, judge_malformed_plain);
    with_fault("empty", true, judge_empty);
    with_fault("empty", false, judge_empty);
}

static void judge_reset(struct kit *k, struct caller *c)
{
    CHECK_INT(c->status, 200);
    CHECK_INT(c->why, ERR_RESET);
    CHECK(!c->complete && !c->done);
    if (c->events_n > 0)
        check_text(c, "x", 3);
    CHECK_INT(sim_stats(k->sim)->cut_n, 1);
}

static void judge_resource(struct kit *k, struct caller *c)
{
    CHECK(c->complete && c->done == (c->events_n > 0));
    check_text(c, "x", 3);
    CHECK_INT(buf_count(&c->body, "\"finish_reason\":\"insufficient_system_resource\""), 1);
    CHECK_INT(sim_stats(k->sim)->answered_n, 1);
}

static void judge_error(struct kit *k, struct caller *c)
{
    CHECK_INT(c->status, 200);
    CHECK(c->complete && !c->done);
    CHECK(buf_has(&c->body, "{\"error\":{\"message\":\"The server had an error"));
    if (c->events_n > 0)
        check_text(c, "x", 3);
    CHECK(c->error_event == (c->events_n > 0));
    CHECK_INT(sim_stats(k->sim)->answered_n, 1);
}

TEST(answers_that_fail_inside)
{
    for (int stream = 0; stream < 2; stream++) {
        with_fault("reset=3", stream, judge_reset);
        with_fault("resource=3", stream, judge_resource);
        with_fault("error=3", stream, judge_error);
    }
}

/* DeepSeek's form carries the reason on its last token. */
TEST(an_answer_for_want_of_resources_ends_in_both_forms)
{
    struct sim_opts o;
    struct caller *c, *nothing;
    struct kit k;

    sim_opts_default(&o);
    o.deepseek = true;
    kit_init(&k, &o);
    c = kit_chat(&k, "deepseek~tokens=6,resource=2", true, "x", ",\"thinking\":{\"type\":\"disabled\"}");
    nothing = kit_chat(&k, "deepseek~resource=0", true, "x", "");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    CHECK(c->done && nothing->done);
    check_text(c, "x", 2);
    CHECK_INT(buf_count(&c->body, "\"finish_reason\":\"insufficient_system_resource\""), 1);
    CHECK_INT(buf_count(&nothing->body, "\"finish_reason\":\"insufficient_system_resource\""), 1);
    kit_fini(&k);
}

static void judge_size(struct kit *k, struct caller *c)
{
    CHECK(c->done);
    check_text(c, "x", 6);
    CHECK(c->body.n > 6 * 5000 && c->body.n < 6 * 5000 + 2000);
    CHECK_INT(sim_stats(k->sim)->answered_n, 1);
}

TEST(events_can_be_large)
{
    with_fault("size=5000", true, judge_size);
}

/* -- runs that repeat ----------------------------------------------------------------------------------- */

/* A hash of everything that callers saw and when, under random faults and times. */
static uint64_t run_of_seed(uint64_t seed, struct sim_stats *out)
{
    struct sim_opts o;
    uint64_t hash = 0;
    struct kit k;

    sim_opts_default(&o);
    o.seed = seed;
    o.slots = 30;
    o.account_limit = 60;
    o.deepseek = true;
    o.ttft.sigma = o.gap.sigma = 0.5;
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        if (sim_fault_is_asked((enum sim_fault)f))
            o.fault_p[f] = 0.03;
    }
    o.fault_p[SIM_REFUSE] = o.fault_p[SIM_CONNECT_HANG] = 0.05;
    kit_init(&k, &o);
    for (int i = 0; i < 200; i++) {
        char prompt[16];

        snprintf(prompt, sizeof prompt, "p%d", i);
        kit_chat(&k, i % 3 == 0 ? "deepseek-x" : "any", i % 2 == 0, prompt, "");
        kit_run(&k, 30 * MS);
    }
    kit_run(&k, 60 * CLOCK_SECOND_US);
    for (size_t i = 0; i < k.callers_n; i++) {
        const struct caller *c = k.callers[i];
        int64_t seen[5] = {c->status, c->head_us, c->first_us, c->ended_us, (int64_t)c->why};

        hash = sim_text_hash((struct slice){(const char *)seen, sizeof seen}, hash);
        hash = sim_text_hash(buf_slice(&c->body), hash);
    }
    *out = *sim_stats(k.sim);
    kit_fini(&k);
    return hash;
}

TEST(a_seed_repeats_a_run_to_the_byte_and_the_microsecond)
{
    struct sim_stats a, b, other;
    uint64_t first = run_of_seed(5, &a);

    CHECK(run_of_seed(5, &b) == first);
    CHECK_MEM(&b, sizeof b, &a, sizeof a);
    CHECK(run_of_seed(6, &other) != first);
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++)
        CHECK(!sim_fault_is_asked((enum sim_fault)f) || a.faults_n[f] > 0);
    CHECK(a.answered_n > 50);
}

/* -- routes --------------------------------------------------------------------------------------------- */

TEST(models_and_figures_have_pages)
{
    struct sim_opts o;
    struct caller *a, *b, *stats;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    kit_chat(&k, "any", false, "x", ",\"max_tokens\":5");
    kit_chat(&k, "any~503", false, "x", "");
    kit_run(&k, 10 * CLOCK_SECOND_US);
    a = kit_call(&k, "/v1/models", NULL, NULL);
    b = kit_call(&k, "/models", NULL, NULL);
    stats = kit_call(&k, "/sim/stats", NULL, NULL);
    kit_run(&k, CLOCK_SECOND_US);
    CHECK_INT(a->status, 200);
    CHECK_INT(b->status, 200);
    CHECK(buf_has(&a->body, "{\"id\":\"deepseek-flash\",\"object\":\"model\",\"created\":1000"));
    CHECK_INT(stats->status, 200);
    CHECK(slice_starts(
        buf_slice(&stats->body),
        SLICE("{\"requests\":2,\"answered\":1,\"refused\":1,\"cut\":0,\"cancelled\":0,\"tokens\":5,"
              "\"working\":0,\"queued\":0,")));
    CHECK(buf_has(&stats->body, "\"503\":1"));
    kit_fini(&k);
}

TEST(what_cannot_be_served_is_refused_in_openais_shape)
{
    static const struct {
        const char *path, *body;
        int status;
        const char *says;
    } CASES[] = {
        {"/v1/nothing", NULL, 404, "\"code\":\"not_found\""},
        {"/v1/chat/completions", NULL, 405, "\"code\":\"method_not_allowed\""},
        {"/v1/models", "{}", 405, "\"code\":\"method_not_allowed\""},
        {"/v1/chat/completions", "{}", 400, "\"param\":\"model\",\"code\":\"invalid_request\""},
        {"/chat/completions", "no JSON", 400, "\"param\":null,\"code\":\"invalid_request\""},
        {"/v1/chat/completions",
         "{\"model\":\"a~b\\\"\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 400,
         "does not understand \\\"b\\\"\\\" behind"},
    };
    struct sim_opts o;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct caller *c = kit_call(&k, CASES[i].path, CASES[i].body, NULL);
        struct json_doc *doc = NULL;

        kit_run(&k, CLOCK_SECOND_US);
        CHECK_INT(c->status, CASES[i].status);
        CHECK(c->complete);
        if (!CHECK(buf_has(&c->body, CASES[i].says)))
            printf("# %.*s\n", (int)c->body.n, c->body.p);
        CHECK_INT(json_parse(buf_slice(&c->body), NULL, &doc, NULL), ERR_OK);
        json_free(&doc);
    }
    kit_fini(&k);
}

TEST(freeing_ends_every_connection_in_every_state)
{
    static const char *const MODELS[] = {"any~ttft=1s", "any~gap=1s,ttft=0", "any~hang", "any~stall=0,ttft=0",
                                         "any~queue=9s"};
    struct sim_opts o;
    struct kit k;

    sim_opts_default(&o);
    o.slots = 3;
    kit_init(&k, &o);
    for (size_t i = 0; i < 20; i++)
        kit_chat(&k, MODELS[i % 5], i % 2 == 0, "x", "");
    kit_run(&k, 500 * MS);
    CHECK_INT(sim_stats(k.sim)->working_n, 3);
    CHECK_INT(sim_stats(k.sim)->queued_n, 17);
    sim_free(&k.sim);
    kit_run(&k, 100 * MS);
    CHECK_INT(k.ended_n, 20);
    for (size_t i = 0; i < k.callers_n; i++) {
        CHECK(!k.callers[i]->complete);
        caller_free(&k.callers[i]);
    }
    kit_run(&k, 100 * MS);
    CHECK_INT(vnet_streams(k.net), 0);
    loop_free(&k.client);
    loop_free(&k.server);
    vnet_free(&k.net);
}
