/* SPDX-License-Identifier: MIT */
/* A record (why_record.h) in words: one line for the client's x-tidegate-why, and JSON for
 * `tidegate explain`. Both are made from the table why.def and described in docs/explain.md. */
#ifndef GATEWAY_WHY_TEXT_H
#define GATEWAY_WHY_TEXT_H

#include "base/buf.h"
#include "gateway/why_record.h"

#define WHY_LINE_MAX 2000 /* bytes of a line: headers of 4 KiB are too long for some clients */

/* "0.0 queued position=3 (one full used=8 limit=8); 1203.4 chosen one how=weight; ..." in printable ASCII: it
 * may stand in a header. A line that would be longer than WHY_LINE_MAX ends with "; ...". */
enum err why_line(const struct why_record *r, struct buf *out);
/* One object. */
enum err why_json(const struct why_record *r, int worker, struct buf *out);

#endif
