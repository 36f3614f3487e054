/* SPDX-License-Identifier: MIT */
/* Sending to the notify socket. */
#include "io/notify_socket.h"

#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/addr.h"

struct notify_socket {
    int fd;
    struct addr to;
};

struct notify_socket *notify_socket_open(const char *where)
{
    const struct timeval patience = {.tv_sec = 1};
    struct notify_socket *n;
    struct addr to;
    int fd;

    if (where == NULL || !addr_of_unix(slice_of(where), &to))
        return NULL;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    n = MEM_NEW(struct notify_socket);
    n->fd = fd;
    n->to = to;
    return n;
}

void notify_socket_free(struct notify_socket **np)
{
    struct notify_socket *n = *np;

    *np = NULL;
    if (n == NULL)
        return;
    close(n->fd);
    mem_free(n);
}

bool notify_socket_send(struct notify_socket *n, const char *text)
{
    size_t bytes = strlen(text);

    return sendto(n->fd, text, bytes, MSG_NOSIGNAL, (const struct sockaddr *)&n->to.ss, n->to.n) ==
           (ssize_t)bytes;
}
