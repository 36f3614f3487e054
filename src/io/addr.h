/* SPDX-License-Identifier: MIT */
/* A socket address as a value. */
#ifndef IO_ADDR_H
#define IO_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/slice.h"

struct addr {
    struct sockaddr_storage ss;
    socklen_t n;
};

/* "127.0.0.1:8080", "[::1]:8080", ":8080" and "*:8080" (every IPv4 address). Numbers only. ERR_MALFORMED
 * otherwise. */
enum err addr_parse(struct slice text, struct addr *out);
/* A numeric host and a port; false if host is a name. */
bool addr_of_ip(struct slice host, uint16_t port, struct addr *out);
bool addr_is_loopback(const struct addr *a);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_eq(const struct addr *a, const struct addr *b);
/* "127.0.0.1:8080"; always NUL-terminated. */
void addr_format(const struct addr *a, char *out, size_t n);

#endif
