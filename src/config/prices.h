/* SPDX-License-Identifier: MIT */
/* `price` of endpoints and of entries of tiers. */
#ifndef CONFIG_PRICES_H
#define CONFIG_PRICES_H

#include "base/buf.h"
#include "config/draft.h"

void prices_read(struct draft *d, const struct node *n, const struct config_price **out);
/* "0.28 in, 0.42 out; mon-fri 01:00-04:00 0.56 in, 0.84 out" */
void prices_describe(const struct config_price *p, struct buf *out);

#endif
