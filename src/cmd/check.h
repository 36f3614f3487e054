/* SPDX-License-Identifier: MIT */
/* tidegate check: reads a configuration and says what is wrong with it, or what each model resolves to. */
#ifndef CMD_CHECK_H
#define CMD_CHECK_H

/* argv[0] is the command's own name. Returns the exit code: 0 fine, 1 refused, 2 usage. */
int check_main(int argc, char **argv);

#endif
