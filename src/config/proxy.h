/* SPDX-License-Identifier: MIT */
/* Which proxy stands between the gateway and an endpoint: its URL taken apart, and what the environment's
 * HTTPS_PROXY, HTTP_PROXY and NO_PROXY say. */
#ifndef CONFIG_PROXY_H
#define CONFIG_PROXY_H

#include "base/arena.h"
#include "config/config.h"

/* "http://[USER[:PASSWORD]@]HOST[:PORT]", the scheme may be left out. NULL, or what is wrong with it: a
 * sentence that repeats nothing of it. out->from is left alone. */
const char *proxy_parse(struct slice url, struct arena *arena, struct config_proxy *out);

/* The environment's proxy for an endpoint at (host, port): NULL if it names none, or excludes the host.
 * Small letters come before capitals (https_proxy before HTTPS_PROXY). A host of this machine alone has
 * none. *why: NULL, or what is wrong with the variable that *from names. */
const struct config_proxy *proxy_from_env(const struct config_env *env, const struct config_endpoint *e,
                                          struct arena *arena, const char **from, const char **why);

/* Whether a NO_PROXY list excludes a host: entries are separated by commas or blanks; "*" is everything,
 * "example.com" and ".example.com" that name and all below it, "10.0.0.0/8" and "fd00::/8" addresses, and
 * ":8443" behind a name or address restricts it to that port. */
bool proxy_is_excluded(struct slice list, struct slice host, uint16_t port);

#endif
