/* SPDX-License-Identifier: MIT */
/* Writing without waiting.
 *
 * Why three means: a second opening through /proc gives pipes and terminals a file description of our own,
 * whose O_NONBLOCK is nobody else's. Sockets cannot be opened again; for them, and without /proc, poll says
 * whether there is room for a piece of PIPE_BUF bytes. A plain file has no reader to wait for, and is written
 * in one go. */
#include "io/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int outlet_open(int fd)
{
    char path[32];
    struct stat st;
    int own = -1;

    if (fstat(fd, &st) != 0)
        return -1;
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static bool is_plain_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool has_room(int fd, int wait_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n;

    do {
        n = poll(&p, 1, wait_ms);
    } while (n < 0 && errno == EINTR);
    return n == 1 && (p.revents & POLLOUT) != 0;
}

/* Whole lines, as many as a pipe takes at once; a line that is longer is cut. */
static size_t piece_of(struct slice bytes)
{
    const char *end;

    if (bytes.n <= PIPE_BUF)
        return bytes.n;
    end = memrchr(bytes.p, '\n', PIPE_BUF);
    return end != NULL ? (size_t)(end - bytes.p) + 1 : PIPE_BUF;
}

size_t outlet_write(int fd, struct slice bytes, int wait_ms)
{
    bool plain = bytes.n > PIPE_BUF && is_plain_file(fd);
    size_t written = 0;

    while (written < bytes.n) {
        struct slice rest = slice_from(bytes, written);
        ssize_t n;

        if (!plain && !has_room(fd, written == 0 ? wait_ms : 0))
            break;
        n = write(fd, rest.p, plain ? rest.n : piece_of(rest));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        written += (size_t)n;
    }
    return written;
}
