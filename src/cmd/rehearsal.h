/* SPDX-License-Identifier: MIT */
/* What `tidegate check` shows of rehearsed failures. */
#ifndef CMD_REHEARSAL_H
#define CMD_REHEARSAL_H

#include <stdio.h>

#include "config/config.h"

/* Rehearses every model. Models that go to the same places in the same way are rehearsed once; of a file with
 * more than REHEARSAL_SHAPES_MAX kinds of models the first ones are, and the rest is named as left out. */
#define REHEARSAL_SHAPES_MAX 100

void rehearsal_print(struct config *c, FILE *to);
/* The same for machines: {"models": [{"api": PATH, "names": [...], "rows": [...]}], "left_out": N} */
void rehearsal_print_json(struct config *c, FILE *to);

#endif
