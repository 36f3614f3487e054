/* SPDX-License-Identifier: MIT */
/* A socket address as a value: IPv4, IPv6, a Unix socket's path or abstract name, or the name of a socket
 * that the process inherited (io/sockets.h). */
#ifndef IO_ADDR_H
#define IO_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/slice.h"

#define ADDR_FD_NAME_BYTES 64
#define ADDR_TEXT_BYTES 120 /* what addr_format needs at most: a Unix socket's path has 107 bytes */

struct addr {
    struct sockaddr_storage ss;
    socklen_t n;
};

/* "127.0.0.1:8080", "[::1]:8080", ":8080" and "*:8080" (every IPv4 address), numbers only; "unix:/PATH" and
 * "unix:@NAME" (Linux' abstract names); "fd:NAME", where only listening is possible. ERR_MALFORMED otherwise.
 */
enum err addr_parse(struct slice text, struct addr *out);
/* A numeric host and a port; false if host is a name. */
bool addr_of_ip(struct slice host, uint16_t port, struct addr *out);
/* A Unix socket: an absolute path, or an abstract name written "@NAME"; false if it is empty, relative, has a
 * NUL or does not fit (107 bytes). */
bool addr_of_unix(struct slice path, struct addr *out);
bool addr_is_unix(const struct addr *a);
/* What stands behind "fd:", or SLICE_NONE if it is no such address. */
struct slice addr_inherited(const struct addr *a);
/* Nobody beyond this machine reaches it: 127.0.0.0/8, ::1, and every Unix socket. */
bool addr_is_loopback(const struct addr *a);
/* The 4 or 16 bytes of an IP address as they stand on the wire. */
bool addr_of_bytes(struct slice ip, uint16_t port, struct addr *out);
/* Whom connections from this address are counted under: an IPv4 address, or the first 64 bits of an IPv6 one,
 * since a single host may use all that follow. False for what is no IP address. */
#define ADDR_NETWORK_BYTES 16
bool addr_network(const struct addr *a, unsigned char out[ADDR_NETWORK_BYTES]);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_eq(const struct addr *a, const struct addr *b);
/* As addr_parse takes it: "127.0.0.1:8080", "unix:/run/x.sock" ("unix:" for the nameless side of a
 * connection); always NUL-terminated. */
void addr_format(const struct addr *a, char *out, size_t n);
/* Without port and brackets: "::1". */
void addr_format_host(const struct addr *a, char *out, size_t n);

#endif
