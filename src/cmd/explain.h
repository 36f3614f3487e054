/* SPDX-License-Identifier: MIT */
/* tidegate explain: why a request went where it went, as its gateway remembers. */
#ifndef CMD_EXPLAIN_H
#define CMD_EXPLAIN_H

int explain_main(int argc, char **argv);

#endif
