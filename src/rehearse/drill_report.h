/* SPDX-License-Identifier: MIT */
/* What came of a drill, as JSON for programs and as a page to read. */
#ifndef REHEARSE_DRILL_REPORT_H
#define REHEARSE_DRILL_REPORT_H

#include "base/buf.h"
#include "rehearse/drill.h"

#define DRILL_REPORT_MAX_BYTES ((size_t)64 * 1024)

/* Both append to `out`, which holds at least DRILL_REPORT_MAX_BYTES. */
void drill_report_json(const struct drill_result *r, struct buf *out); /* one line */
void drill_report_text(const struct drill_result *r, struct buf *out);
/* The names and what they are about, a line each. */
void drill_report_list(struct buf *out);

#endif
