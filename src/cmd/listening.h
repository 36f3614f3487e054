/* SPDX-License-Identifier: MIT */
/* The sockets of a start: those that a service manager passed on, Unix sockets, and whether the rest can be
 * had.
 */
#ifndef CMD_LISTENING_H
#define CMD_LISTENING_H

#include "base/log.h"
#include "config/config.h"
#include "io/sockets.h"

/* Inherits, binds the Unix sockets of the configuration, and tries its TCP addresses, before anybody listens:
 * later SO_REUSEPORT would share a taken port silently. NULL after a line on stderr for each address that
 * cannot be had. */
struct sockets *listening_prepare(const struct config *cfg);
/* Everybody listens: says which inherited sockets nobody uses, and lets go of the originals. */
void listening_done(struct sockets *s, struct log *log);

#endif
