/* SPDX-License-Identifier: MIT */
/* Private to metrics: a block's cells and what metrics.def says, for the two files that work on them. */
#ifndef BASE_METRICS_PRIVATE_H
#define BASE_METRICS_PRIVATE_H

#include "base/hist.h"
#include "base/metrics.h"

struct metrics {
    const struct metrics_layout *layout; /* borrowed */
    struct hist **hists;                 /* layout->hists_n; NULL until the first sample */
    int64_t cells[];
};

struct metrics_description {
    enum metric_kind kind;
    enum metric_labels labels;
    const char *full_name, *help;
};

extern const struct metrics_description metrics_descriptions[METRIC_N];

#endif
