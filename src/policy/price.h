/* SPDX-License-Identifier: MIT */
/* What a target's tokens cost now, as one number to compare. Pure.
 *
 * Three tokens of prompts are weighed against one of an answer: about what chats have. It is a tie-breaker
 * (policy/choose.h) and no bill. */
#ifndef POLICY_PRICE_H
#define POLICY_PRICE_H

#include <stdint.h>

#include "config/config.h"

/* The rate in force at a time (UTC); *until_us, if not NULL: when another may be, CLOCK_NEVER_US without
 * windows. */
struct config_rate price_rate(const struct config_price *p, int64_t wall_us, int64_t *until_us);
/* The same as one number; NULL: 0, so that what has no price is never dearer than what has one. */
int64_t price_now(const struct config_price *p, int64_t wall_us, int64_t *until_us);

#endif
