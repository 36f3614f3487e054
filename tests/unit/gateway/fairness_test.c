/* SPDX-License-Identifier: MIT */
/* The line as clients meet it, in a whole gateway in virtual time: tenants, classes, deadlines, and what
 * those who wait are told. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/stats.h"
#include "support/story.h"
#include "tap.h"

#define SLOTS_N 8
#define SERVICE_US (1000 * STORY_MS) /* of an answer: time to first token, then 20 tokens on average */
#define KEYS_N 5

#define YAML(keys, slots, more)                                                                         \
    "listen: 10.0.0.9:80\n" keys "accounts: [{name: main, slots: {'*': " #slots "}}]\n"                 \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n" more
#define FIVE                                                                                              \
    "keys: [{name: a, key: key-a}, {name: b, key: key-b}, {name: c, key: key-c}, {name: d, key: key-d}, " \
    "{name: e, key: key-e}]\n"

static const char *const KEYS[KEYS_N] = {"Bearer key-a", "Bearer key-b", "Bearer key-c", "Bearer key-d",
                                         "Bearer key-e"};

static struct world *begin(const char *yaml, int workers, uint64_t seed)
{
    struct story s;

    story_init(&s, yaml);
    s.workers = workers;
    s.seed = seed;
    s.one.ttft = (struct sim_time){200 * STORY_MS, 0};
    s.one.gap = (struct sim_time){40 * STORY_MS, 0};
    return story_begin(&s);
}

/* -- arrivals -------------------------------------------------------------------------------------------- */

struct visit {
    int64_t at_us;
    int key;
    struct header headers[3];
    struct caller *caller;
};

static struct caller *ask(struct world *w, struct visit *v, size_t i, size_t headers_n)
{
    char prompt[32];
    struct caller_ask ask = {
        .to = w->listen, .path = "/v1/chat/completions", .headers = v->headers, .headers_n = headers_n};

    snprintf(prompt, sizeof prompt, "hello %zu", i);
    ask.body = story_body("any", true, prompt, NULL);
    v->headers[0] = (struct header){SLICE("Authorization"), slice_of(KEYS[v->key])};
    return caller_start(w->client_loop, &ask, NULL, NULL);
}

static int by_time(const void *a, const void *b)
{
    const struct visit *v = a, *u = b;

    return (v->at_us > u->at_us) - (v->at_us < u->at_us);
}

/* Adds Poisson arrivals of a key, so many a second. */
static size_t add_visits(struct visit *v, size_t n, int key, double per_s, int64_t until_us, struct rng *dice)
{
    double at = rng_exp(dice, 1e6 / per_s);

    for (; at < (double)until_us; at += rng_exp(dice, 1e6 / per_s))
        v[n++] = (struct visit){.at_us = (int64_t)at, .key = key};
    return n;
}

static void play(struct world *w, struct visit *v, size_t n)
{
    int64_t began_us = vnet_now_us(w->net);

    qsort(v, n, sizeof *v, by_time);
    for (size_t i = 0; i < n; i++) {
        world_run(w, began_us + v[i].at_us - vnet_now_us(w->net));
        v[i].caller = ask(w, &v[i], i, 1);
    }
    for (size_t i = 0; i < n; i++)
        CHECK(story_wait(w, v[i].caller, 700 * STORY_S));
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Of the time to first token of all keys but one. */
static int64_t p99_of_others(const struct visit *v, size_t n, int but)
{
    int64_t *us = mem_alloc((n + 1) * sizeof *us), p99;
    size_t found_n = 0;

    for (size_t i = 0; i < n; i++) {
        if (v[i].key == but)
            continue;
        CHECK_INT(v[i].caller->status, 200);
        us[found_n++] = v[i].caller->first_us - v[i].caller->started_us;
    }
    qsort(us, found_n, sizeof *us, by_size);
    p99 = us[found_n * 99 / 100];
    mem_free(us);
    return p99;
}

static void free_visits(struct visit **v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        caller_free(&(*v)[i].caller);
    mem_free(*v);
    *v = NULL;
}

/* -- one who floods -------------------------------------------------------------------------------------- */

#define VISITS_MAX 8000
#define QUIET_PER_S 0.8 /* of each of four: together 40 % of what the slots can do */

static int64_t p99_with(double flood_per_s, int workers)
{
    struct visit *v = mem_zalloc(VISITS_MAX * sizeof *v);
    struct world *w = begin(YAML(FIVE, 8, "timeouts: {deadline: 600s}\n"), workers, 7);
    struct rng dice;
    int64_t p99;
    size_t n = 0;

    rng_seed(&dice, 3);
    for (int k = 0; k < 4; k++)
        n = add_visits(v, n, k, QUIET_PER_S, 120 * STORY_S, &dice);
    if (flood_per_s > 0)
        n = add_visits(v, n, 4, flood_per_s, 60 * STORY_S, &dice);
    ASSERT(n < VISITS_MAX);
    play(w, v, n);
    p99 = p99_of_others(v, n, 4);
    free_visits(&v, n);
    story_end(&w);
    return p99;
}

/* Five times what all slots together can do, for a minute; the line has hundreds of it for minutes. */
TEST(one_tenant_that_floods_moves_the_others_p99_wait_by_at_most_one_service_time)
{
    for (int workers = 1; workers <= 2; workers++) {
        int64_t alone = p99_with(0, workers), beside = p99_with(5 * SLOTS_N, workers);

        CHECK(beside <= alone + SERVICE_US);
        printf("# alone %lld ms, beside %lld ms\n", (long long)(alone / 1000), (long long)(beside / 1000));
    }
}

/* -- classes --------------------------------------------------------------------------------------------- */

#define CLASSES                                                                                   \
    "keys: [{name: a, key: key-a, priority: high}, {name: b, key: key-b}, {name: c, key: key-c, " \
    "priority: bulk}, {name: d, key: key-d}, {name: e, key: key-e}]\n"

/* Normal and bulk together ask for several times what there is. */
TEST(a_better_class_does_not_wait_behind_a_worse_one)
{
    struct visit *v = mem_zalloc(VISITS_MAX * sizeof *v);
    struct world *w = begin(YAML(CLASSES, 8, "timeouts: {deadline: 30s}\n"), 1, 7);
    int64_t longest_us[3] = {0};
    size_t served_n[3] = {0}, n = 0;
    struct rng dice;

    rng_seed(&dice, 3);
    n = add_visits(v, n, 0, 0.5, 60 * STORY_S, &dice);
    n = add_visits(v, n, 1, 20, 60 * STORY_S, &dice);
    n = add_visits(v, n, 2, 20, 60 * STORY_S, &dice);
    play(w, v, n);
    for (size_t i = 0; i < n; i++) {
        const struct caller *c = v[i].caller;
        int64_t us = c->first_us - c->started_us;

        if (c->status != 200 || c->error_event)
            continue;
        served_n[v[i].key]++;
        longest_us[v[i].key] = us > longest_us[v[i].key] ? us : longest_us[v[i].key];
    }
    CHECK(served_n[0] > 15 && longest_us[0] < 1500 * STORY_MS);
    CHECK(served_n[1] > 400); /* nearly all that 8 slots can do in 60 s */
    CHECK(served_n[2] < 150); /* what came before the normal ones filled the line, and after they had left */
    free_visits(&v, n);
    story_end(&w);
}

TEST(nobody_raises_itself_above_the_class_of_its_key)
{
    struct world *w = begin(YAML(CLASSES, 1, ""), 1, 7);
    struct visit v[4] = {{.key = 1}, {.key = 1}, {.key = 2}, {.key = 1}};

    v[2].headers[1] = (struct header){SLICE("x-tidegate-priority"), SLICE("critical")}; /* it is bulk */
    for (size_t i = 0; i < 4; i++) {
        v[i].caller = ask(w, &v[i], i, i == 2 ? 2 : 1);
        world_run(w, 5 * STORY_MS);
    }
    for (size_t i = 0; i < 4; i++)
        CHECK(story_wait(w, v[i].caller, 60 * STORY_S));
    CHECK(v[1].caller->first_us < v[3].caller->first_us);
    CHECK(v[3].caller->first_us < v[2].caller->first_us);
    for (size_t i = 0; i < 4; i++)
        caller_free(&v[i].caller);
    story_end(&w);
}

/* -- deadlines ------------------------------------------------------------------------------------------- */

TEST(of_one_tenant_the_earliest_deadline_is_first)
{
    static const char *const DEADLINES[] = {"60000", "60000", "20000", "40000"};
    static const size_t ORDER[] = {0, 2, 3, 1};
    struct world *w = begin(YAML(FIVE, 1, ""), 1, 7);
    struct visit v[4] = {{.key = 0}, {.key = 0}, {.key = 0}, {.key = 0}};

    for (size_t i = 0; i < 4; i++) {
        v[i].headers[1] = (struct header){SLICE("x-tidegate-deadline-ms"), slice_of(DEADLINES[i])};
        v[i].caller = ask(w, &v[i], i, 2);
        world_run(w, 5 * STORY_MS);
    }
    for (size_t i = 0; i < 4; i++)
        CHECK(story_wait(w, v[i].caller, 60 * STORY_S));
    for (size_t i = 1; i < 4; i++)
        CHECK(v[ORDER[i - 1]].caller->first_us < v[ORDER[i]].caller->first_us);
    for (size_t i = 0; i < 4; i++)
        caller_free(&v[i].caller);
    story_end(&w);
}

struct refused {
    size_t early_n, late_n, served_n;
};

/* Three times what there is, with deadlines of 10 s. */
static struct refused overload(void)
{
    struct visit *v = mem_zalloc(VISITS_MAX * sizeof *v);
    struct world *w = begin(YAML(FIVE, 8, "timeouts: {deadline: 10s}\n"), 1, 7);
    struct refused r = {0};
    struct rng dice;
    size_t n = 0;

    rng_seed(&dice, 3);
    for (int k = 0; k < KEYS_N; k++)
        n = add_visits(v, n, k, 3.0 * SLOTS_N / KEYS_N, 120 * STORY_S, &dice);
    play(w, v, n);
    for (size_t i = 0; i < n; i++) {
        const struct caller *c = v[i].caller;
        bool told = strcmp(story_error_code(c), "wait_too_long") == 0;

        if (told) {
            CHECK_INT(c->status, 429);
            CHECK(c->ended_us - c->started_us < 10 * STORY_MS);
            CHECK(strtol(c->retry_after, NULL, 10) >= 1 && strtol(c->retry_after, NULL, 10) <= 60);
        }
        r.early_n += told;
        r.served_n += c->status == 200 && !c->error_event;
        r.late_n += !told && (c->status != 200 || c->error_event);
    }
    free_visits(&v, n);
    story_end(&w);
    return r;
}

TEST(who_cannot_make_its_deadline_is_told_at_once_and_the_others_make_it)
{
    struct refused r = overload();

    CHECK(r.early_n > 1500);
    CHECK(r.late_n * 20 < r.served_n); /* told too late: before the speed was known, or by chance */
    printf("# %zu told at once, %zu too late, %zu served\n", r.early_n, r.late_n, r.served_n);
    CHECK(r.served_n > 900); /* of 960 that 8 slots can serve in 120 s */
}

/* One is being answered, another one waits. */
TEST(a_line_that_is_full_says_by_what)
{
    static const struct {
        const char *limit, *words;
    } ROWS[] = {{"limits: {line: 1}\n", "limits.line)"},
                {"limits: {line_bytes: 100B}\n", "limits.line_bytes)"}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char yaml[2048];
        struct visit v[3] = {{.at_us = 0}};
        struct world *w;

        snprintf(yaml, sizeof yaml, "%s%s", YAML(FIVE, 1, ""), ROWS[i].limit);
        w = begin(yaml, 1, 7);
        for (size_t k = 0; k < COUNT_OF(v); k++) {
            v[k].caller = ask(w, &v[k], k, 1);
            world_run(w, 5 * STORY_MS);
        }
        CHECK(v[2].caller->ended_us != 0);
        CHECK_INT(v[2].caller->status, 429);
        CHECK_STR(story_error_code(v[2].caller), "queue_full");
        CHECK_STR(v[2].caller->retry_after, "1");
        CHECK(slice_find(buf_slice(&v[2].caller->body), slice_of(ROWS[i].words)) > 0);
        for (size_t k = 0; k < COUNT_OF(v); k++) {
            CHECK(story_wait(w, v[k].caller, 60 * STORY_S));
            caller_free(&v[k].caller);
        }
        story_end(&w);
    }
}

/* -- what those who wait are told ------------------------------------------------------------------------ */

/* The first comment with an eta, and when it was due. */
static bool first_eta(const struct caller *c, int *position, int *eta_s)
{
    struct slice body = buf_slice(&c->body), line;

    while (body.p != NULL) {
        line = slice_cut(body, '\n', &body);
        if (line.p != NULL && slice_find(line, SLICE(" eta=")) >= 0)
            return sscanf(line.p, ": queued position=%d eta=%ds", position, eta_s) == 2;
    }
    return false;
}

/* 40 more than the slots take, always: whoever is served is followed by another one. Its first comment comes
 * after a second. */
TEST(those_who_wait_are_told_their_place_and_time_honestly)
{
    struct world *w = begin(YAML(FIVE, 8, "timeouts: {deadline: 600s, hold: 1s, comment: 60s}\n"), 2, 7);
    struct visit v[48] = {{.at_us = 0}};
    size_t told_n = 0, honest_n = 0, asked_n = 0;
    double waited_s = 0, promised_s = 0;

    for (int turn = 0; turn < 1500; turn++) {
        for (size_t i = 0; i < COUNT_OF(v); i++) {
            struct caller *c = v[i].caller;
            int position, eta_s;

            if (c != NULL && c->ended_us == 0)
                continue;
            if (c != NULL && turn > 400 && first_eta(c, &position, &eta_s)) {
                double left_s = (double)(c->first_us - c->started_us - 1200 * STORY_MS) / 1e6;

                told_n++;
                waited_s += left_s;
                promised_s += eta_s;
                honest_n += eta_s <= left_s * 1.5 + 1 && left_s <= eta_s * 1.5 + 1;
                CHECK(position >= 1 && position <= 48);
            }
            caller_free(&v[i].caller);
            v[i].key = (int)(asked_n % KEYS_N);
            v[i].caller = ask(w, &v[i], asked_n++, 1);
        }
        world_run(w, 100 * STORY_MS);
    }
    for (size_t i = 0; i < COUNT_OF(v); i++) {
        CHECK(story_wait(w, v[i].caller, 60 * STORY_S));
        caller_free(&v[i].caller);
    }
    CHECK(told_n > 400 && honest_n * 100 >= told_n * 95);
    CHECK(promised_s < waited_s * 1.25 + 0.5 * (double)told_n && promised_s > waited_s * 0.8);
    printf("# %zu told, %zu honestly: waited %.1f s, promised %.1f s\n", told_n, honest_n,
           waited_s / (double)told_n, promised_s / (double)told_n);
    story_end(&w);
}

TEST(the_figures_say_what_waits)
{
    struct world *w = begin(YAML(FIVE, 1, ""), 1, 7);
    struct visit v[5] = {{.at_us = 0}};
    int64_t bytes;

    for (size_t i = 0; i < COUNT_OF(v); i++)
        v[i].caller = ask(w, &v[i], i, 1);
    world_run(w, 50 * STORY_MS);
    bytes = world_metric(w, METRIC_LINE_BYTES, 0);
    CHECK_INT(world_metric(w, METRIC_LINE_DEPTH, 0), 4);
    CHECK_INT(bytes, 4 * (int64_t)v[0].caller->ask.body.n);
    caller_leave(v[4].caller);
    for (size_t i = 0; i < COUNT_OF(v); i++) {
        CHECK(story_wait(w, v[i].caller, 60 * STORY_S));
        caller_free(&v[i].caller);
    }
    CHECK_INT(world_metric(w, METRIC_LINE_BYTES, 0), 0);
    story_end(&w);
}
