/* SPDX-License-Identifier: MIT */
/* Writing to descriptors that others share (standard output and error, a log file) without ever waiting for
 * who reads them: a pager that is not read, a terminal that was stopped, a full disk's loop device.
 *
 * Threads: any. */
#ifndef IO_OUTLET_H
#define IO_OUTLET_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/slice.h"

/* A descriptor for writing to what `fd` is open on. For pipes and terminals one of our own that never waits:
 * setting O_NONBLOCK on `fd` itself would set it for every process that shares it, the shell included. For
 * everything else, and where the system allows no second one, a duplicate. -1 with errno when there is none
 * to be had. */
int outlet_open(int fd);
/* Writes the front of `bytes`, as much as goes out at once, waiting at most wait_ms for the first room.
 * Pieces end behind a line feed where they have one and are short enough that a pipe takes them whole, so
 * that lines of several writers do not mix. Returns the number of bytes written. */
size_t outlet_write(int fd, struct slice bytes, int wait_ms);

#endif
