/* SPDX-License-Identifier: MIT */
/* The words that suffixes, listeners and timelines share, and what follows from them for one request. */
#include "sim/plan.h"

#include "base/buf.h"
#include "base/clock.h"

#define K_DRAWN_MAX 20
#define WORDS_MAX 4096

/* -- items: modifiers ----------------------------------------------------------------------------------- */

static bool take_ttft(struct sim_plan *p, struct slice value)
{
    return value.p != NULL && sim_time_parse(value, &p->ttft);
}

static bool take_gap(struct sim_plan *p, struct slice value)
{
    return value.p != NULL && sim_time_parse(value, &p->gap);
}

static bool take_queue(struct sim_plan *p, struct slice value)
{
    return sim_duration_parse(value, &p->queue_us);
}

static bool take_tokens(struct sim_plan *p, struct slice value)
{
    uint64_t n;

    if (value.p == NULL || !slice_to_u64(value, SIM_TOKENS_MAX, &n) || n == 0)
        return false;
    p->tokens = (int64_t)n;
    return true;
}

static bool take_size(struct sim_plan *p, struct slice value)
{
    uint64_t n;

    if (value.p == NULL || !slice_to_u64(value, SIM_SIZE_MAX, &n))
        return false;
    p->size = (size_t)n;
    return true;
}

/* Seconds, perhaps negative, or one of the words; "date:TIME" is an HTTP date that far ahead. */
static bool take_retry_after(struct sim_plan *p, struct slice value)
{
    static const char *const NAMES[] = {"none", "past", "huge", "garbage"};
    struct slice rest, digits = value;
    int64_t us;
    uint64_t n;

    if (value.n == 0)
        return false;
    p->retry_after = value;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (slice_eq(value, slice_of(NAMES[i])))
            return true;
    }
    if (slice_eq(slice_cut(value, ':', &rest), SLICE("date")))
        return sim_duration_parse(rest, &us);
    if (slice_starts(digits, SLICE("-")))
        digits = slice_from(digits, 1);
    return slice_to_u64(digits, UINT32_MAX, &n);
}

static bool take_comments(struct sim_plan *p, struct slice value)
{
    static const struct {
        struct slice name;
        unsigned bits;
    } PLACES[] = {
        {SLICE("first"), SIM_COMMENT_FIRST},
        {SLICE("between"), SIM_COMMENT_BETWEEN},
        {SLICE("id"), SIM_COMMENT_ID},
        {SLICE("done"), SIM_COMMENT_DONE},
        {SLICE("all"), SIM_COMMENT_FIRST | SIM_COMMENT_BETWEEN | SIM_COMMENT_ID | SIM_COMMENT_DONE}};

    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        if (slice_eq(value, PLACES[i].name)) {
            p->comments |= PLACES[i].bits;
            return true;
        }
    }
    return false;
}

static bool take_continue(struct sim_plan *p, struct slice value)
{
    p->continues = true;
    return value.p == NULL;
}

static bool take_tool(struct sim_plan *p, struct slice value)
{
    p->calls_tool = true;
    return value.p == NULL;
}

static const struct item {
    struct slice name;
    const char *value; /* what stands behind the "=", for messages; "": nothing */
    bool (*take)(struct sim_plan *p, struct slice value); /* value.p NULL: there was no "=" */
} ITEMS[] = {
    {SLICE("ttft"), "=TIME", take_ttft},
    {SLICE("gap"), "=TIME", take_gap},
    {SLICE("tokens"), "=N", take_tokens},
    {SLICE("queue"), "=TIME", take_queue},
    {SLICE("size"), "=N", take_size},
    {SLICE("retry_after"), "=SECONDS|date:TIME|past|huge|garbage|none", take_retry_after},
    {SLICE("comments"), "=first|between|id|done|all", take_comments},
    {SLICE("continue"), "", take_continue},
    {SLICE("tool"), "", take_tool},
};

/* -- items: faults -------------------------------------------------------------------------------------- */

static bool take_fault(struct sim_plan *p, enum sim_fault f, struct slice value)
{
    uint64_t k;

    p->fault = f;
    if (value.p == NULL)
        return true;
    switch (sim_fault_row(f)->value) {
    case SIM_VALUE_K:
        if (!slice_to_u64(value, SIM_TOKENS_MAX, &k))
            return false;
        p->k = (int64_t)k;
        return true;
    case SIM_VALUE_TIME:
        return sim_duration_parse(value, &p->fault_us);
    case SIM_VALUE_NONE:
        break;
    }
    return false;
}

/* *faults_n counts the faults of one layer: one to a request. */
static bool take_item(struct sim_plan *p, struct slice item, int *faults_n)
{
    struct slice value, name = slice_cut(item, '=', &value);
    enum sim_fault f = sim_fault_of(name);

    if (f != SIM_NONE)
        return sim_fault_is_asked(f) && (*faults_n)++ == 0 && take_fault(p, f, value);
    for (size_t i = 0; i < sizeof ITEMS / sizeof ITEMS[0]; i++) {
        if (slice_eq(name, ITEMS[i].name))
            return ITEMS[i].take(p, value);
    }
    return false;
}

/* Obeys one layer; false with the item that is not understood. */
static bool obey(struct sim_plan *p, struct slice items, struct slice *bad)
{
    int faults_n = 0;

    do {
        *bad = slice_cut(items, ',', &items);
        if (!take_item(p, *bad, &faults_n))
            return false;
    } while (items.p != NULL);
    return true;
}

bool sim_rule_parse(struct slice text, struct sim_rule *out)
{
    enum sim_fault f = sim_fault_of(text);
    struct sim_plan scratch = {.tokens = -1};
    struct slice bad;

    *out = (struct sim_rule){SIM_NONE, SLICE_NONE};
    if (f != SIM_NONE && !sim_fault_is_asked(f)) {
        out->early = f;
        return true;
    }
    out->items = text;
    return text.n > 0 && obey(&scratch, text, &bad);
}

const char *sim_plan_words(struct arena *arena)
{
    static const char *const VALUES[] = {
        [SIM_VALUE_NONE] = "", [SIM_VALUE_K] = "=K", [SIM_VALUE_TIME] = "=TIME"};
    const char *text;
    struct buf b;

    buf_init(&b, WORDS_MAX, NULL);
    for (size_t i = 0; i < sizeof ITEMS / sizeof ITEMS[0]; i++)
        (void)!buf_printf(&b, "%s%.*s%s", i > 0 ? ", " : "", SLICE_ARG(ITEMS[i].name), ITEMS[i].value);
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        const struct sim_fault_row *row = sim_fault_row((enum sim_fault)f);

        if (sim_fault_is_asked((enum sim_fault)f))
            (void)!buf_printf(&b, ", %s%s", row->label, VALUES[row->value]);
    }
    text = arena_dup(arena, buf_slice(&b)).p;
    buf_fini(&b);
    return text;
}

/* -- layers --------------------------------------------------------------------------------------------- */

/* One throw decides, so that the dice stand where they stood whatever the probabilities are. Those that come
 * before a request have throws of their own (sim/door.c). */
static enum sim_fault draw_fault(const struct sim_opts *o, struct rng *dice)
{
    double u = rng_unit(dice);

    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        if (!sim_fault_is_asked((enum sim_fault)f))
            continue;
        u -= o->fault_p[f];
        if (u < 0)
            return (enum sim_fault)f;
    }
    return SIM_NONE;
}

static void obey_timeline(struct sim_plan *p, const struct sim_case *c, struct slice name, struct rng *dice)
{
    const struct sim_timeline *t = c->opts->timeline;
    struct slice bad;

    for (size_t i = 0; t != NULL && i < t->rows_n; i++) {
        const struct sim_timeline_row *row = &t->rows[i];

        if (row->rule.items.n == 0 || !sim_timeline_holds(row, c->age_us, c->listener))
            continue;
        if (row->model.n > 0 && !slice_eq(row->model, name))
            continue;
        if (row->p >= 1 || rng_unit(dice) < row->p)
            (void)obey(p, row->rule.items, &bad);
    }
}

bool sim_plan_make(const struct sim_case *c, struct rng *dice, struct arena *arena, struct sim_plan *out,
                   const char **why)
{
    const struct sim_opts *o = c->opts;
    enum sim_fault drawn = draw_fault(o, dice);
    int64_t k = 1 + (int64_t)rng_below(dice, K_DRAWN_MAX);
    struct slice suffix, bad, name = slice_cut(c->model, '~', &suffix);

    *out = (struct sim_plan){.ttft = o->ttft, .gap = o->gap, .tokens = -1, .fault = drawn, .fault_us = -1};
    out->k = o->fault_after > 0 ? o->fault_after : k;
    obey_timeline(out, c, name, dice);
    if (c->rule != NULL && c->rule->items.n > 0)
        (void)obey(out, c->rule->items, &bad);
    if (suffix.p == NULL || obey(out, suffix, &bad))
        return true;
    *why =
        arena_printf(arena,
                     "The simulator does not understand \"%.*s\" behind the ~ of the model's name; it knows: "
                     "%s (one fault at a time).",
                     SLICE_ARG(bad), sim_plan_words(arena))
            .p;
    return false;
}
