/* SPDX-License-Identifier: MIT */
/* Rehearses the models of a configuration and prints what came of it, as a table or as JSON. */
#include "cmd/rehearsal.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "config/options.h"
#include "rehearse/failover.h"

#define NAMES_SHOWN_MAX 5
#define TEXT_MAX ((size_t)16 << 20)
#define SAY(out, ...) ((void)buf_printf((out), __VA_ARGS__))

/* -- models that are rehearsed once ---------------------------------------------------------------------- */

static bool tiers_alike(const struct config_tier *a, const struct config_tier *b)
{
    bool alike = a->targets_n == b->targets_n;

    for (size_t i = 0; alike && i < a->targets_n; i++)
        alike =
            a->targets[i].endpoint == b->targets[i].endpoint && a->targets[i].weight == b->targets[i].weight;
    return alike;
}

/* Whether one request for either would fare the same: limits and slots cannot refuse a single one. */
static bool alike(const struct config_model *a, const struct config_model *b)
{
    bool same = a->tiers_n == b->tiers_n && a->deadline_us == b->deadline_us;

    for (size_t i = 0; same && i < a->tiers_n; i++)
        same = tiers_alike(&a->tiers[i], &b->tiers[i]);
    return same;
}

/* The kinds of models: for each model the first one that is like it, itself if that is none, or -1 for one
 * that is left out. Returns how many are left out. */
static size_t sort_out(const struct config *c, int *first)
{
    int kinds[REHEARSAL_SHAPES_MAX];
    size_t kinds_n = 0, left_out = 0;

    for (size_t i = 0; i < c->models_n; i++) {
        size_t k = 0;

        while (k < kinds_n && !alike(&c->models[kinds[k]], &c->models[i]))
            k++;
        if (k == kinds_n && k < REHEARSAL_SHAPES_MAX)
            kinds[kinds_n++] = (int)i;
        first[i] = k < kinds_n ? kinds[k] : -1;
        left_out += k == kinds_n;
    }
    return left_out;
}

/* A kind of models, asked in one API. */
struct kind {
    const struct config *config;
    const int *first; /* as sort_out has it */
    int model;
    const char *path; /* "/v1/messages" */
    bool is_chat;
    struct failover failover;
};

typedef void (*kind_cb)(struct buf *out, const struct kind *k);

/* In chat, and in the other APIs where that makes a difference. */
static void each_api(struct config *c, struct kind *k, struct buf *out, kind_cb cb)
{
    static const struct {
        enum surface_id surface;
        const char *path;
    } apis[] = {{SURFACE_CHAT, "/v1/chat/completions"},
                {SURFACE_RESPONSES, "/v1/responses"},
                {SURFACE_MESSAGES, "/v1/messages"}};

    for (size_t i = 0; i < COUNT_OF(apis); i++) {
        k->is_chat = apis[i].surface == SURFACE_CHAT;
        if (!k->is_chat && !failover_differs(c, k->model, apis[i].surface))
            continue;
        k->path = apis[i].path;
        failover_rehearse(c, k->model, apis[i].surface, &k->failover);
        cb(out, k);
    }
}

static size_t each_kind(struct config *c, struct buf *out, kind_cb cb)
{
    int *first = mem_alloc((c->models_n + 1) * sizeof(*first));
    size_t left_out = sort_out(c, first);

    for (size_t i = 0; i < c->models_n; i++) {
        struct kind k = {.config = c, .first = first, .model = (int)i};

        if (first[i] == (int)i)
            each_api(c, &k, out, cb);
    }
    mem_free(first);
    return left_out;
}

/* -- as a table ------------------------------------------------------------------------------------------ */

static void say_names(struct buf *out, const struct kind *k)
{
    const struct config *c = k->config;
    size_t n = 0;

    SAY(out, "\nwhen endpoints fail: model");
    for (size_t i = 0; i < c->models_n; i++) {
        if (k->first[i] == k->model && n++ < NAMES_SHOWN_MAX)
            SAY(out, "%s %.*s", n > 1 ? "," : "", SLICE_ARG(c->models[i].name));
    }
    if (n > NAMES_SHOWN_MAX)
        SAY(out, " and %zu more", n - NAMES_SHOWN_MAX);
    if (!k->is_chat)
        SAY(out, ", asked at %s", k->path);
    SAY(out, "\n");
}

static void say_case(const struct failover_row *row, const char *first, char out[160])
{
    static const char *const who[] = {"nothing fails", "", "tier 1", "every endpoint"};
    bool is_first = row->where == FAILOVER_FIRST;

    snprintf(out, 160, "%s%s%s", is_first ? first : who[row->where], row->how == FAILOVER_WELL ? "" : " ",
             failover_how_text(row->how));
}

static void say_row(struct buf *out, const struct failover_row *row, const char *first)
{
    const struct option time = {.kind = OPTION_DURATION};
    char what[160], after[32];
    int64_t ms = (row->after_us + 500) / 1000;

    say_case(row, first, what);
    options_print(&time, ms * 1000, after);
    SAY(out, "  %-40s ", what);
    if (row->by[0])
        SAY(out, "%s answers", row->by);
    else if (row->status > 0)
        SAY(out, "the client gets %d %s", row->status, row->code);
    else
        SAY(out, "the client gets no answer");
    SAY(out, "%s%s\n", ms > 0 ? " after " : "", ms > 0 ? after : "");
}

static void say_kind(struct buf *out, const struct kind *k)
{
    const struct failover *f = &k->failover;

    say_names(out, k);
    for (size_t i = 0; i < f->rows_n; i++)
        say_row(out, &f->rows[i], f->rows[0].by);
}

void rehearsal_print(struct config *c, FILE *to)
{
    struct buf out;
    size_t left_out;

    buf_init(&out, TEXT_MAX, NULL);
    left_out = each_kind(c, &out, say_kind);
    if (left_out > 0)
        SAY(&out, "\n%zu models more go to other places; the first %d kinds were rehearsed\n", left_out,
            REHEARSAL_SHAPES_MAX);
    fwrite(out.p, 1, out.n, to);
    buf_fini(&out);
}

/* -- as JSON --------------------------------------------------------------------------------------------- */

static void add_text(struct buf *out, const char *before, struct slice text)
{
    SAY(out, "%s", before);
    (void)buf_add_json_string(out, text);
}

static void add_row(struct buf *out, const struct failover_row *row)
{
    SAY(out, "{\"fails\": \"%s\", \"how\": \"%s\", ", failover_where_word(row->where),
        failover_how_word(row->how));
    if (row->by[0])
        add_text(out, "\"answered_by\": ", slice_of(row->by));
    else
        SAY(out, "\"answered_by\": null");
    SAY(out, ", \"status\": %d", row->status);
    if (row->code[0])
        add_text(out, ", \"code\": ", slice_of(row->code));
    SAY(out, ", \"after_ms\": %lld}", (long long)((row->after_us + 500) / 1000));
}

static void add_kind(struct buf *out, const struct kind *k)
{
    const struct config *c = k->config;
    const struct failover *f = &k->failover;
    const char *comma = "";

    SAY(out, "%s\n  {\"api\": \"%s\", \"names\": [", k->model > 0 || !k->is_chat ? "," : "", k->path);
    for (size_t i = 0; i < c->models_n; i++) {
        if (k->first[i] == k->model) {
            add_text(out, comma, c->models[i].name);
            comma = ", ";
        }
    }
    SAY(out, "], \"rows\": [");
    for (size_t i = 0; i < f->rows_n; i++) {
        SAY(out, "%s\n    ", i > 0 ? "," : "");
        add_row(out, &f->rows[i]);
    }
    SAY(out, "]}");
}

void rehearsal_print_json(struct config *c, FILE *to)
{
    struct buf out;
    size_t left_out;

    buf_init(&out, TEXT_MAX, NULL);
    SAY(&out, "{\"models\": [");
    left_out = each_kind(c, &out, add_kind);
    SAY(&out, "],\n \"left_out\": %zu}\n", left_out);
    fwrite(out.p, 1, out.n, to);
    buf_fini(&out);
}
