/* SPDX-License-Identifier: MIT */
/* Metrics over layouts: a reload gives the label sets other rows, and series are known by their labels' text.
 *
 * Rows of equal text are nearly always at the same place in both layouts, because a reload changes little, so
 * that place is looked at first; a table of all texts is made only when it is needed. */
#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics_private.h"

#define NOWHERE SIZE_MAX

static const char *text_of(const struct metrics_layout *l, int set, size_t row)
{
    return l->rows[set] != NULL ? l->rows[set][row] : "";
}

/* Finds rows of one label set of a layout by their text. */
struct finder {
    const struct metrics_layout *layout;
    int set;
    bool is_made;
    struct map rows; /* to the row's number + 1 */
};

static void finder_init(struct finder *f, const struct metrics_layout *l, int set)
{
    *f = (struct finder){.layout = l, .set = set};
    map_init(&f->rows);
}

static size_t find_row(struct finder *f, const char *text, size_t probably)
{
    size_t n = f->layout->rows_n[f->set];
    uintptr_t found;

    if (probably < n && strcmp(text_of(f->layout, f->set, probably), text) == 0)
        return probably;
    for (size_t i = 0; i < n && !f->is_made; i++)
        (void)!map_put(&f->rows, slice_of(text_of(f->layout, f->set, i)), (void *)(uintptr_t)(i + 1));
    f->is_made = true;
    found = (uintptr_t)map_find(&f->rows, slice_of(text));
    return found != 0 ? (size_t)found - 1 : NOWHERE;
}

/* For each row of a set its row in the other layout, or NOWHERE. */
static size_t *match_rows(const struct metrics_layout *from, const struct metrics_layout *to, int set)
{
    size_t *row = mem_alloc((from->rows_n[set] + 1) * sizeof *row);
    struct finder f;

    finder_init(&f, to, set);
    for (size_t i = 0; i < from->rows_n[set]; i++)
        row[i] = find_row(&f, text_of(from, set, i), i);
    map_fini(&f.rows);
    return row;
}

static void fold_hist(struct metrics *into, size_t place, const struct hist *h)
{
    struct hist *sum = into->hists[place];

    if (sum == NULL) {
        sum = mem_alloc(sizeof *sum);
        hist_init(sum);
        __atomic_store_n(&into->hists[place], sum, __ATOMIC_RELEASE);
    }
    hist_merge(sum, h);
}

static void fold_row(struct metrics *into, const struct metrics *from, enum metric id, size_t row, size_t to)
{
    size_t place = from->layout->offset[id] + row;

    if (metrics_descriptions[id].kind == METRIC_SECONDS) {
        const struct hist *h = __atomic_load_n(&from->hists[place], __ATOMIC_ACQUIRE);

        if (h != NULL)
            fold_hist(into, into->layout->offset[id] + to, h);
    } else {
        metrics_add(into, id, to, __atomic_load_n(&from->cells[place], __ATOMIC_RELAXED));
    }
}

void metrics_fold(struct metrics *into, const struct metrics *from)
{
    size_t *to[LABELS_N];

    for (int set = 0; set < LABELS_N; set++)
        to[set] = match_rows(from->layout, into->layout, set);
    for (int id = 0; id < METRIC_N; id++) {
        enum metric_labels set = metrics_descriptions[id].labels;

        for (size_t row = 0; row < from->layout->rows_n[set]; row++) {
            if (to[set][row] != NOWHERE)
                fold_row(into, from, (enum metric)id, row, to[set][row]);
        }
    }
    for (int set = 0; set < LABELS_N; set++)
        mem_free(to[set]);
}

/* The rows of `out` so far and those of `more` that are not among them. */
static void add_rows(struct arena *arena, struct metrics_layout *out, const struct metrics_layout *more,
                     int set)
{
    size_t n = out->rows_n[set], most = n + more->rows_n[set];
    const char **rows = arena_alloc(arena, (most + 1) * sizeof *rows);
    struct finder f;

    finder_init(&f, out, set);
    for (size_t i = 0; i < n; i++)
        rows[i] = text_of(out, set, i);
    for (size_t i = 0; i < more->rows_n[set]; i++) {
        if (find_row(&f, text_of(more, set, i), i) == NOWHERE)
            rows[n++] = text_of(more, set, i);
    }
    map_fini(&f.rows);
    out->rows[set] = rows;
    out->rows_n[set] = n;
}

void metrics_layout_join(struct arena *arena, const struct metrics_layout *const *layouts, size_t n,
                         struct metrics_layout *out)
{
    ASSERT(n > 0);
    *out = *layouts[0];
    for (size_t i = 1; i < n; i++) {
        for (int set = LABELS_NONE + 1; set < LABELS_N; set++)
            add_rows(arena, out, layouts[i], set);
    }
    metrics_layout_finish(out);
}

const struct metrics_layout *metrics_layout_of(const struct metrics *m)
{
    return m->layout;
}
