/* SPDX-License-Identifier: MIT */
/* The socket on which a service manager hears of its service: datagrams of NAME=VALUE lines (sd_notify(3)).
 */
#ifndef IO_NOTIFY_SOCKET_H
#define IO_NOTIFY_SOCKET_H

#include <stdbool.h>

struct notify_socket;

/* `where` is what NOTIFY_SOCKET says: a path, or "@NAME". NULL when it is NULL or nothing that can be sent
 * to. */
struct notify_socket *notify_socket_open(const char *where);
void notify_socket_free(struct notify_socket **n);
/* One datagram. Waits for a slow reader, but never longer than a second; false with errno when it did not get
 * out. */
bool notify_socket_send(struct notify_socket *n, const char *text);

#endif
