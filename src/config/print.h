/* SPDX-License-Identifier: MIT */
/* The effective configuration as a file that reads back to the same: every value as it was written, every
 * option that was left out with its default, and no secret. */
#ifndef CONFIG_PRINT_H
#define CONFIG_PRINT_H

#include "base/buf.h"
#include "config/node.h"

/* Appends YAML. Values of the environment stay references to it; secrets that stand in the file itself become
 * "redacted-1" and so on (different ones, since no two keys may be equal). */
enum err print_tree(const struct node *root, struct buf *out);

#endif
