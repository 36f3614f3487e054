/* SPDX-License-Identifier: MIT */
/* Where a listener binds: "127.0.0.1:8080", "unix:/run/tidegate.sock", "fd:web". */
#ifndef CONFIG_ADDRESS_H
#define CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

struct address {
    const char *text; /* as io's addr_parse takes it; in the arena */
    uint16_t port;    /* 0: any free one, or no TCP address */
    bool is_unix, is_inherited;
    bool is_loopback; /* nobody beyond this machine reaches it; of an inherited socket nobody knows that */
};

/* "IP:PORT", "[IPv6]:PORT", "localhost:PORT", ":PORT" and "*:PORT" (every IPv4 address); "unix:/PATH" and
 * "unix:@NAME"; "fd:NAME", an inherited socket. NULL, or what is wrong. */
const char *address_parse(struct slice text, struct arena *arena, struct address *out);

#endif
