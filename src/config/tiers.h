/* SPDX-License-Identifier: MIT */
/* The tiers of one model: which endpoints are tried together, and which after them. */
#ifndef CONFIG_TIERS_H
#define CONFIG_TIERS_H

#include "config/draft.h"

/* Reads `tiers:` into the model; endpoints must have been read. */
void tiers_read(struct draft *d, const struct node *n, void *model);

#endif
