/* SPDX-License-Identifier: MIT */
/* A run's result as a page to read and as JSON, and the line that shows how it goes. */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H

#include "base/buf.h"
#include "load/load.h"
#include "load/preview.h"

#define REPORT_MAX_BYTES (256 * 1024)

struct report {
    struct slice target; /* the URL */
    struct slice model;
    struct slice schedule; /* what arrivals follow: "poisson 10/s" */
    uint64_t seed;
    const char *class_names[SOURCE_CLASSES_MAX]; /* NULL: not used */
    const struct tally *tally;
    int64_t elapsed_us;
    uint64_t connects_n;
    bool interrupted;
};

/* Both append to `out`, which holds at least REPORT_MAX_BYTES. */
void report_text(const struct report *r, struct buf *out);
void report_json(const struct report *r, struct buf *out);

/* "  12.0 s   sent 120   in flight 8   ..." without a line feed; `waiting` is shown when it is not 0. */
void report_progress(struct load *l, int64_t elapsed_us, struct buf *out);

void report_preview(const struct report *r, const struct preview *p, struct buf *out);
void report_preview_json(const struct report *r, const struct preview *p, struct buf *out);

#endif
