/* SPDX-License-Identifier: MIT */
/* The comparison of docs/slots.md through the real gateway and simulator, in virtual time: providers that
 * refuse what is past their slots, or let it wait; slots that are known, or learned; 0.7 to 10 times what
 * they can do. Lengths are those of the Azure chat sample, arrivals are Poisson. `prove -v` shows the
 * figures.
 *
 * Service = 0.2 s + 0.1 ms per prompt token + 30 ms per answer token. Answers are told in tenths: as long,
 * but with a tenth of the events. The line is bounded, so that whoever is let in can still be answered in
 * time. */
#include <math.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "rehearse/drill.h"
#include "support/samples.h"
#include "tap.h"

#define S CLOCK_SECOND_US
#define MS CLOCK_MS_US
#define TARGET_S 2.0 /* of the limiter, to the first token */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SLOW 1 /* some tenfold */
#else
#define IS_SLOW 0
#endif

static const struct trace *sample;
static double mean_s; /* of a service */
static struct drill_result r;

static void read_sample(void)
{
    struct trace_fault bad;

    if (sample != NULL)
        return;
    sample = samples_trace("azure2023_conv_10min.csv", &bad);
    ASSERT(sample != NULL);
    for (size_t i = 0; i < sample->rows_n; i++)
        mean_s += (0.2 + 0.0001 * sample->rows[i].prompt_tokens + 0.03 * sample->rows[i].answer_tokens) /
                  (double)sample->rows_n;
}

/* What is offered from one moment on, as a multiple of what the slots can do. */
struct offer {
    double from_s, load;
};

struct run {
    int slots;
    bool queues, known;
    struct offer offers[2]; /* the second: load 0, or what comes later */
    double from_s, to_s;    /* measured */
    uint64_t seed;
};

/* Arrivals by dice, lengths drawn from the sample. */
static struct trace make_trace(const struct run *o)
{
    double per_s = o->slots / mean_s, at_s = 0;
    struct trace t = {.format = TRACE_AZURE};
    struct rng dice;
    size_t cap = 0;

    rng_seed(&dice, o->seed);
    for (;;) {
        bool later = o->offers[1].load > 0 && at_s >= o->offers[1].from_s;
        const struct trace_row *row = &sample->rows[rng_below(&dice, sample->rows_n)];

        at_s += rng_exp(&dice, 1 / (per_s * o->offers[later].load));
        if (at_s >= o->to_s)
            return t;
        if (t.rows_n == cap) {
            cap = cap > 0 ? 2 * cap : 1024;
            t.rows = mem_realloc(t.rows, cap * sizeof *t.rows);
        }
        t.rows[t.rows_n++] = (struct trace_row){.at_us = (int64_t)(at_s * S),
                                                .prompt_tokens = row->prompt_tokens,
                                                .answer_tokens = row->answer_tokens / 10 + 1};
    }
}

static const struct drill_figures *run(const char *name, const struct run *o)
{
    struct drill_scenario s = {
        .name = "overload",
        .what = "More than there are slots for.",
        .providers = {{.name = "main",
                       .slots = o->slots,
                       .queues = o->queues,
                       .account = o->known ? DRILL_KNOWN : DRILL_LEARNED,
                       .ttft_us = 200 * MS,
                       .prefill_us = 100 * MS,
                       .gap_us = 300 * MS}},
        .crowds = {{.name = "apps",
                    .priority = PRIORITY_NORMAL,
                    .scale = 1,
                    .once = true,
                    .deadline_us = 30 * S,
                    .prompt = {1, 0}}},
        .duration_s = o->to_s,
        .from_s = o->from_s,
        .to_s = o->to_s,
        .trouble_s = o->offers[1].load > 0 ? 1 : 0,
        .calm_s = o->offers[1].from_s,
        .slow_us = 12 * S,
    };
    struct trace t;
    char more[64];

    read_sample();
    t = make_trace(o);
    snprintf(more, sizeof more, "limits: {line: %d}\n",
             (int)(o->slots / mean_s * 4) + 1); /* 4 s of waiting */
    s.more = more;
    s.crowds[0].trace = &t;
    CHECK(drill_run(&s, &(struct drill_opts){.seed = o->seed}, &r));
    mem_free(t.rows);
    printf("# %-9s %-6s %-8s load %4.1f seed %d: goodput %6.2f %%, refused %5.2f/s, at 30 s %.2f, recovery "
           "%.0f ms, "
           "token p99 %.0f ms\n",
           name, o->queues ? "queue" : "hard", o->known ? "known" : "learned", o->offers[0].load,
           (int)o->seed, 100 * r.gateway.goodput, r.gateway.refused_per_s, r.gateway.found[0],
           r.gateway.recovery_ms, drill_class_p99_ms(&s, r.gateway.ttft, PRIORITY_NORMAL));
    return &r.gateway;
}

static const double LOADS[] = {0.7, 1.5, 3, 10};

/* Runs every load; the smallest goodput. *refused: the most. */
static double worst(bool queues, bool known, double *refused)
{
    double least = 10;

    *refused = 0;
    for (size_t i = 0; i < COUNT_OF(LOADS); i++) {
        struct run o = {.slots = 100,
                        .queues = queues,
                        .known = known,
                        .offers = {{0, LOADS[i]}},
                        .from_s = 60,
                        .to_s = 210,
                        .seed = 1 + i};
        const struct drill_figures *f;

        if (IS_SLOW && LOADS[i] != 1.5)
            continue;
        f = run("steady", &o);
        least = fmin(least, f->goodput);
        *refused = fmax(*refused, f->refused_per_s);
    }
    return least;
}

TEST(a_known_cap_loses_nothing)
{
    double refused;

    CHECK(worst(false, true, &refused) >= 0.97);
    CHECK(refused == 0);
    CHECK(worst(true, true, &refused) >= 0.97);
}

TEST(a_provider_that_refuses_is_used_to_92_per_cent)
{
    double refused;

    CHECK(worst(false, false, &refused) >= 0.92);
    CHECK(refused < 1);
}

TEST(a_provider_that_queues_is_used_to_94_per_cent)
{
    double refused;

    CHECK(worst(true, false, &refused) >= 0.94);
    CHECK(refused == 0);
}

/* Where requests wait, the slots and as many more as are served within the target are right. */
TEST(the_slots_are_found_within_30_s)
{
    for (int i = 0; i < (IS_SLOW ? 2 : 6); i++) {
        static const int slots[] = {13, 100, 300};
        struct run o = {.slots = slots[i / 2],
                        .queues = i % 2,
                        .offers = {{0, 2.5}},
                        .from_s = 20,
                        .to_s = 35,
                        .seed = 5 + (uint64_t)i};
        double found = run("30 s", &o)->found[0];

        CHECK(found >= 0.9 - 1.0 / o.slots);
        CHECK(found <= 1.1 * (o.queues ? 1 + TARGET_S / mean_s : 1) + 1.0 / o.slots);
    }
}

TEST(what_is_left_of_an_overload_is_gone_in_30_s)
{
    for (int i = 0; i < (IS_SLOW ? 1 : 4); i++) {
        struct run o = {.slots = 50,
                        .queues = i % 2,
                        .known = i / 2,
                        .offers = {{0, 10}, {90, 0.7}},
                        .from_s = 120,
                        .to_s = 240,
                        .seed = 9};
        const struct drill_figures *f = run("recovery", &o);

        CHECK(f->recovery_ms <= 30000);
        CHECK(f->goodput >= 0.97);
    }
}

TEST(two_hours_of_overload_change_nothing)
{
    for (int queues = 0; queues < 2; queues++) {
        struct run o = {.slots = 20,
                        .queues = queues,
                        .offers = {{0, 1.5}},
                        .from_s = IS_SLOW ? 300 : 3600,
                        .to_s = IS_SLOW ? 600 : 7200,
                        .seed = 4};
        const struct drill_figures *f = run("2 h", &o);

        CHECK(f->goodput >= (queues ? 0.94 : 0.92));
        CHECK(f->refused_per_s < 1);
    }
}
