/* SPDX-License-Identifier: MIT */
/* The listeners `admin` and `metrics`. Thread: control's. */
#ifndef GATEWAY_SIDES_H
#define GATEWAY_SIDES_H

#include "gateway/pages.h"

struct sides;

/* Listens where the configuration says so; it may be nowhere. On failure NULL and *which is the address at
 * fault. `pages` is copied. */
struct sides *sides_open(struct loop *l, const struct pages *pages, const char **which);
/* Stops listening and closes what is open. */
void sides_close(struct sides **ap);

#endif
