/* SPDX-License-Identifier: MIT */
/* Metrics: the cells that workers write and the page that a scrape reads.
 *
 * A block is one array of cells, laid out metric by metric and row by row, and one array of histograms, which
 * are large and made on the first sample of their row. The writer publishes a histogram with a release store.
 * See: conventions of the Prometheus text format 0.0.4. */
#include "base/metrics_private.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/utf8.h"

#define SECOND_US INT64_C(1000000)
/* Histograms are shown before their first sample, but not for thousands of models: of 10,000 they would be
 * 55 MiB of zeros, more than a page holds. */
#define EMPTY_ROWS_MAX 256

const struct metrics_description metrics_descriptions[METRIC_N] = {
#define METRIC(name, kind, labels, full_name, help) {kind, labels, full_name, help},
#include "base/metrics.def"
#undef METRIC
};

/* Bounds of histogram buckets for language models: from a cached first token to a long generation. */
struct bound {
    int64_t us;
    const char *text;
};

static const struct bound bounds[] = {
    {50000, "0.05"},
    {100000, "0.1"},
    {250000, "0.25"},
    {500000, "0.5"},
    {SECOND_US, "1"},
    {2500000, "2.5"},
    {5 * SECOND_US, "5"},
    {10 * SECOND_US, "10"},
    {20 * SECOND_US, "20"},
    {40 * SECOND_US, "40"},
    {80 * SECOND_US, "80"},
    {160 * SECOND_US, "160"},
    {320 * SECOND_US, "320"},
    {600 * SECOND_US, "600"},
    {1200 * SECOND_US, "1200"},
    {1800 * SECOND_US, "1800"},
};

/* A whole answer may take half an hour; everything else is over or hopeless after ten minutes. */
static size_t bounds_of(enum metric id)
{
    return id == METRIC_DURATION ? COUNT_OF(bounds) : COUNT_OF(bounds) - 2;
}

void metrics_layout_finish(struct metrics_layout *l)
{
    l->cells_n = l->hists_n = 0;
    l->rows_n[LABELS_NONE] = 1;
    for (size_t i = 0; i < METRIC_N; i++) {
        size_t *n = metrics_descriptions[i].kind == METRIC_SECONDS ? &l->hists_n : &l->cells_n;
        l->offset[i] = *n;
        *n += l->rows_n[metrics_descriptions[i].labels];
    }
}

void metrics_escape(char *out, size_t n, struct slice value)
{
    size_t at = 0;

    ASSERT(n > 0);
    while (value.n > 0) {
        char c = value.p[0];
        size_t took = utf8_len(value);
        struct slice piece = {value.p, took};
        if (took == 0) {
            took = 1; /* a page with one invalid byte is refused as a whole */
            piece = SLICE("\xef\xbf\xbd");
        } else if (c == '\\' || c == '"' || c == '\n') {
            piece = c == '\\' ? SLICE("\\\\") : c == '"' ? SLICE("\\\"") : SLICE("\\n");
        }
        if (piece.n > n - 1 - at)
            break;
        memcpy(out + at, piece.p, piece.n);
        at += piece.n;
        value = slice_from(value, took);
    }
    out[at] = 0;
}

struct metrics *metrics_new(const struct metrics_layout *l)
{
    struct metrics *m = mem_zalloc(sizeof(*m) + l->cells_n * sizeof(m->cells[0]));

    m->layout = l;
    m->hists = mem_zalloc(l->hists_n * sizeof(struct hist *));
    return m;
}

void metrics_free(struct metrics **m)
{
    if (!*m)
        return;
    for (size_t i = 0; i < (*m)->layout->hists_n; i++)
        mem_free((*m)->hists[i]);
    mem_free((*m)->hists);
    mem_free(*m);
    *m = NULL;
}

static size_t place_of(const struct metrics_layout *l, enum metric id, size_t row)
{
    ASSERT((unsigned)id < METRIC_N && row < l->rows_n[metrics_descriptions[id].labels]);
    return l->offset[id] + row;
}

void metrics_add(struct metrics *m, enum metric id, size_t row, int64_t n)
{
    int64_t *cell = &m->cells[place_of(m->layout, id, row)];

    ASSERT(metrics_descriptions[id].kind != METRIC_SECONDS);
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

void metrics_set(struct metrics *m, enum metric id, size_t row, int64_t v)
{
    ASSERT(metrics_descriptions[id].kind == METRIC_GAUGE ||
           metrics_descriptions[id].kind == METRIC_GAUGE_SECONDS);
    __atomic_store_n(&m->cells[place_of(m->layout, id, row)], v, __ATOMIC_RELAXED);
}

void metrics_observe(struct metrics *m, enum metric id, size_t row, int64_t value_us)
{
    struct hist **place = &m->hists[place_of(m->layout, id, row)];

    ASSERT(metrics_descriptions[id].kind == METRIC_SECONDS);
    if (!*place) {
        struct hist *h = mem_alloc(sizeof(*h));
        hist_init(h);
        __atomic_store_n(place, h, __ATOMIC_RELEASE);
    }
    hist_add(*place, value_us);
}

static void merge_row(struct metrics *const *blocks, size_t blocks_n, size_t place, struct hist *into)
{
    hist_init(into);
    for (size_t i = 0; i < blocks_n; i++) {
        const struct hist *h = __atomic_load_n(&blocks[i]->hists[place], __ATOMIC_ACQUIRE);
        if (h)
            hist_merge(into, h);
    }
}

int64_t metrics_get(struct metrics *const *blocks, size_t blocks_n, enum metric id, size_t row)
{
    int64_t sum = 0;

    for (size_t i = 0; i < blocks_n; i++) {
        size_t place = place_of(blocks[i]->layout, id, row);
        if (metrics_descriptions[id].kind == METRIC_SECONDS) {
            const struct hist *h = __atomic_load_n(&blocks[i]->hists[place], __ATOMIC_ACQUIRE);
            sum += h ? (int64_t)__atomic_load_n(&h->n, __ATOMIC_RELAXED) : 0;
        } else {
            sum += __atomic_load_n(&blocks[i]->cells[place], __ATOMIC_RELAXED);
        }
    }
    return sum;
}

static const char *labels_of(const struct metrics_layout *l, enum metric id, size_t row)
{
    enum metric_labels set = metrics_descriptions[id].labels;

    return l->rows[set] ? l->rows[set][row] : "";
}

static enum err render_cell(struct buf *out, const struct metrics_description *d, const char *labels,
                            int64_t v)
{
    const char *open = *labels ? "{" : "", *close = *labels ? "}" : "", *name = d->full_name;

    if (d->kind == METRIC_GAUGE_SECONDS)
        return buf_printf(out, "%s%s%s%s %lld.%06lld\n", name, open, labels, close,
                          (long long)(v / SECOND_US), (long long)(v % SECOND_US));
    return buf_printf(out, "%s%s%s%s %lld\n", name, open, labels, close, (long long)v);
}

static enum err render_hist(struct buf *out, enum metric id, const char *labels, const struct hist *h)
{
    const char *name = metrics_descriptions[id].full_name, *comma = *labels ? "," : "";
    const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    unsigned long long n = h->n, sum_us = h->sum;
    enum err e = ERR_OK;

    for (size_t i = 0; i < bounds_of(id) && !e; i++) {
        unsigned long long le = h->n ? hist_count_le(h, bounds[i].us) : 0;
        e = buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, labels, comma, bounds[i].text, le);
    }
    if (!e)
        e = buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma, n);
    if (!e)
        e = buf_printf(out, "%s_sum%s%s%s %llu.%06llu\n", name, open, labels, close, sum_us / SECOND_US,
                       sum_us % SECOND_US);
    if (!e)
        e = buf_printf(out, "%s_count%s%s%s %llu\n", name, open, labels, close, n);
    return e;
}

static enum err render_metric(struct metrics *const *blocks, size_t blocks_n, enum metric id, struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "gauge", "histogram"};
    const struct metrics_layout *l = blocks[0]->layout;
    const struct metrics_description *d = &metrics_descriptions[id];
    enum err e =
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", d->full_name, d->help, d->full_name, types[d->kind]);

    for (size_t row = 0; row < l->rows_n[d->labels] && !e; row++) {
        const char *labels = labels_of(l, id, row);
        if (d->kind == METRIC_SECONDS) {
            struct hist sum;
            merge_row(blocks, blocks_n, place_of(l, id, row), &sum);
            if (sum.n > 0 || l->rows_n[d->labels] <= EMPTY_ROWS_MAX)
                e = render_hist(out, id, labels, &sum);
        } else {
            e = render_cell(out, d, labels, metrics_get(blocks, blocks_n, id, row));
        }
    }
    return e;
}

enum err metrics_render(struct metrics *const *blocks, size_t blocks_n, struct buf *out)
{
    enum err e = ERR_OK;

    ASSERT(blocks_n > 0);
    for (size_t i = 0; i < METRIC_N && !e; i++)
        e = render_metric(blocks, blocks_n, (enum metric)i, out);
    return e;
}
