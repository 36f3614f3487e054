/* SPDX-License-Identifier: MIT */
/* tidegate drill: plays a scenario and says what came of it. */
#ifndef CMD_DRILL_H
#define CMD_DRILL_H

/* argv[0] is the command's own name. Returns the exit code: 0 every bound was kept, 1 one was broken or the
 * drill could not be played, 2 usage. */
int drill_main(int argc, char **argv);

#endif
