/* SPDX-License-Identifier: MIT */
/* tidegate serve: runs the gateway until it is told to stop. */
#ifndef CMD_SERVE_H
#define CMD_SERVE_H

/* argv[0] is the command's own name. Returns the exit code: 0 after a drain, 1 when it could not run, 2
 * usage. */
int serve_main(int argc, char **argv);

#endif
