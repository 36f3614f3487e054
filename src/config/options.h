/* SPDX-License-Identifier: MIT */
/* The rows of options.def as data: sections `timeouts` and `limits` are read by them. */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "config/draft.h"

enum option_kind { OPTION_DURATION, OPTION_SIZE, OPTION_COUNT, OPTION_BOOL };

struct option {
    const char *path; /* "timeouts.connect" */
    size_t offset;    /* of the int64_t in struct config_options */
    enum option_kind kind;
    int64_t dflt, min, max;
    const char *doc;
};

const struct option *options_table(size_t *n);
void options_default(struct config_options *o);
/* A section's mapping; its key (`timeouts`) chooses the rows. */
void options_read(struct draft *d, const struct node *section, void *unused);
int64_t options_get(const struct config_options *o, const struct option *row);
/* "1m30s", "48MiB", "3", "true" */
const char *options_print(const struct option *row, int64_t value, char out[32]);

#endif
