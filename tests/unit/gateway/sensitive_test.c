/* SPDX-License-Identifier: MIT */
/* Sensitive requests in the whole gateway: over configurations, failures and reloads at random, none of them
 * ever reaches an endpoint that is not local. Which endpoints were asked, the simulators themselves say. */
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "support/story.h"
#include "tap.h"

#define NEAR_N 2 /* the first endpoints are local */
#define ENDPOINTS_N 4
#define MODELS_N 3
#define ROUNDS 120
#define REQUESTS_N 12
#define YAML_BYTES 8192

/* How a request of the test is made sensitive. */
enum cause { BY_HEADER, BY_KEY, BY_RULE, WHYS_N };

struct text {
    char bytes[YAML_BYTES];
    size_t n;
};

static void say(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct text *t, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    t->n += (size_t)vsnprintf(t->bytes + t->n, sizeof t->bytes - t->n, fmt, args);
    va_end(args);
}

static bool maybe(struct rng *r, uint64_t one_in)
{
    return rng_below(r, one_in) == 0;
}

static const char *endpoint(struct rng *r)
{
    static const char *const NAMES[ENDPOINTS_N] = {"near1", "near2", "far1", "far2"};

    return NAMES[rng_below(r, ENDPOINTS_N)];
}

/* Whatever a rule says of where. */
static void say_rule(struct text *t, int model, struct rng *r)
{
    static const char *const IFS[] = {"", "if: {key: open}, ", "if: {header: {x-team: a}}, ",
                                      "if: {prompt_tokens: '>20'}, "};
    const char *condition = IFS[rng_below(r, 4)];

    switch (rng_below(r, 3)) {
    case 0:
        say(t, "{%suse: [%s, %s]}", condition, endpoint(r), endpoint(r));
        break;
    case 1:
        say(t, "{%stier: 1}", condition);
        break;
    default:
        say(t, "{%smodel: m%d}", condition, (model + 1) % MODELS_N);
        break;
    }
}

static void say_model(struct text *t, int model, struct rng *r)
{
    int tiers_n = 1 + (int)rng_below(r, 3);

    say(t, "  - name: '%s%d'\n    tiers: [", "m", model);
    for (int i = 0; i < tiers_n; i++) {
        int n = 1 + (int)rng_below(r, 3);
        bool weights = maybe(r, 2);

        say(t, "%s[", i > 0 ? ", " : "");
        for (int k = 0; k < n; k++)
            say(t, "%s{endpoint: %s%s}", k > 0 ? ", " : "", endpoint(r), weights ? ", weight: 3" : "");
        say(t, "]");
    }
    say(t, "]\n");
    if (maybe(r, 3)) {
        say(t, "    rules: [");
        say_rule(t, model, r);
        say(t, "]\n");
    }
}

/* The endpoints and who is local stay the same over all of a round's configurations; all else does not. */
static void make_yaml(struct text *t, struct rng *r)
{
    t->n = 0;
    say(t, "listen: 10.0.0.9:80\nworkers: %d\n", 1 + (int)rng_below(r, 2));
    say(t, "keys:\n  - {name: open, key: key-for-tests}\n"
           "  - {name: strict, key: key-of-strict, sensitive: local-only}\n");
    say(t, "limits: {attempts: %d}\ntimeouts: {deadline: 20s, connect: 500ms, transport: 2s}\n",
        1 + (int)rng_below(r, 6));
    say(t, "accounts: [{name: few, %s}]\nendpoints:\n", maybe(r, 2) ? "slots: {'*': 1}" : "learn: true");
    for (int i = 0; i < ENDPOINTS_N; i++)
        say(t, "  - {name: %s%d, provider: openai, url: 'http://10.0.0.%d/v1', key: none%s%s}\n",
            i < NEAR_N ? "near" : "far", i % NEAR_N + 1, i + 1, i < NEAR_N ? ", local: true" : "",
            maybe(r, 3) ? ", account: few" : "");
    say(t, "models:\n");
    for (int i = 0; i < MODELS_N; i++)
        say_model(t, i, r);
    say(t, "  - {name: '*', tiers: [[{endpoint: %s}, {endpoint: %s}], [{endpoint: %s}]]}\n", endpoint(r),
        endpoint(r), endpoint(r));
    say(t, "rules:\n  - {if: {header: {x-secret: '*'}}, sensitive: local-only}\n");
    for (uint64_t n = rng_below(r, 3); n > 0; n--) {
        say(t, "  - ");
        say_rule(t, 0, r);
        say(t, "\n");
    }
}

static void make_sims(struct world_sim *sims, struct rng *r)
{
    static const char *const AT[ENDPOINTS_N] = {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"};
    static const enum sim_fault FAULTS[] = {SIM_429, SIM_503, SIM_500,   SIM_DROP,
                                            SIM_CUT, SIM_401, SIM_EMPTY, SIM_HANG};

    for (int i = 0; i < ENDPOINTS_N; i++) {
        sims[i] = (struct world_sim){.at = AT[i]};
        sim_opts_default(&sims[i].opts);
        sims[i].opts.seed = rng_below(r, 1000);
        sims[i].opts.ttft = (struct sim_time){50 * STORY_MS, 0};
        sims[i].opts.gap = (struct sim_time){5 * STORY_MS, 0};
        for (size_t f = 0; f < COUNT_OF(FAULTS); f++)
            sims[i].opts.fault_p[FAULTS[f]] = maybe(r, 3) ? 0.3 : 0;
        if (i < NEAR_N && maybe(r, 4))
            sims[i].opts.fault_p[SIM_DROP] = 1;
    }
}

static struct world *begin(struct text *t, struct rng *r)
{
    struct config_report report = {.text = ""};
    struct world_sim sims[ENDPOINTS_N];
    struct world_opts o = {
        .yaml = t->bytes,
        .net = {.seed = rng_below(r, 1 << 30), .latency_us = 200, .wall_us = 1793318400 * STORY_S},
        .sims = sims,
        .sims_n = ENDPOINTS_N,
        .access_fd = -1};
    struct world *w;

    make_yaml(t, r);
    make_sims(sims, r);
    w = world_new(&o, &report);
    if (w == NULL && strstr(report.text, "leaves a request no endpoint") == NULL)
        printf("# %s\n%s\n", report.text, t->bytes);
    return w;
}

struct asked {
    struct header headers[2];
    char model[8];
    struct caller *c;
};

static void ask(struct world *w, struct asked *a, bool sensitive, struct rng *r)
{
    static const struct header BY[WHYS_N] = {{SLICE("X-Tidegate-Sensitive"), SLICE("local-only")},
                                             {SLICE("X-Other"), SLICE("x")},
                                             {SLICE("X-Secret"), SLICE("yes")}};
    static const struct header TEAM = {SLICE("X-Team"), SLICE("a")};
    uint64_t why = rng_below(r, WHYS_N);
    struct caller_ask how = {
        .to = w->listen, .path = "/v1/chat/completions", .headers = a->headers, .headers_n = 2};

    a->headers[0] =
        (struct header){SLICE("Authorization"), sensitive && why == BY_KEY ? SLICE("Bearer key-of-strict")
                                                                           : SLICE("Bearer key-for-tests")};
    a->headers[1] = sensitive ? BY[why] : TEAM;
    snprintf(a->model, sizeof a->model, "m%d", (int)rng_below(r, MODELS_N + 1));
    how.body = story_body(a->model, maybe(r, 2),
                          maybe(r, 2) ? "short"
                                      : "a prompt that is much longer, so that it "
                                        "has more than twenty tokens by any count "
                                        "of them, whoever makes it",
                          NULL);
    a->c = caller_start(w->client_loop, &how, NULL, NULL);
}

struct counts {
    uint64_t near_n, far_n; /* requests that came there */
    int full_n, refused_n, failed_n, reloads_n;
};

static void note_end(struct asked *a, struct counts *n)
{
    const char *code;

    if (a->c->status == 200 && a->c->complete) {
        n->full_n++;
    } else {
        code = story_error_code(a->c);
        n->refused_n += strcmp(code, "no_local_endpoint") == 0;
        n->failed_n++;
    }
    caller_free(&a->c);
}

/* One world: requests all through it, a reload in their midst. */
static void run_round(bool sensitive, struct rng *r, struct counts *n)
{
    struct text *t = mem_alloc(sizeof *t);
    struct asked asked[REQUESTS_N];
    struct world *w = begin(t, r);

    for (int i = 0; w != NULL && i < REQUESTS_N; i++) {
        struct config_report report;

        ask(w, &asked[i], sensitive, r);
        world_run(w, (int64_t)rng_below(r, 200) * STORY_MS);
        if (i != REQUESTS_N / 3 && i != REQUESTS_N * 2 / 3)
            continue;
        make_yaml(t, r);
        n->reloads_n += world_reload(w, t->bytes, &report) == ERR_OK;
    }
    for (int i = 0; w != NULL && i < REQUESTS_N; i++) {
        CHECK(story_wait(w, asked[i].c, 60 * STORY_S));
        note_end(&asked[i], n);
    }
    for (int i = 0; w != NULL && i < ENDPOINTS_N; i++)
        *(i < NEAR_N ? &n->near_n : &n->far_n) += sim_stats(w->sims[i])->requests_n;
    if (w != NULL)
        story_end(&w);
    mem_free(t);
}

TEST(a_sensitive_request_reaches_no_endpoint_that_is_not_local)
{
    struct counts n = {0};
    struct rng r;

    rng_seed(&r, 11);
    for (int i = 0; i < ROUNDS; i++)
        run_round(true, &r, &n);
    CHECK_INT((long long)n.far_n, 0);
    CHECK(n.near_n > ROUNDS && n.full_n > ROUNDS && n.failed_n > ROUNDS && n.reloads_n > ROUNDS);
    CHECK(n.refused_n > 0); /* some models have no local endpoint */
}

/* The same requests without the word go anywhere: the test above can fail. */
TEST(what_is_not_sensitive_reaches_them)
{
    struct counts n = {0};
    struct rng r;

    rng_seed(&r, 11);
    for (int i = 0; i < ROUNDS / 4; i++)
        run_round(false, &r, &n);
    CHECK(n.far_n > ROUNDS / 4 && n.near_n > ROUNDS / 4);
    CHECK_INT(n.refused_n, 0);
}

/* -- one by one ------------------------------------------------------------------------------------------ */

#define LOCAL_AND_CLOUD                                                                      \
    "listen: 10.0.0.9:80\n"                                                                  \
    "keys: [{name: tester, key: key-for-tests}]\n"                                           \
    "endpoints:\n"                                                                           \
    "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, local: true}\n" \
    "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"              \
    "models:\n"                                                                              \
    "  - {name: both, tiers: [[{endpoint: two}], [{endpoint: one}]]}\n"                      \
    "  - {name: far, tiers: [[{endpoint: two}]]}\n"                                          \
    "  - {name: big, tiers: [[{endpoint: two}]]}\n"                                          \
    "rules: [{if: {prompt_tokens: '>50'}, model: big}, {if: {header: {x-team: a}}, use: one}]\n"

static struct caller *wait_for(struct world *w, struct caller *c)
{
    CHECK(story_wait(w, c, 100 * STORY_S));
    return c;
}

TEST(the_header_tightens_and_nothing_else_can_be_said_with_it)
{
    struct story s;
    struct world *w;
    struct caller *c;

    story_init(&s, LOCAL_AND_CLOUD);
    w = story_begin(&s);
    c = wait_for(
        w, story_ask_with(w, story_body("both", false, "x", NULL), 0, "x-tidegate-sensitive", "local-only"));
    CHECK_STR(c->endpoint, "one");
    caller_free(&c);
    c = wait_for(w, story_ask_with(w, story_body("both", false, "x", NULL), 0, "x-tidegate-sensitive", "no"));
    CHECK_INT(c->status, 400);
    CHECK_STR(story_error_code(c), "invalid_field");
    caller_free(&c);
    c = wait_for(
        w, story_ask_with(w, story_body("far", false, "x", NULL), 0, "x-tidegate-sensitive", "local-only"));
    CHECK_INT(c->status, 403);
    CHECK_STR(story_error_code(c), "no_local_endpoint");
    caller_free(&c);
    CHECK_INT((long long)sim_stats(w->sims[1])->requests_n, 0);
    story_end(&w);
}

TEST(a_local_endpoint_that_is_down_is_no_reason_to_go_elsewhere)
{
    struct story s;
    struct world *w;
    struct caller *c;

    story_init(&s, LOCAL_AND_CLOUD "timeouts: {deadline: 10s}\n");
    s.one.fault_p[SIM_500] = 1;
    w = story_begin(&s);
    c = wait_for(
        w, story_ask_with(w, story_body("both", false, "x", NULL), 0, "x-tidegate-sensitive", "local-only"));
    CHECK(c->status >= 500);
    CHECK_STR(c->endpoint, "one");
    caller_free(&c);
    CHECK_INT((long long)sim_stats(w->sims[1])->requests_n, 0);
    story_end(&w);
}

TEST(rules_by_size_and_header_send_requests_elsewhere)
{
    static const char LONG[] =
        "many words, and then many more words, until nobody could say that it were a short "
        "prompt any longer, for it has gone on and on, through one clause after the other, "
        "and is not at its end yet, although by now it must be well past its fifty tokens";
    struct story s;
    struct world *w;
    struct caller *c;

    story_init(&s, LOCAL_AND_CLOUD);
    w = story_begin(&s);
    c = wait_for(w, story_ask(w, story_body("both", true, "x", NULL)));
    CHECK_STR(c->endpoint, "two");
    caller_free(&c);
    c = wait_for(w, story_ask_with(w, story_body("both", true, "x", NULL), 0, "x-team", "a"));
    CHECK_STR(c->endpoint, "one");
    caller_free(&c);
    c = wait_for(w, story_ask_with(w, story_body("far", true, "x", NULL), 0, "x-team", "a"));
    CHECK_INT(c->status, 403);
    CHECK_STR(story_error_code(c), "forbidden_by_rule");
    caller_free(&c);
    c = wait_for(w, story_ask_with(w, story_body("both", false, LONG, NULL), 0, "x-team", "a"));
    CHECK_INT(c->status, 200);
    CHECK(slice_find(buf_slice(&c->body), SLICE("\"model\":\"big\"")) >= 0);
    caller_free(&c);
    story_end(&w);
}
