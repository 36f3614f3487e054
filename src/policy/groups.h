/* SPDX-License-Identifier: MIT */
/* Which models must be decided on together: those that share an account or an endpoint, over any number of
 * steps. Pure. */
#ifndef POLICY_GROUPS_H
#define POLICY_GROUPS_H

#include <stddef.h>

#include "config/config.h"

/* Fills group_of[i] for every model i with the number of its group; groups are numbered from 0 in the order
 * of their first model. Returns how many there are. */
size_t groups_of_models(const struct config *cfg, int *group_of);

#endif
