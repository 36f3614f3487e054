/* SPDX-License-Identifier: MIT */
/* tidegate check: reads a configuration and says what is wrong with it, or what each model resolves to. */
#ifndef CMD_CHECK_H
#define CMD_CHECK_H

#include <stddef.h>

struct config;

/* Says on stderr, with their places in the file, which certificates and keys of listeners cannot be used or
 * will not be accepted. Returns how many. */
size_t check_certs(const struct config *config);
/* argv[0] is the command's own name. Returns the exit code: 0 fine, 1 refused, 2 usage. */
int check_main(int argc, char **argv);

#endif
