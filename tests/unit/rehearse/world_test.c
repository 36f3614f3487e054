/* SPDX-License-Identifier: MIT */
/* Worlds: a seed repeats a run to the microsecond, another seed differs, and how many workers there are
 * changes no answer. */
#include "rehearse/world.h"

#include <sys/mman.h>

#include "base/clock.h"
#include "base/mem.h"
#include "support/story.h"
#include "tap.h"

#define CALLERS_N 150

static uint64_t mix(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * 1099511628211U;
    return hash;
}

static uint64_t mix_int(uint64_t hash, int64_t v)
{
    return mix(hash, &v, sizeof v);
}

static uint64_t mix_buf(uint64_t hash, const struct buf *b)
{
    return mix(mix_int(hash, (int64_t)b->n), b->p, b->n);
}

/* What of a run must be equal. */
struct run {
    uint64_t answers; /* what every caller was told, without ids and times */
    uint64_t whole;   /* that, ids, times, every metric and every access line */
    uint64_t turns;
    int64_t ended_us;
    size_t complete_n, failed_n, left_n;
};

/* Ways to end that are the request's own: a refusal would rest the endpoint for whoever comes next. */
static const char *const MODELS[] = {"any",       "any~ttft=300ms",  "any~tokens=90", "any~gap=20ms",
                                     "any~cut=3", "any~malformed=2", "any~tokens=1"};

static const char YAML[] =
    "listen: 10.0.0.9:80\n"
    "workers: %d\n"
    "keys: [{name: tester, key: key-for-tests}]\n"
    "accounts: [{name: a, slots: {'*': 12}}]\n"
    "endpoints:\n"
    "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: a}\n"
    "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"
    "models: [{name: '*', tiers: [[{endpoint: one}], [{endpoint: two}]]}]\n"
    "timeouts: {deadline: 600s}\n";

static struct world *begin(uint64_t seed, int workers, double fault_p, int access_fd)
{
    struct config_report report = {.text = ""};
    struct story s;
    struct world_sim sims[2];
    char yaml[1024];
    struct world_opts o = {.yaml = yaml, .sims = sims, .sims_n = 2, .access_fd = access_fd};
    struct world *w;

    story_init(&s, "");
    s.one.fault_p[SIM_503] = s.one.fault_p[SIM_CUT] = fault_p;
    s.one.gap.sigma = 0.5;
    s.one.seed = seed;
    s.two.seed = seed + 1;
    sims[0] = (struct world_sim){.at = "10.0.0.1:80", .opts = s.one};
    sims[1] = (struct world_sim){.at = "10.0.0.2:80", .opts = s.two};
    snprintf(yaml, sizeof yaml, YAML, workers);
    o.net = (struct vnet_opts){.seed = seed, .latency_us = 200, .wall_us = 1793318400 * STORY_S};
    w = world_new(&o, &report);
    if (!CHECK(w != NULL))
        printf("# %s\n", report.text);
    return w;
}

static void judge(struct run *r, const struct caller *c)
{
    uint64_t h;

    if (!c->left) { /* how far it had come when it left is a matter of time */
        h = mix_int(mix_int(r->answers, c->status), c->complete);
        h = mix_int(mix_int(h, c->done), c->error_event);
        r->answers = mix_buf(h, &c->text);
    }
    h = mix_buf(mix_int(r->whole, c->why), &c->body);
    h = mix(mix(h, c->endpoint, sizeof c->endpoint), c->request_id, sizeof c->request_id);
    h = mix(h, c->retry_after, sizeof c->retry_after);
    h = mix_int(mix_int(h, (int64_t)c->events_n), c->started_us);
    r->whole = mix_int(mix_int(mix_int(h, c->head_us), c->first_us), c->ended_us);
    r->left_n += c->left;
    r->complete_n += c->complete && c->status == 200;
    r->failed_n += c->error_event || c->status >= 400;
}

static void judge_world(struct run *r, struct world *w, int access_fd)
{
    struct metrics *blocks[16];
    size_t n = app_metrics(w->app, blocks);
    struct buf page;
    char line[4096];
    ssize_t got;

    buf_init(&page, 1 << 20, NULL);
    CHECK_INT(metrics_render(blocks, n, &page), ERR_OK);
    CHECK(page.n > 1000);
    r->whole = mix_buf(r->whole, &page);
    buf_fini(&page);
    CHECK(lseek(access_fd, 0, SEEK_SET) == 0);
    for (got = 1; got > 0;) {
        got = read(access_fd, line, sizeof line);
        r->whole = mix(r->whole, line, got > 0 ? (size_t)got : 0);
    }
    r->ended_us = vnet_now_us(w->net);
}

/* Many callers, streaming or not, some of whom leave, one every few milliseconds. */
static struct run run(uint64_t seed, int workers, double fault_p)
{
    struct run r = {.answers = 14695981039346656037U, .whole = 14695981039346656037U};
    struct caller *callers[CALLERS_N];
    int access_fd = memfd_create("access", MFD_CLOEXEC);
    struct world *w = begin(seed, workers, fault_p, access_fd);

    for (int i = 0; i < CALLERS_N; i++) {
        char prompt[32];
        const char *model = fault_p > 0 ? "any" : MODELS[i % (int)COUNT_OF(MODELS)];

        snprintf(prompt, sizeof prompt, "question %d", i);
        r.turns += world_run(w, (i * 7 % 13) * STORY_MS);
        callers[i] = story_ask_with(w, story_body(model, i % 3 != 0, prompt, NULL),
                                    i % 29 == 0 ? 5 * STORY_MS : 0, NULL, NULL);
    }
    r.turns += world_run(w, 700 * STORY_S);
    for (int i = 0; i < CALLERS_N; i++) {
        CHECK(callers[i]->ended_us != 0);
        judge(&r, callers[i]);
        caller_free(&callers[i]);
    }
    CHECK(world_is_idle(w));
    judge_world(&r, w, access_fd);
    story_end(&w);
    close(access_fd);
    return r;
}

TEST(one_seed_is_one_run)
{
    for (int workers = 1; workers <= 5; workers += 4) {
        struct run a = run(7, workers, 0.1), b = run(7, workers, 0.1);

        CHECK(a.answers == b.answers);
        CHECK(a.whole == b.whole);
        CHECK_INT(a.turns, b.turns);
        CHECK_INT(a.ended_us, b.ended_us);
        CHECK(a.complete_n > CALLERS_N / 2 && a.failed_n > 0 && a.left_n > 0);
    }
}

TEST(another_seed_is_another_run)
{
    struct run a = run(7, 2, 0.1), b = run(8, 2, 0.1);

    CHECK(a.whole != b.whole);
    CHECK(a.answers != b.answers); /* other requests met the faults */
}

TEST(the_answers_do_not_depend_on_the_number_of_workers)
{
    struct run one = run(7, 1, 0), two = run(7, 2, 0), five = run(7, 5, 0);

    CHECK(one.answers == two.answers);
    CHECK(one.answers == five.answers);
    CHECK(one.whole != two.whole);
    CHECK(one.complete_n > CALLERS_N / 2 && one.failed_n > 0 && one.left_n > 0);
    CHECK_INT(one.failed_n, five.failed_n);
}

TEST(nor_on_the_seed_where_no_dice_are_thrown)
{
    CHECK(run(7, 2, 0).answers == run(1234, 2, 0).answers);
}

/* -- the seams ------------------------------------------------------------------------------------------ */

TEST(a_configuration_that_is_refused_makes_no_world)
{
    struct config_report report = {.text = ""};
    struct world_opts o = {.yaml = "listen: 10.0.0.9:80\nmodles: []\n", .access_fd = -1};

    CHECK(world_new(&o, &report) == NULL);
    CHECK(strstr(report.text, "models") != NULL);
}

TEST(a_world_that_ends_cuts_what_is_open)
{
    struct story s;
    struct world *w;
    struct caller *waiting, *hanging;

    story_init(&s, STORY_ONE("openai", "/v1"));
    s.workers = 2;
    w = story_begin(&s);
    CHECK(world_is_idle(w));
    waiting = story_ask(w, story_body("any~ttft=100s", true, "x", NULL));
    hanging = story_ask(w, story_body("any~hang", false, "x", NULL));
    world_run(w, STORY_S);
    CHECK(!world_is_idle(w));
    CHECK_INT(world_metric(w, METRIC_EXCHANGES, 0), 2);
    caller_free(&hanging);
    world_run(w, STORY_S);
    CHECK_INT(world_metric(w, METRIC_EXCHANGES, 0), 1);
    caller_free(&waiting);
    world_free(&w); /* asserts that nothing was left behind */
    CHECK(w == NULL);
    world_free(&w);
}

TEST(a_run_ends_at_its_time_or_when_it_is_told)
{
    struct story s;
    struct world *w;
    struct caller *c;
    bool stop = true;
    int64_t from_us;

    story_init(&s, STORY_ONE("openai", "/v1"));
    w = story_begin(&s);
    world_run(w, STORY_S);
    from_us = vnet_now_us(w->net);
    c = story_ask(w, story_body("any~ttft=2s", true, "x", NULL));
    CHECK_INT(c->started_us, from_us);
    CHECK_INT(world_run_until(w, STORY_S, &stop), 0);
    CHECK_INT(vnet_now_us(w->net), from_us);
    stop = false;
    CHECK(world_run_until(w, STORY_S, &stop) > 0);
    CHECK_INT(vnet_now_us(w->net), from_us + STORY_S);
    CHECK_INT(c->ended_us, 0);
    CHECK(story_wait(w, c, 10 * STORY_S));
    CHECK(c->complete);
    caller_free(&c);
    story_end(&w);
}
