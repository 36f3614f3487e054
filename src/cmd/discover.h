/* SPDX-License-Identifier: MIT */
/* Looks for engines on the loopback ports where they usually listen, for a start without any configuration.
 */
#ifndef CMD_DISCOVER_H
#define CMD_DISCOVER_H

#include "base/arena.h"
#include "config/engines.h"

#define DISCOVER_MAX 8

struct discovery {
    struct arena arena; /* of everything in here */
    struct config_engine engines[DISCOVER_MAX];
    size_t n;
    const char *locked[DISCOVER_MAX]; /* addresses of engines that want a key */
    size_t locked_n;
};

/* Asks all ports at once; a port where nobody listens costs nothing, all together at most 1.5 s. Only
 * programs that answer GET /v1/models as an engine does are taken, and no tidegate. Finds nothing where the
 * loop cannot be made. Discovery_fini comes after it in any case. */
void discover(struct discovery *d);
void discovery_fini(struct discovery *d);
/* The engine at this port of this machine, or NULL. */
const struct config_engine *discovery_at(const struct discovery *d, int port);

#endif
