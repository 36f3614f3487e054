/* SPDX-License-Identifier: MIT */
/* Reads a YAML text into a tree of nodes, within bounds. The only home of libyaml. */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "config/node.h"

#define YAML_BYTES_MAX ((size_t)4 << 20)
#define YAML_DEPTH_MAX 32
#define YAML_NODES_MAX 200000
#define YAML_KEYS_MAX 1000 /* of one mapping: keeps the search for duplicates cheap */

/* The root mapping, or NULL with at least one error in `notes`. A tree may come with errors (duplicate
 * keys). */
struct node *yaml_read(struct slice text, struct arena *arena, struct notes *notes);

#endif
