/* SPDX-License-Identifier: MIT */
/* Rules in words, for config_describe. */
#ifndef CONFIG_DESCRIBE_RULES_H
#define CONFIG_DESCRIBE_RULES_H

#include "base/buf.h"
#include "config/config.h"

/* A line for each, in order, behind `indent`. */
void describe_rules(const struct config *c, const struct config_rules *rules, const char *indent,
                    struct buf *out);

#endif
