/* SPDX-License-Identifier: MIT */
/* tidegate load: the load generator. */
#ifndef CMD_LOAD_H
#define CMD_LOAD_H

/* argv[0] is the command's own name. Returns the exit code: 0 fine, 1 failed, 2 usage. */
int load_main(int argc, char **argv);

#endif
