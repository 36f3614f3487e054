/* SPDX-License-Identifier: MIT */
/* What GET /api/explain/ID answers, for people. */
#ifndef CMD_EXPLAIN_TEXT_H
#define CMD_EXPLAIN_TEXT_H

#include <stdio.h>

#include "base/slice.h"

/* raw: as it came. False: that is no such answer, and nothing was printed. */
bool explain_print(struct slice json, bool raw, FILE *to);
/* The message of an error object in `json`, printed with a line's end; false: there is none. */
bool explain_print_error(struct slice json, FILE *to);

#endif
