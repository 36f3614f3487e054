/* SPDX-License-Identifier: MIT */
/* The generator in front of the whole gateway in virtual time: client, gateway and providers count the same.
 */
#include "load/load.h"

#include "base/assert.h"
#include "base/clock.h"
#include "support/samples.h"
#include "support/story.h"
#include "tap.h"

#define LIMITED                                                                          \
    "listen: 10.0.0.9:80\n"                                                              \
    "keys: [{name: tester, key: key-for-tests, priority: normal, limits: {rps: 5}}]\n"   \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n"

struct trial {
    struct world *world;
    struct source *source;
    struct load *load;
    bool done;
};

static void on_done(void *ud)
{
    ((struct trial *)ud)->done = true;
}

static void run(struct trial *t, const struct story *s, const struct source_opts *so, bool own_limits)
{
    const char *why = "";
    struct load_opts o = {
        .target = {.host = "10.0.0.9", .port = 80, .base_path = SLICE("/v1"), .authority = SLICE("gateway")},
        .prompts = {.seed = so->seed, .model = SLICE("any~tokens={answer}"), .length_field = "max_tokens"},
        .class_names = {"critical", "high", "normal", "bulk"},
        .connections = 1000,
        .waiting_max = LOAD_WAITING_MAX,
        .connect_us = 5 * STORY_S,
        .first_us = 600 * STORY_S,
        .gap_us = 150 * STORY_S,
        .total_us = 600 * STORY_S,
        .own_limits = own_limits,
        .on_done = on_done,
        .ud = t,
    };

    for (size_t i = 0; i < COUNT_OF(o.authorization); i++)
        o.authorization[i] = "Bearer key-for-tests";
    *t = (struct trial){.world = story_begin(s)};
    t->source = source_new(so, &why);
    ASSERT(t->source != NULL);
    o.source = t->source;
    t->load = load_new(t->world->client_loop, &o);
    world_run_until(t->world, 3600 * STORY_S, &t->done);
    CHECK(t->done);
}

static void end(struct trial *t)
{
    load_free(&t->load);
    source_free(&t->source);
    story_end(&t->world);
}

static struct source_opts defaults(uint64_t limit)
{
    return (struct source_opts){.seed = 3,
                                .speed = 1,
                                .scale = 1,
                                .process = PROCESS_POISSON,
                                .rate = 100,
                                .prompt = {32, 0},
                                .answer = {10, 0},
                                .prompt_max = 100000,
                                .duration_us = CLOCK_NEVER_US,
                                .limit = limit,
                                .stream_share = 0.5,
                                .shared_kinds = 1};
}

TEST(faults_are_mended_or_counted_alike)
{
    struct source_opts so = defaults(2000);
    const struct sim_stats *one, *two;
    const struct tally_group *g;
    uint64_t answered = 0;
    struct story s;
    struct trial t;

    story_init(&s, STORY_TWO);
    s.one.fault_p[SIM_503] = 0.2;
    s.one.fault_p[SIM_CUT] = 0.1;
    s.two.fault_p[SIM_500] = 0.1;
    run(&t, &s, &so, false);
    g = &load_tally(t.load)->all;
    one = sim_stats(t.world->sims[0]);
    two = sim_stats(t.world->sims[1]);
    CHECK_INT(g->intended_n, 2000);
    CHECK_INT(one->requests_n, 2000);
    CHECK(two->requests_n >= one->refused_n && two->requests_n > 300);
    CHECK_INT(g->ended_n[END_FULL] + g->ended_n[END_FAILED], 2000);
    CHECK(g->ended_n[END_FAILED] > 20); /* streams that had begun, and those that failed twice */
    answered = one->answered_n + two->answered_n;
    CHECK_INT(g->ended_n[END_FULL], answered);
    for (size_t i = 0; i < g->reasons_n; i++)
        CHECK(strncmp(g->reasons[i].code, "upstream_", 9) == 0);
    end(&t);
}

TEST(a_minute_of_mooncake_goes_through)
{
    struct trace_fault bad;
    struct trace *trace = samples_trace("mooncake_conversation_1min.jsonl", &bad);
    const struct trace *traces[] = {trace};
    struct source_opts so = defaults(UINT64_MAX);
    uint64_t tokens = 0;
    struct story s;
    struct trial t;

    so.traces = traces;
    so.traces_n = 1;
    so.stream_share = 1;
    for (size_t i = 0; i < trace->rows_n; i++)
        tokens += trace->rows[i].answer_tokens;
    story_init(&s, STORY_TWO);
    so.answer.median = 0;
    run(&t, &s, &so, false);
    CHECK_INT(load_tally(t.load)->all.ended_n[END_FULL], trace->rows_n);
    CHECK_INT(load_tally(t.load)->all.tokens_n, tokens);
    CHECK_INT(sim_stats(t.world->sims[0])->tokens_n, tokens);
    end(&t);
    trace_free(&trace);
}

/* What is past a key's limits is the client's own affair, if it says so. */
TEST(a_keys_own_limit_is_no_part_of_the_answered_rate)
{
    for (int own = 0; own < 2; own++) {
        struct source_opts so = defaults(100);
        const struct tally_group *g;
        struct story s;
        struct trial t;

        so.rate = 10;
        story_init(&s, LIMITED);
        run(&t, &s, &so, own == 1);
        g = &load_tally(t.load)->all;
        CHECK(g->ended_n[END_FULL] > 20 && g->ended_n[END_FULL] < 80);
        CHECK_INT(g->ended_n[own ? END_REFUSED : END_FAILED], 100 - g->ended_n[END_FULL]);
        CHECK_INT(g->reasons_n, 1);
        CHECK_STR(g->reasons[0].code, "rate_limit_exceeded");
        CHECK((tally_answered_rate(g) == 1) == (own == 1));
        end(&t);
    }
}
