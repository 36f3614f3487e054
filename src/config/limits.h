/* SPDX-License-Identifier: MIT */
/* Reads `limits` of keys and of models (docs/limits.md). */
#ifndef CONFIG_LIMITS_H
#define CONFIG_LIMITS_H

#include "config/draft.h"

/* {rps, rpm, rph, tpm, inflight, models: {NAME: {rps, ...}}} */
void limits_read_key(struct draft *d, const struct node *n, struct config_key *key);
/* {rps, rpm, rph, tpm, inflight}; warns about those that can never matter. */
void limits_read_model(struct draft *d, const struct node *n, struct config_limits *limits);
/* Warns about limits that can never matter. `n` is the mapping of the whole key. */
void limits_check_key(struct draft *d, const struct node *n, const struct config_key *key);

#endif
