/* SPDX-License-Identifier: MIT */
/* Counters, gauges and histograms: a private block per worker, written without locks, summed on scrape.
 *
 * A row of metrics.def names a label set; the label set's rows (say, the endpoints) are given by the program
 * as ready label texts (`endpoint="main"`), and a sample is addressed by metric and row number.
 * Threads: one writer a block; metrics_render reads every block (relaxed atomics). */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

enum metric {
#define METRIC(name, kind, labels, full_name, help) METRIC_##name,
#include "base/metrics.def"
#undef METRIC
    METRIC_N
};

enum metric_kind {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_GAUGE_SECONDS, /* gauge of microseconds, shown in seconds */
    METRIC_SECONDS        /* histogram of microseconds, shown in seconds */
};

/* Label sets. NONE has one row. */
enum metric_labels {
    LABELS_NONE,
    LABELS_ROUTE_OUTCOME, /* route x outcome of the exchange */
    LABELS_CODE,          /* HTTP status codes sent to clients */
    LABELS_MODEL,         /* configured models, never the client's raw string */
    LABELS_ENDPOINT,
    LABELS_ENDPOINT_OUTCOME, /* endpoint x row of outcome.def */
    LABELS_ERROR,            /* rows of errors.def */
    LABELS_SCOPE_LIMIT,      /* whose limit x which limit */
    LABELS_RESULT,           /* how a reload ended */
    LABELS_REASON,           /* why a connection was not let in */
    LABELS_WORKER,
    LABELS_N
};

/* The rows of every label set. Immutable once made; owned by the program. */
struct metrics_layout {
    size_t rows_n[LABELS_N];
    const char *const *rows[LABELS_N]; /* each `name="value",name="value"`, escaped; NULL for LABELS_NONE */
    size_t offset[METRIC_N];           /* filled by metrics_layout_finish */
    size_t cells_n, hists_n;
};

void metrics_layout_finish(struct metrics_layout *l); /* after rows and rows_n are set */
/* Escapes a label value into out (at most n bytes with NUL): backslash, quote, newline. */
void metrics_escape(char *out, size_t n, struct slice value);

struct metrics; /* one worker's block */

struct metrics *metrics_new(const struct metrics_layout *l);
void metrics_free(struct metrics **m);
void metrics_add(struct metrics *m, enum metric id, size_t row, int64_t n); /* counter or gauge */
void metrics_set(struct metrics *m, enum metric id, size_t row,
                 int64_t v); /* gauge; summed over the blocks */
void metrics_observe(struct metrics *m, enum metric id, size_t row, int64_t value_us);
int64_t metrics_get(struct metrics *const *blocks, size_t blocks_n, enum metric id,
                    size_t row); /* sum; blocks of one layout */
/* Prometheus text format 0.0.4 of the sum of all blocks, which have one layout. Histogram buckets:
 * conventions 4.4. */
enum err metrics_render(struct metrics *const *blocks, size_t blocks_n, struct buf *out);

/* -- over layouts ---------------------------------------------------------------------------------------- */
const struct metrics_layout *metrics_layout_of(const struct metrics *m);
/* Adds every sample of `from` to the row of `into` whose labels have the same text; samples whose labels
 * `into` does not have are dropped. Thread: the writer of `into`; `from` may be written meanwhile. */
void metrics_fold(struct metrics *into, const struct metrics *from);
/* A layout with the rows of all: those of the first, then what the others have besides. Its texts are
 * borrowed from them, its tables live in the arena. */
void metrics_layout_join(struct arena *arena, const struct metrics_layout *const *layouts, size_t n,
                         struct metrics_layout *out);

#endif
