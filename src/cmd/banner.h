/* SPDX-License-Identifier: MIT */
/* What serve prints when it is ready: where it listens, what it serves, and what to try first. */
#ifndef CMD_BANNER_H
#define CMD_BANNER_H

#include <stdio.h>

#include "cmd/nofile.h"
#include "config/config.h"
#include "io/addr.h"

enum banner_source { BANNER_FILE, BANNER_ENV, BANNER_LOCAL, BANNER_SIM };

struct banner_facts {
    enum banner_source source;
    const char *file;            /* BANNER_FILE */
    char *yaml;                  /* the equivalent file otherwise; owned by the server */
    struct addr bound;           /* the first listener's real address */
    const struct nofile *nofile; /* BANNER_LOCAL and BANNER_SIM: what was found on this machine */
};

/* Never prints a secret. */
void banner_print(FILE *to, const struct config *cfg, const struct banner_facts *facts);

#endif
