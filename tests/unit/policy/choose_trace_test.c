/* SPDX-License-Identifier: MIT */
/* policy/choose and policy/prefix on the Mooncake trace, as studies of routing replay it: eight engines,
 * 8,000 prompt tokens a second and 3,000 blocks of cache each. The rivals see what no gateway sees, the
 * engines' own caches and speeds; ours has estimates that are wrong by up to a quarter. All in virtual time.
 */
#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/choose.h"
#include "policy/prefix.h"
#include "support/engines.h"
#include "support/samples.h"
#include "tap.h"

#define ENGINES_N 8
#define ENGINE_TOKEN_US 125.0
#define ENGINE_BLOCKS 3000
#define TOKEN_BYTES 4
#define BLOCK_BYTES (TRACE_BLOCK_TOKENS * TOKEN_BYTES)
#define SEEDS_N 3

enum way {
    WAY_OURS,
    WAY_NO_PREFIX,   /* ours without the index */
    WAY_QUEUED_NEW,  /* least queued and new tokens, by exact caches: the best row of the study */
    WAY_REAL_WORK,   /* least work that is really left, by exact caches and speeds: nobody can do better */
    WAY_ROUND_ROBIN, /* the row that shows that this is the study's model: 3.18 s, 9.1 % on the whole trace */
    WAYS_N
};

struct sent {
    struct choose_charge charge;
    int64_t first_us;
    int engine;
};

struct run {
    const struct trace *trace;
    const struct prefix_prompt *prompts;
    enum way way;
    double speed;
    struct engine engines[ENGINES_N];
    struct choose_target targets[ENGINES_N];
    struct prefix *prefix;
    struct rng dice;
    struct sent *sent;
    size_t done[ENGINES_N]; /* by engine: up to where in `sent` first tokens were told of */
};

struct figures {
    double mean_s, p99_s, hit;
};

/* -- the trace as text ----------------------------------------------------------------------------------- */

static void write_block(char *out, uint32_t id)
{
    struct rng words;

    rng_seed(&words, id);
    for (size_t i = 0; i < BLOCK_BYTES; i += 8) {
        uint64_t word = rng_u64(&words);
        memcpy(out + i, &word, 8);
    }
}

static struct prefix_prompt *prompts_of(const struct trace *t)
{
    struct prefix_prompt *prompts = mem_zalloc(t->rows_n * sizeof *prompts);
    char block[BLOCK_BYTES];

    for (size_t i = 0; i < t->rows_n; i++) {
        const struct trace_row *row = &t->rows[i];
        size_t left = (size_t)row->prompt_tokens * TOKEN_BYTES;

        prefix_begin(&prompts[i], 1, (struct slice){"m", 1});
        for (uint32_t k = 0; k < row->blocks_n; k++) {
            size_t n = left < BLOCK_BYTES ? left : BLOCK_BYTES;
            write_block(block, t->blocks[row->blocks_at + k]);
            prefix_feed(&prompts[i], (struct slice){block, n});
            left -= n;
        }
    }
    return prompts;
}

/* -- one run --------------------------------------------------------------------------------------------- */

/* First tokens until now, engine by engine: each engine's come in the order of its calls. */
static void tell_first_tokens(struct run *r, size_t sent_n, int64_t now_us)
{
    for (int e = 0; e < ENGINES_N; e++) {
        for (; r->done[e] < sent_n; r->done[e]++) {
            struct sent *s = &r->sent[r->done[e]];
            if (s->engine != e)
                continue;
            if (s->first_us > now_us)
                break;
            choose_first_token(&r->targets[e], &s->charge, s->first_us);
        }
    }
}

static int64_t new_tokens(const struct run *r, int e, const struct trace_row *row)
{
    size_t hits = engine_hits(&r->engines[e], r->trace->blocks + row->blocks_at, row->blocks_n);
    int64_t left = (int64_t)row->prompt_tokens - (int64_t)hits * TRACE_BLOCK_TOKENS;

    return left > 1 ? left : 1;
}

static int pick_exact(const struct run *r, const struct trace_row *row, int64_t now_us)
{
    double best = HUGE_VAL;
    int got = 0;

    for (int e = 0; e < ENGINES_N; e++) {
        const struct engine *g = &r->engines[e];
        double queue_us = g->free_us > now_us ? (double)(g->free_us - now_us) : 0;
        double cost = r->way == WAY_QUEUED_NEW ? (double)(r->targets[e].queued + new_tokens(r, e, row))
                                               : queue_us + (double)new_tokens(r, e, row) * g->token_us;
        if (cost < best) {
            best = cost;
            got = e;
        }
    }
    return got;
}

/* What a gateway takes a prompt for: its count of tokens is an estimate by bytes. */
static int64_t estimate(struct run *r, const struct trace_row *row)
{
    return (int64_t)((double)row->prompt_tokens * (0.75 + 0.5 * rng_unit(&r->dice)));
}

/* Also fills new_n: the tokens that the call is charged with. */
static int pick(struct run *r, size_t i, int64_t now_us, int64_t *new_n)
{
    const struct trace_row *row = &r->trace->rows[i];
    int64_t prompt = estimate(r, row), cached[ENGINES_N];
    struct choose_set set = {r->targets, NULL, ENGINES_N, NULL};
    struct choose_ask ask = {UINT64_MAX, prompt, r->way == WAY_NO_PREFIX ? NULL : cached, now_us};
    int got;

    prefix_match(r->prefix, &r->prompts[i], now_us, cached, ENGINES_N);
    for (int e = 0; e < ENGINES_N; e++)
        cached[e] = prefix_tokens(cached[e], r->prompts[i].bytes, prompt);
    if (r->way == WAY_OURS || r->way == WAY_NO_PREFIX) {
        got = choose_pick(&set, &ask, &r->dice, NULL);
        *new_n = prompt - (ask.cached ? cached[got] : 0);
        return got;
    }
    got = r->way == WAY_ROUND_ROBIN ? (int)(i % ENGINES_N) : pick_exact(r, row, now_us);
    *new_n = new_tokens(r, got, row);
    return got;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct figures replay(struct run *r)
{
    size_t n = r->trace->rows_n;
    double *ttft_s = mem_alloc(n * sizeof *ttft_s), sum = 0, hit = 0, all = 0;
    struct figures f;

    for (size_t i = 0; i < n; i++) {
        const struct trace_row *row = &r->trace->rows[i];
        int64_t now_us = (int64_t)((double)row->at_us / r->speed), charged, fresh;
        int e;

        tell_first_tokens(r, i, now_us);
        e = pick(r, i, now_us, &charged);
        fresh = new_tokens(r, e, row);
        r->sent[i] = (struct sent){.engine = e};
        choose_charge(&r->targets[e], &r->sent[i].charge, charged, now_us);
        prefix_note(r->prefix, (size_t)e, &r->prompts[i], now_us);
        r->sent[i].first_us =
            engine_send(&r->engines[e], r->trace->blocks + row->blocks_at, row->blocks_n, fresh, now_us);
        ttft_s[i] = (double)(r->sent[i].first_us - now_us) / 1e6;
        sum += ttft_s[i];
        hit += (double)(row->prompt_tokens - fresh);
        all += (double)row->prompt_tokens;
    }
    tell_first_tokens(r, n, INT64_MAX);
    prefix_check(r->prefix);
    for (int e = 0; e < ENGINES_N; e++)
        CHECK(r->targets[e].queued == 0 && r->targets[e].calls_n == 0);
    qsort(ttft_s, n, sizeof *ttft_s, ascending);
    f = (struct figures){sum / (double)n, ttft_s[n * 99 / 100], hit / all};
    mem_free(ttft_s);
    return f;
}

struct world {
    struct trace *trace;
    struct prefix_prompt *prompts;
    uint32_t ids_n;
};

static bool open_world(struct world *w, struct trace *t)
{
    *w = (struct world){.trace = t};
    if (!CHECK(t != NULL && t->rows_n > 0))
        return false;
    for (size_t i = 0; i < t->blocks_n; i++)
        w->ids_n = t->blocks[i] >= w->ids_n ? t->blocks[i] + 1 : w->ids_n;
    w->prompts = prompts_of(t);
    return true;
}

static void close_world(struct world *w)
{
    mem_free(w->prompts);
    trace_free(&w->trace);
}

static struct figures one_run(const struct world *w, enum way way, double speed, const double *slow,
                              uint64_t seed)
{
    struct prefix_opts opts = {1 << 15, (int64_t)ENGINE_BLOCKS * BLOCK_BYTES, 3600 * CLOCK_SECOND_US};
    struct run *r = MEM_NEW(struct run);
    struct figures f;

    r->trace = w->trace;
    r->prompts = w->prompts;
    r->way = way;
    r->speed = speed;
    r->prefix = prefix_new(&opts);
    r->sent = mem_zalloc(w->trace->rows_n * sizeof *r->sent);
    rng_seed(&r->dice, seed);
    for (int e = 0; e < ENGINES_N; e++)
        engine_init(&r->engines[e], ENGINE_TOKEN_US * (slow ? slow[e] : 1), ENGINE_BLOCKS, w->ids_n);
    f = replay(r);
    for (int e = 0; e < ENGINES_N; e++)
        engine_fini(&r->engines[e]);
    prefix_free(&r->prefix);
    mem_free(r->sent);
    mem_free(r);
    return f;
}

/* The mean over the seeds. */
static struct figures runs(const struct world *w, enum way way, double speed, const double *slow)
{
    static const char *const NAMES[WAYS_N] = {
        [WAY_OURS] = "choose",
        [WAY_NO_PREFIX] = "choose, no prefixes",
        [WAY_QUEUED_NEW] = "least queued + new",
        [WAY_REAL_WORK] = "least real work",
        [WAY_ROUND_ROBIN] = "round robin",
    };
    struct figures sum = {0};

    for (uint64_t seed = 1; seed <= SEEDS_N; seed++) {
        struct figures f = one_run(w, way, speed, slow, seed);
        sum.mean_s += f.mean_s / SEEDS_N;
        sum.p99_s += f.p99_s / SEEDS_N;
        sum.hit += f.hit / SEEDS_N;
    }
    printf("# x%.1f %-20s mean %.3f s, p99 %.2f s, reused %.1f %%\n", speed, NAMES[way], sum.mean_s,
           sum.p99_s, sum.hit * 100);
    return sum;
}

static void within(const struct world *w, double speed, const double *slow, double of_best)
{
    struct figures ours = runs(w, WAY_OURS, speed, slow), best = runs(w, WAY_QUEUED_NEW, speed, slow);

    CHECK(ours.mean_s <= best.mean_s * of_best);
    CHECK(ours.p99_s <= best.p99_s * of_best);
}

TEST(ten_minutes_are_within_a_tenth_of_the_best_row)
{
    struct trace_fault bad;
    struct world w;

    if (!open_world(&w, samples_trace("mooncake_conversation_10min.jsonl", &bad)))
        return;
    within(&w, 1.0, NULL, 1.10);
    within(&w, 1.3, NULL, 1.10);
    close_world(&w);
}

/* Reuse is worth something, and tokens are worth more than turns. */
TEST(every_part_of_the_cost_earns_its_place)
{
    struct trace_fault bad;
    struct figures ours, no_prefix, round_robin;
    struct world w;

    if (!open_world(&w, samples_trace("mooncake_conversation_10min.jsonl", &bad)))
        return;
    ours = runs(&w, WAY_OURS, 1.0, NULL);
    no_prefix = runs(&w, WAY_NO_PREFIX, 1.0, NULL);
    round_robin = runs(&w, WAY_ROUND_ROBIN, 1.0, NULL);
    CHECK(ours.mean_s < no_prefix.mean_s * 0.85);
    CHECK(no_prefix.mean_s < round_robin.mean_s * 0.65);
    CHECK(ours.hit > 2 * no_prefix.hit);
    close_world(&w);
}

/* Nobody told us which engines are slow: the time per token has to find out. */
TEST(slow_engines_are_found_and_given_less)
{
    static const double slow[ENGINES_N] = {1, 1, 1, 1, 1, 2, 2, 4};
    struct trace_fault bad;
    struct figures ours, best, unaware;
    struct world w;

    if (!open_world(&w, samples_trace("mooncake_conversation_10min.jsonl", &bad)))
        return;
    ours = runs(&w, WAY_OURS, 0.7, slow);
    best = runs(&w, WAY_REAL_WORK, 0.7, slow);
    unaware = runs(&w, WAY_QUEUED_NEW, 0.7, slow);
    CHECK(ours.mean_s <= best.mean_s * 1.15);
    CHECK(ours.mean_s < unaware.mean_s);
    close_world(&w);
}

static struct trace *whole_trace(void)
{
    const char *folder = getenv("TIDEGATE_TRACES");
    size_t n, max = 4 << 20;
    struct trace *t = NULL;
    struct trace_fault bad;
    char path[512], *text;
    FILE *f;

    if (folder == NULL)
        return NULL;
    snprintf(path, sizeof path, "%s/mooncake/conversation_trace.jsonl", folder);
    f = fopen(path, "re");
    if (f == NULL)
        return NULL;
    text = mem_alloc(max);
    n = fread(text, 1, max, f);
    fclose(f);
    t = trace_read((struct slice){text, n}, &bad);
    mem_free(text);
    return t;
}

/* The study's figures: round robin 3.18 s at 9.1 % reused, the best row 1.37 s, and 1.62 s at speed 1.3. */
TEST(the_whole_hour_is_within_a_tenth_of_the_published_row)
{
    struct trace *t = whole_trace();
    struct figures round_robin;
    struct world w;

    if (t == NULL) {
        fprintf(stderr, "# skipped: TIDEGATE_TRACES names no folder with the whole Mooncake trace\n");
        CHECK(getenv("TIDEGATE_TRACES") == NULL); /* a folder that is named must hold it */
        return;
    }
    if (!open_world(&w, t))
        return;
    round_robin = runs(&w, WAY_ROUND_ROBIN, 1.0, NULL);
    CHECK(fabs(round_robin.mean_s - 3.18) < 0.02 && fabs(round_robin.hit - 0.091) < 0.001);
    runs(&w, WAY_REAL_WORK, 1.0, NULL);
    within(&w, 1.0, NULL, 1.10);
    within(&w, 1.3, NULL, 1.10);
    CHECK(runs(&w, WAY_OURS, 1.0, NULL).mean_s <= 1.37 * 1.10);
    CHECK(runs(&w, WAY_OURS, 1.3, NULL).mean_s <= 1.62 * 1.10);
    close_world(&w);
}
