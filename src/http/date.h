/* SPDX-License-Identifier: MIT */
/* Dates as HTTP writes them (RFC 9110 5.6.7). */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define DATE_BYTES 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Writes DATE_BYTES bytes, no NUL. wall_us: since 1970-01-01 UTC, not negative, before the year 10000. */
void date_format(int64_t wall_us, char *out);
/* Reads the three forms that recipients must accept: IMF-fixdate, RFC 850 (two-digit years: at most 50
 * years after wall_us) and asctime. Seconds since 1970; false when it is none of them. */
bool date_parse(struct slice text, int64_t wall_us, int64_t *out_s);

#endif
