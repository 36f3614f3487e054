/* SPDX-License-Identifier: MIT */
/* Where a listener binds: "127.0.0.1:8080". */
#ifndef CONFIG_ADDRESS_H
#define CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

struct address {
    const char *text; /* numeric, as io's addr_parse takes it; in the arena */
    uint16_t port;    /* 0: any free one */
    bool is_loopback;
};

/* "IP:PORT", "[IPv6]:PORT", "localhost:PORT", ":PORT" and "*:PORT" (every IPv4 address). NULL, or what is
 * wrong. */
const char *address_parse(struct slice text, struct arena *arena, struct address *out);

#endif
