/* SPDX-License-Identifier: MIT */
/* Arrivals: processes, traces, scaling that keeps the shape, and that a seed decides everything. */
#include "load/source.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"
#include "support/samples.h"
#include "tap.h"

#define SECOND CLOCK_SECOND_US

static struct source_opts defaults(void)
{
    return (struct source_opts){.seed = 1,
                                .speed = 1,
                                .scale = 1,
                                .rate = 100,
                                .cv = 1,
                                .prompt = {100, 0},
                                .prompt_max = 1000000,
                                .duration_us = CLOCK_NEVER_US,
                                .limit = UINT64_MAX,
                                .stream_share = 1,
                                .shared_kinds = 1};
}

static struct source *begin(const struct source_opts *o)
{
    const char *why = "";
    struct source *s = source_new(o, &why);

    if (!CHECK(s != NULL))
        printf("# %s\n", why);
    return s;
}

struct summary {
    uint64_t n, streams, shared, leave, of_class[SOURCE_CLASSES_MAX];
    double cv;
    int64_t last_us;
    uint64_t prompt, answer;
};

static struct summary sum_up(const struct source_opts *o)
{
    struct source *s = begin(o);
    struct summary m = {0};
    struct arrival a;
    double sum = 0, squares = 0;

    while (source_next(s, &a)) {
        double gap = (double)(a.at_us - m.last_us);

        if (a.at_us < m.last_us || a.number != m.n)
            CHECK(false);
        sum += gap;
        squares += gap * gap;
        m.last_us = a.at_us;
        m.n++;
        m.streams += a.stream;
        m.shared += a.shared >= 0;
        m.leave += a.leave_us > 0;
        m.prompt += a.prompt_tokens;
        m.answer += a.answer_tokens;
        if (a.class_no != SOURCE_NO_CLASS)
            m.of_class[a.class_no]++;
    }
    CHECK(!source_next(s, &a)); /* the end stays the end */
    if (m.n > 1)
        m.cv = sqrt(squares / (double)m.n - sum / (double)m.n * (sum / (double)m.n)) / (sum / (double)m.n);
    source_free(&s);
    return m;
}

TEST(constant_arrivals_do_not_drift)
{
    struct source_opts o = defaults();
    struct source *s;
    struct arrival a;

    o.process = PROCESS_CONSTANT;
    o.rate = 3;
    o.limit = 30001;
    s = begin(&o);
    for (uint64_t i = 0; source_next(s, &a); i++) {
        if (llabs(a.at_us - (int64_t)(i * 1000000 / 3)) > 1)
            CHECK(false);
    }
    CHECK_INT(a.number, 30001); /* none came any more */
    source_free(&s);
    CHECK_INT(sum_up(&o).last_us, 10000 * SECOND);
}

TEST(processes_have_their_rate_and_deviation)
{
    static const double CVS[] = {0.3, 1, 2.5};

    for (size_t i = 0; i < COUNT_OF(CVS); i++) {
        struct source_opts o = defaults();
        struct summary m;

        o.process = CVS[i] == 1 ? PROCESS_POISSON : PROCESS_GAMMA;
        o.cv = CVS[i];
        o.duration_us = 2000 * SECOND;
        m = sum_up(&o);
        CHECK(m.last_us < o.duration_us);
        if (!CHECK(fabs((double)m.n / 200000 - 1) < 0.03 && fabs(m.cv / CVS[i] - 1) < 0.05))
            printf("# cv %g: n %llu cv %g\n", CVS[i], (unsigned long long)m.n, m.cv);
    }
}

TEST(limits_end_it)
{
    struct source_opts o = defaults();

    o.limit = 17;
    CHECK_INT(sum_up(&o).n, 17);
    o.limit = 0;
    CHECK_INT(sum_up(&o).n, 0);
    o = defaults();
    o.process = PROCESS_CONSTANT;
    o.duration_us = SECOND;
    CHECK_INT(sum_up(&o).n, 100); /* that at one second is out */
}

TEST(shares_are_kept)
{
    struct source_opts o = defaults();
    struct summary m;

    o.limit = 100000;
    o.class_share[1] = 0.2;
    o.class_share[3] = 0.8;
    o.stream_share = 0.7;
    o.shared_share = 0.4;
    o.shared_kinds = 3;
    o.leave_share = 0.1;
    o.leave_us = SECOND;
    m = sum_up(&o);
    CHECK(fabs((double)m.of_class[1] - 20000) < 500);
    CHECK_INT(m.of_class[1] + m.of_class[3], 100000);
    CHECK(fabs((double)m.streams - 70000) < 500);
    CHECK(fabs((double)m.shared - 40000) < 500);
    CHECK(fabs((double)m.leave - 10000) < 500);
    CHECK_INT(m.prompt, 100 * 100000);
    CHECK_INT(m.answer, 0);
}

static bool same(const struct arrival *a, const struct arrival *b)
{
    return a->at_us == b->at_us && a->number == b->number && a->prompt_tokens == b->prompt_tokens &&
           a->answer_tokens == b->answer_tokens && a->class_no == b->class_no && a->stream == b->stream &&
           a->shared == b->shared && a->copy == b->copy && a->leave_us == b->leave_us;
}

TEST(a_seed_repeats_everything)
{
    struct source_opts o = defaults();
    struct arrival a, b, c;
    struct source *one, *two, *other;
    int differ_n = 0;

    o.process = PROCESS_GAMMA;
    o.cv = 2;
    o.prompt.sigma = o.answer.sigma = 1;
    o.answer.median = 20;
    o.class_share[0] = o.class_share[2] = 0.5;
    o.stream_share = 0.5;
    o.limit = 1000;
    one = begin(&o);
    two = begin(&o);
    o.seed = 2;
    other = begin(&o);
    for (int i = 0; i < 1000; i++) {
        CHECK(source_next(one, &a) && source_next(two, &b) && source_next(other, &c));
        if (!same(&a, &b))
            CHECK(false);
        differ_n += !same(&a, &c);
    }
    CHECK(differ_n > 990);
    source_free(&one);
    source_free(&two);
    source_free(&other);
}

/* -- traces ---------------------------------------------------------------------------------------------- */

static struct trace *sample(const char *name)
{
    struct trace_fault bad;
    struct trace *t = samples_trace(name, &bad);

    CHECK(t != NULL);
    return t;
}

TEST(a_trace_is_replayed_as_it_was)
{
    struct trace *t = sample("azure2023_conv_10min.csv");
    const struct trace *traces[] = {t};
    struct source_opts o = defaults();
    struct source *s;
    struct arrival a;

    o.traces = traces;
    o.traces_n = 1;
    s = begin(&o);
    for (size_t i = 0; i < t->rows_n; i++) {
        if (!source_next(s, &a) || a.at_us != t->rows[i].at_us ||
            a.prompt_tokens != t->rows[i].prompt_tokens || a.answer_tokens != t->rows[i].answer_tokens)
            CHECK(false);
    }
    CHECK(!source_next(s, &a));
    source_free(&s);
    trace_free(&t);
}

TEST(speed_and_scale_keep_the_shape)
{
    struct trace *t = sample("azure2023_conv_10min.csv");
    const struct trace *traces[] = {t};
    struct source_opts o = defaults();
    struct summary plain, fast, twice, half, part;

    o.traces = traces;
    o.traces_n = 1;
    plain = sum_up(&o);
    o.speed = 40;
    fast = sum_up(&o);
    CHECK_INT(fast.n, plain.n);
    CHECK_INT(fast.last_us, plain.last_us / 40);
    CHECK(fabs(fast.cv - plain.cv) < 0.001);
    o.speed = 1;
    o.scale = 2;
    twice = sum_up(&o);
    CHECK_INT(twice.n, 2 * plain.n);
    CHECK_INT(twice.prompt, 2 * plain.prompt);
    CHECK_INT(twice.answer, 2 * plain.answer);
    CHECK(twice.last_us >= plain.last_us - SECOND && twice.last_us <= plain.last_us);
    o.scale = 0.25;
    half = sum_up(&o);
    CHECK(fabs((double)half.n / (double)plain.n - 0.25) < 0.03);
    o.scale = 2.5;
    CHECK(fabs((double)sum_up(&o).n / (double)plain.n - 2.5) < 0.03);
    o.scale = 1;
    o.from_us = 300 * SECOND;
    part = sum_up(&o);
    CHECK(part.n < plain.n && part.last_us == plain.last_us - 300 * SECOND);
    trace_free(&t);
}

/* Copies come between their row and the next, and have blocks of their own. */
TEST(copies_of_a_row)
{
    static struct trace_row rows[] = {{0, 10, 5, 1, 0}, {1000, 20, 6, 1, 1}, {1000, 30, 7, 1, 2}};
    static uint32_t blocks[] = {4, 5, 6};
    struct trace t = {.format = TRACE_MOONCAKE, .rows = rows, .rows_n = 3, .blocks = blocks, .blocks_n = 3};
    const struct trace *traces[] = {&t};
    struct source_opts o = defaults();
    struct source *s;
    struct arrival a;

    o.traces = traces;
    o.traces_n = 1;
    o.scale = 50;
    s = begin(&o);
    for (unsigned i = 0; i < 150; i++) {
        CHECK(source_next(s, &a));
        CHECK_INT(a.copy, i % 50);
        CHECK_INT(a.blocks[0], blocks[i / 50]);
        CHECK(i < 50 ? a.at_us >= 0 && a.at_us <= 1000 : a.at_us == 1000);
    }
    CHECK(!source_next(s, &a));
    source_free(&s);
}

TEST(own_lengths_replace_those_of_a_trace)
{
    struct trace *t = sample("mooncake_conversation_1min.jsonl");
    const struct trace *traces[] = {t};
    struct source_opts o = defaults();
    struct summary m;

    o.traces = traces;
    o.traces_n = 1;
    o.own_prompt = o.own_answer = true;
    o.answer.median = 3;
    m = sum_up(&o);
    CHECK_INT(m.prompt, 100 * t->rows_n);
    CHECK_INT(m.answer, 3 * t->rows_n);
    o.own_prompt = false;
    o.prompt_max = 1000;
    CHECK(sum_up(&o).prompt <= 1000 * t->rows_n);
    trace_free(&t);
}

static double expected(const struct trace *t)
{
    double n = 0;

    for (size_t i = 0; i < t->windows_n; i++)
        n += t->windows[i].rate * (double)(t->windows[i].to_us - t->windows[i].from_us) / (double)SECOND;
    return n;
}

TEST(clients_of_servegen_come_together)
{
    struct trace *one = sample("servegen_deepseek_r1/chunk-64-trace.csv");
    struct trace *two = sample("servegen_deepseek_r1/chunk-37-trace.csv");
    struct trace *three = sample("servegen_deepseek_r1/chunk-18-trace.csv");
    const struct trace *traces[] = {one, two, three};
    struct source_opts o = defaults();
    double want = expected(one) + expected(two) + expected(three);
    struct summary m, alone;

    o.traces = traces;
    o.traces_n = 3;
    o.from_us = 36000 * SECOND; /* ten o'clock */
    m = sum_up(&o);
    CHECK(fabs((double)m.n - want) <= 36); /* a coin for each window and client */
    CHECK(m.last_us <= 7200 * SECOND);
    o.scale = 10;
    CHECK(fabs((double)sum_up(&o).n - 10 * want) <= 36);
    o.speed = 100;
    CHECK(sum_up(&o).last_us <= 72 * SECOND);
    o.scale = o.speed = 1;
    o.traces_n = 1;
    alone = sum_up(&o);
    CHECK(fabs((double)alone.n - expected(one)) <= 12);
    trace_free(&one);
    trace_free(&two);
    trace_free(&three);
}

/* Windows of Gamma gaps with a shape below 1 are burstier than those above. */
TEST(the_gaps_of_a_window_follow_its_pattern)
{
    static const double SHAPES[] = {0.25, 1, 4};

    for (size_t i = 0; i < COUNT_OF(SHAPES); i++) {
        struct trace_window w = {0, 100000 * SECOND, 1, GAPS_GAMMA, SHAPES[i]};
        struct trace t = {.format = TRACE_SERVEGEN, .windows = &w, .windows_n = 1};
        const struct trace *traces[] = {&t};
        struct source_opts o = defaults();
        struct summary m;

        o.traces = traces;
        o.traces_n = 1;
        m = sum_up(&o);
        CHECK_INT(m.n, 100000);
        CHECK(m.last_us < w.to_us); /* one more gap lies behind the last */
        CHECK(fabs(m.cv * sqrt(SHAPES[i]) - 1) < 0.03);
    }
}

TEST(a_window_that_would_not_fit_is_refused)
{
    struct trace_window w = {0, 600 * SECOND, 1000, GAPS_GAMMA, 1};
    struct trace t = {.format = TRACE_SERVEGEN, .windows = &w, .windows_n = 1};
    const struct trace *traces[] = {&t};
    struct source_opts o = defaults();
    const char *why = "";

    o.traces = traces;
    o.traces_n = 1;
    o.scale = 20;
    CHECK(source_new(&o, &why) == NULL);
    CHECK(strstr(why, "--scale") != NULL);
}
