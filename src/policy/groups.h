/* SPDX-License-Identifier: MIT */
/* Which models must be decided on together: those that share an account or an endpoint, over any number of
 * steps. Pure. */
#ifndef POLICY_GROUPS_H
#define POLICY_GROUPS_H

#include <stddef.h>

#include "config/config.h"
#include "policy/accounts.h"

/* Fills group_of[i] for every model i with the number of its group; groups are numbered from 0 in the order
 * of their first model. Returns how many there are. */
size_t groups_of_models(const struct config *cfg, int *group_of);
/* The same over several configurations, whose models follow each other in group_of; they share accounts by
 * name. */
size_t groups_of_all(const struct config *const *cfgs, size_t n, const struct accounts *accounts,
                     int *group_of);

#endif
