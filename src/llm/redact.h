/* SPDX-License-Identifier: MIT */
/* Text of a stranger made fit for a log line or an error message: printable, cut, and without credentials. */
#ifndef LLM_REDACT_H
#define LLM_REDACT_H

#include "base/slice.h"

/* Copies `in` to `out` (cap bytes with the NUL, cap > 0): control characters become spaces, whatever looks
 * like a key or a bearer token keeps its first three characters ("sk-***"), and the end is cut between
 * characters. Returns the length without the NUL. */
size_t redact_text(struct slice in, char *out, size_t cap);

#endif
