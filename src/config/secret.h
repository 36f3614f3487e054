/* SPDX-License-Identifier: MIT */
/* Credentials: from the environment, a file, or the configuration itself. */
#ifndef CONFIG_SECRET_H
#define CONFIG_SECRET_H

#include "config/draft.h"

#define SECRET_BYTES_MAX 4096

struct secret {
    struct slice bytes; /* in the snapshot's arena */
    const char *from;   /* where it was read, for people */
    bool is_literal;    /* it stands in the configuration file as it is */
};

/* A text or {file: PATH}. No message repeats any part of the value. */
bool secret_read(struct draft *d, const struct node *n, struct secret *out);

#endif
