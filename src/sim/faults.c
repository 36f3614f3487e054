/* SPDX-License-Identifier: MIT */
/* The table of faults, and the suffixes of model names that choose them. */
#include "sim/faults.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"

#define DAY_US (24 * 3600 * CLOCK_SECOND_US)
#define SIGMA_MAX 10.0
#define K_DRAWN_MAX 20
#define KNOWN                                                                                          \
    "ttft=TIME, gap=TIME, tokens=N, queue=TIME, size=N, hang, 429, 500, 503, cut=K, stall=K, nodone, " \
    "malformed=K, empty"

static const struct {
    const char *name;
    bool has_k;
} FAULTS[SIM_FAULT_N] = {
    [SIM_NONE] = {"", false},       [SIM_HANG] = {"hang", false},      [SIM_429] = {"429", false},
    [SIM_500] = {"500", false},     [SIM_503] = {"503", false},        [SIM_CUT] = {"cut", true},
    [SIM_STALL] = {"stall", true},  [SIM_NO_DONE] = {"nodone", false}, [SIM_MALFORMED] = {"malformed", true},
    [SIM_EMPTY] = {"empty", false},
};

const char *sim_fault_name(enum sim_fault f)
{
    ASSERT((unsigned)f < SIM_FAULT_N);
    return FAULTS[f].name;
}

enum sim_fault sim_fault_of(struct slice name)
{
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        if (slice_eq(name, slice_of(FAULTS[f].name)))
            return (enum sim_fault)f;
    }
    return SIM_NONE;
}

/* -- times ---------------------------------------------------------------------------------------------- */

/* Digits, perhaps with a fraction, at the front of *s, which is moved behind them. */
static bool take_decimal(struct slice *s, double *out)
{
    double unit = 1;
    size_t digits_n = 0;

    *out = 0;
    for (; s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9'; *s = slice_from(*s, 1), digits_n++)
        *out = *out * 10 + (s->p[0] - '0');
    if (digits_n == 0 || s->n == 0 || s->p[0] != '.')
        return digits_n > 0;
    *s = slice_from(*s, 1);
    for (digits_n = 0; s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9'; *s = slice_from(*s, 1), digits_n++) {
        unit /= 10;
        *out += unit * (s->p[0] - '0');
    }
    return digits_n > 0;
}

static double unit_us(struct slice name)
{
    static const struct {
        struct slice name;
        double us;
    } UNITS[] = {{SLICE("us"), 1}, {SLICE("ms"), 1e3}, {SLICE("s"), 1e6}, {SLICE("m"), 60e6}};

    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (slice_eq(name, UNITS[i].name))
            return UNITS[i].us;
    }
    return -1;
}

bool sim_time_parse(struct slice text, struct sim_time *out)
{
    struct slice sigma, rest = slice_cut(text, ':', &sigma);
    double number, unit, deviation = 0;

    if (!take_decimal(&rest, &number))
        return false;
    unit = rest.n == 0 && number == 0 ? 1 : unit_us(rest);
    if (unit < 0 || !(number * unit <= (double)DAY_US))
        return false;
    if (sigma.p != NULL && (!take_decimal(&sigma, &deviation) || sigma.n > 0 || deviation > SIGMA_MAX))
        return false;
    *out = (struct sim_time){(int64_t)llround(number * unit), deviation};
    return true;
}

int64_t sim_time_draw(const struct sim_time *t, struct rng *dice)
{
    double us;

    if (t->sigma <= 0 || t->median_us <= 0)
        return t->median_us;
    us = (double)t->median_us * exp(t->sigma * rng_normal(dice));
    return us < (double)DAY_US ? (int64_t)us : DAY_US;
}

/* -- suffixes ------------------------------------------------------------------------------------------- */

static bool set_fault(struct sim_plan *p, enum sim_fault f, struct slice value)
{
    uint64_t k;

    if (p->fault != SIM_NONE)
        return false; /* one fault to a request */
    p->fault = f;
    if (value.p == NULL)
        return true;
    if (!FAULTS[f].has_k || !slice_to_u64(value, SIM_TOKENS_MAX, &k))
        return false;
    p->k = (int64_t)k;
    return true;
}

static bool set_number(struct slice value, uint64_t max, uint64_t *out)
{
    return value.p != NULL && slice_to_u64(value, max, out);
}

static bool set_item(struct sim_plan *p, struct slice item)
{
    struct slice value, name = slice_cut(item, '=', &value);
    enum sim_fault f = sim_fault_of(name);
    struct sim_time t;
    uint64_t n;

    if (f != SIM_NONE)
        return set_fault(p, f, value);
    if (slice_eq(name, SLICE("ttft")))
        return sim_time_parse(value, &p->ttft);
    if (slice_eq(name, SLICE("gap")))
        return sim_time_parse(value, &p->gap);
    if (slice_eq(name, SLICE("queue"))) {
        if (!sim_time_parse(value, &t))
            return false;
        p->queue_us = t.median_us;
        return true;
    }
    if (slice_eq(name, SLICE("tokens"))) {
        if (!set_number(value, SIM_TOKENS_MAX, &n) || n == 0)
            return false;
        p->tokens = (int64_t)n;
        return true;
    }
    if (slice_eq(name, SLICE("size"))) {
        if (!set_number(value, SIM_SIZE_MAX, &n))
            return false;
        p->size = (size_t)n;
        return true;
    }
    return false;
}

static bool obey(struct sim_plan *p, struct slice suffix, struct arena *arena, const char **why)
{
    do {
        struct slice item = slice_cut(suffix, ',', &suffix);

        if (!set_item(p, item)) {
            *why =
                arena_printf(arena,
                             "The simulator does not understand \"%.*s\" behind the ~ of the model's name; "
                             "it knows: " KNOWN " (one fault at a time).",
                             SLICE_ARG(item))
                    .p;
            return false;
        }
    } while (suffix.p != NULL);
    return true;
}

/* One throw decides, so that the dice stand where they stood whatever the probabilities are. */
static enum sim_fault draw_fault(const struct sim_opts *o, struct rng *dice)
{
    double u = rng_unit(dice);

    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        u -= o->fault_p[f];
        if (u < 0)
            return (enum sim_fault)f;
    }
    return SIM_NONE;
}

bool sim_plan_make(const struct sim_opts *o, struct slice model, struct rng *dice, struct arena *arena,
                   struct sim_plan *out, const char **why)
{
    enum sim_fault drawn = draw_fault(o, dice);
    int64_t k = 1 + (int64_t)rng_below(dice, K_DRAWN_MAX);
    struct slice suffix;

    *out = (struct sim_plan){.ttft = o->ttft, .gap = o->gap, .tokens = -1};
    out->k = o->fault_after > 0 ? o->fault_after : k;
    (void)slice_cut(model, '~', &suffix);
    if (suffix.p != NULL && !obey(out, suffix, arena, why))
        return false;
    if (out->fault == SIM_NONE)
        out->fault = drawn;
    return true;
}
