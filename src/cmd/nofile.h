/* SPDX-License-Identifier: MIT */
/* A start without file and keys: the engines that run on this machine become the providers. */
#ifndef CMD_NOFILE_H
#define CMD_NOFILE_H

#include <stdio.h>

#include "cmd/discover.h"

struct nofile {
    struct discovery found;
    char listen[32]; /* where the gateway will listen: 127.0.0.1:8080, or the next free port */
    bool moved;      /* because an engine is at 8080 */
};

/* Looks for engines and makes the configuration around them; *out NULL with ERR_OK when there are none.
 * yaml_out as in config_from_env. nofile_fini comes after it in any case. */
enum err nofile_configure(struct nofile *l, struct config **out, char **yaml_out,
                          struct config_report *report);
void nofile_fini(struct nofile *l);
/* For the banner: which engines there are, which models they expose and how, and why the port is another. */
void nofile_print(FILE *to, const struct nofile *l);
/* For the banner: engines that were found and cannot be used. */
void nofile_print_locked(FILE *to, const struct nofile *l);

#endif
