/* SPDX-License-Identifier: MIT */
/* Descriptors that others share: nothing waits for their readers, nothing changes for their other users. */
#include "io/outlet.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "tap.h"

#define LOTS (4 * 1024 * 1024)

static char lots[LOTS];

/* Lines of 100 bytes. */
static struct slice lines(size_t n)
{
    for (size_t i = 0; i < n; i++)
        lots[i] = i % 100 == 99 ? '\n' : 'x';
    return (struct slice){lots, n};
}

static void full_without_waiting(int read_end, int write_end)
{
    int before = fcntl(write_end, F_GETFL), own = outlet_open(write_end);
    char back[PIPE_BUF];
    size_t n;

    if (!CHECK(own >= 0))
        return;
    CHECK(own != write_end && (fcntl(own, F_GETFD) & FD_CLOEXEC) != 0);
    n = outlet_write(own, lines(LOTS), 0); /* would wait for ever if it waited */
    CHECK(n > 0 && n < LOTS && n % 100 == 0);
    CHECK_INT((long long)outlet_write(own, lines(100), 0), 0);
    CHECK_INT((long long)outlet_write(own, lines(100), 1), 0);
    CHECK_INT(fcntl(write_end, F_GETFL), before);
    while (n > 0) {
        ssize_t got = read(read_end, back, sizeof back);
        if (!CHECK(got > 0))
            break;
        n -= (size_t)got;
    }
    CHECK_INT((long long)outlet_write(own, lines(100), 0), 100);
    close(own);
}

TEST(a_pipe_that_nobody_reads_holds_nobody_up)
{
    int fds[2];

    if (!CHECK(pipe(fds) == 0))
        return;
    full_without_waiting(fds[0], fds[1]);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_socket_that_nobody_reads_holds_nobody_up)
{
    int fds[2];

    if (!CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0))
        return;
    full_without_waiting(fds[0], fds[1]);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_pipe_without_reader_takes_nothing)
{
    int fds[2], own;

    if (!CHECK(pipe(fds) == 0))
        return;
    signal(SIGPIPE, SIG_IGN);
    own = outlet_open(fds[1]);
    close(fds[0]);
    CHECK_INT((long long)outlet_write(own, lines(500), 0), 0);
    close(own);
    close(fds[1]);
}

TEST(a_file_goes_on_where_its_other_writers_are)
{
    char path[] = "/tmp/outlet_test_XXXXXX", back[64] = "";
    int fd = mkstemp(path), own;

    if (!CHECK(fd >= 0))
        return;
    unlink(path);
    CHECK_INT(write(fd, "first\n", 6), 6);
    own = outlet_open(fd);
    CHECK_INT((long long)outlet_write(own, SLICE("second\n"), 0), 7);
    CHECK_INT(write(fd, "third\n", 6), 6);
    CHECK_INT(pread(fd, back, sizeof back, 0), 19);
    CHECK_STR(back, "first\nsecond\nthird\n");
    CHECK_INT((long long)outlet_write(own, lines(100000), 0), 100000);
    close(own);
    close(fd);
}

TEST(what_is_not_open_is_refused)
{
    CHECK_INT(outlet_open(-1), -1);
    CHECK_INT((long long)outlet_write(-1, SLICE("x"), 0), 0);
}
