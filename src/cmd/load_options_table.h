/* SPDX-License-Identifier: MIT */
/* Private to the command line of tidegate load: one row for each option. */
#ifndef CMD_LOAD_OPTIONS_TABLE_H
#define CMD_LOAD_OPTIONS_TABLE_H

#include "cmd/load_options.h"

struct load_option {
    const char *name, *value; /* value: what it is called in the help; NULL: a flag */
    bool (*take)(struct load_command *c, struct slice v); /* false: not understood */
    const char *help;                                     /* lines */
};

extern const struct load_option LOAD_OPTIONS[];
extern const size_t LOAD_OPTIONS_N;

#endif
