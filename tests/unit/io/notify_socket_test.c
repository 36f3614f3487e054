/* SPDX-License-Identifier: MIT */
/* The notify socket: what arrives is what was said, and a manager that is gone or slow holds nobody up. */
#include "io/notify_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/addr.h"
#include "tap.h"

/* A datagram socket at an abstract name of this process. */
static int manager(char name[64])
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct addr at;

    snprintf(name, 64, "@tidegate-notify-%d", (int)getpid());
    CHECK(addr_of_unix(slice_of(name), &at));
    CHECK(bind(fd, (struct sockaddr *)&at.ss, at.n) == 0);
    return fd;
}

TEST(a_message_is_one_datagram)
{
    char name[64], got[100];
    int fd = manager(name);
    struct notify_socket *n = notify_socket_open(name);

    CHECK(n != NULL);
    CHECK(notify_socket_send(n, "READY=1\nSTATUS=fine"));
    CHECK(notify_socket_send(n, "STOPPING=1"));
    CHECK_INT(recv(fd, got, sizeof got, 0), 19);
    CHECK_MEM(got, 19, "READY=1\nSTATUS=fine", 19);
    CHECK_INT(recv(fd, got, sizeof got, 0), 10);
    notify_socket_free(&n);
    CHECK(n == NULL);
    notify_socket_free(&n);
    close(fd);
}

TEST(nobody_and_nonsense)
{
    struct notify_socket *n;

    CHECK(notify_socket_open(NULL) == NULL);
    CHECK(notify_socket_open("") == NULL);
    CHECK(notify_socket_open("vsock:2:1234") == NULL);
    n = notify_socket_open("/nowhere/at/all");
    CHECK(n != NULL && !notify_socket_send(n, "READY=1") && errno == ENOENT);
    notify_socket_free(&n);
}

TEST(a_manager_that_does_not_read_gets_no_more_than_its_queue)
{
    char name[64];
    int fd = manager(name), sent = 0;
    struct notify_socket *n = notify_socket_open(name);

    while (sent < 100000 && notify_socket_send(n, "WATCHDOG=1"))
        sent++;
    CHECK(sent < 100000 && (errno == EAGAIN || errno == EWOULDBLOCK));
    notify_socket_free(&n);
    close(fd);
}
