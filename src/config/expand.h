/* SPDX-License-Identifier: MIT */
/* ${NAME} and ${NAME:-default} in the values of a tree of nodes. */
#ifndef CONFIG_EXPAND_H
#define CONFIG_EXPAND_H

#include "config/node.h"

#define EXPAND_VALUE_MAX ((size_t)64 << 10) /* bytes of one value */
#define EXPAND_TOTAL_MAX ((size_t)4 << 20)  /* bytes of all values that hold a $ */

/* Puts the environment's values in. A value that cannot be expanded is noted and marked bad. Because it
 * runs after YAML has been parsed, no value of the environment can bring structure of its own. */
void expand_tree(struct node *root, const struct config_env *env, struct arena *arena, struct notes *notes);
/* The NAME when `raw` is one ${NAME} or ${NAME:-default} and nothing else, else SLICE_NONE. */
struct slice expand_sole_name(struct slice raw);

#endif
