/* SPDX-License-Identifier: MIT */
/* The accounts of several configurations that are in use at the same time: one for each name, with the limits
 * of the newest configuration that has it. Pure. */
#ifndef POLICY_ACCOUNTS_H
#define POLICY_ACCOUNTS_H

#include <stddef.h>

#include "config/config.h"

struct accounts {
    size_t n; /* names over all configurations */
    size_t configs_n;
    int **number;                        /* [configuration][its account]: 0..n-1, equal for equal names */
    const struct config_account ***rule; /* [configuration][its account]: the one whose limits count */
};

/* Newest first. Everything borrowed. */
void accounts_init(struct accounts *a, const struct config *const *cfgs, size_t n);
void accounts_fini(struct accounts *a);

#endif
