/* SPDX-License-Identifier: MIT */
/* The kinds of value that a configuration file can hold, each with messages that say what would be right.
 * Every reader returns false after noting an error, or silently when the node was complained about before. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdint.h>

#include "config/node.h"

struct value_bounds {
    int64_t min, max;
};

/* A text of 1..max bytes without control characters. */
bool value_text(struct notes *notes, const struct node *n, size_t max, struct slice *out);
/* A name: letters, digits and . _ - only, at most 64 of them. */
bool value_name(struct notes *notes, const struct node *n, struct slice *out);
/* A model's name: 1..256 bytes without blanks and control characters. */
bool value_model(struct notes *notes, const struct node *n, struct slice *out);
/* "2m30s" in microseconds; the unit is required. */
bool value_duration(struct notes *notes, const struct node *n, struct value_bounds bounds, int64_t *out);
/* "64KiB" in bytes; the unit is required. */
bool value_size(struct notes *notes, const struct node *n, struct value_bounds bounds, int64_t *out);
bool value_count(struct notes *notes, const struct node *n, struct value_bounds bounds, int64_t *out);
/* "0.28" in millionths. */
bool value_decimal(struct notes *notes, const struct node *n, struct value_bounds bounds, int64_t *out);
bool value_bool(struct notes *notes, const struct node *n, int64_t *out);
/* Whether n is of that kind; notes "X must be a list (example), this is ..." if not. */
bool value_is(struct notes *notes, const struct node *n, enum node_kind kind, const char *example);

/* "1m30s", "250ms"; "48MiB", "100B". */
const char *value_print_duration(int64_t us, char out[32]);
const char *value_print_size(int64_t bytes, char out[32]);
/* Millionths as "0.28". */
const char *value_print_decimal(int64_t millionths, char out[32]);

#endif
