/* SPDX-License-Identifier: MIT */
/* Pieces of URLs. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "base/arena.h"

/* The text that a piece of a path stands for, its percent-encoding undone (RFC 3986 2.1), in the arena unless
 * nothing had to be undone. A piece with a broken escape, or whose escapes are no UTF-8 or hide a control
 * character, is returned as it is: it stands for no name of ours. */
struct slice url_decode(struct slice piece, struct arena *arena);

#endif
