/* SPDX-License-Identifier: MIT */
/* Other commands of this program as processes of their own, which end with it. */
#ifndef CMD_CHILD_H
#define CMD_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/slice.h"

#define CHILD_PATH_BYTES 160

struct child {
    pid_t pid;                   /* 0: none */
    char said[CHILD_PATH_BYTES]; /* the file that its standard error goes to */
};

/* Starts `tidegate ARGV...`; argv ends with NULL. What it says goes to the file `said`; its standard output
 * to nowhere. False with errno. */
bool child_start(struct child *c, const char *const *argv, const char *said);
/* Waits until it has said `text`, and copies the port behind it ("...127.0.0.1:" and digits) into *port.
 * False when it ends before that, or says nothing of it in time. */
bool child_port(const struct child *c, const char *text, unsigned *port);
/* Asks it to stop, twice, as a drain needs; then makes it. Fine where there is none. */
void child_stop(struct child *c);
/* What it said, for a message: the last line, at most n bytes with the NUL. */
void child_last_words(const struct child *c, char *out, size_t n);

#endif
