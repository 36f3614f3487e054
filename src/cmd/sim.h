/* SPDX-License-Identifier: MIT */
/* tidegate sim: the provider simulator as a program of its own. */
#ifndef CMD_SIM_H
#define CMD_SIM_H

/* argv[0] is the command's own name. Returns the exit code: 0 fine, 1 failed, 2 usage. */
int sim_main(int argc, char **argv);

#endif
