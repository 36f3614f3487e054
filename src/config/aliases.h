/* SPDX-License-Identifier: MIT */
/* The aliases of one model: other names for it, which may also set members of the request body. */
#ifndef CONFIG_ALIASES_H
#define CONFIG_ALIASES_H

#include "config/draft.h"

/* Reads `aliases:` into the model. */
void aliases_read(struct draft *d, const struct node *n, void *model);

#endif
