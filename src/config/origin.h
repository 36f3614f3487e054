/* SPDX-License-Identifier: MIT */
/* The base URL of an endpoint, taken apart strictly. */
#ifndef CONFIG_ORIGIN_H
#define CONFIG_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

struct origin {
    bool tls;
    const char *host; /* lower case, without brackets */
    uint16_t port;
    struct slice base_path; /* "" or "/v1": no slash at the end */
    struct slice authority; /* for the Host header: the port only where it is not the scheme's own */
    bool is_loopback;       /* 127.0.0.0/8, ::1, localhost */
};

/* NULL, or what is wrong with the URL: a sentence that repeats nothing of it, since it may hold a password.
 * */
const char *origin_parse(struct slice url, struct arena *arena, struct origin *out);
/* Whether a host names this machine alone. */
bool origin_host_is_loopback(struct slice host);

#endif
