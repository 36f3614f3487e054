/* SPDX-License-Identifier: MIT */
/* Addresses that take no connections.
 *
 * A socket that is bound and does not listen keeps the port and has the kernel refuse. One that listens with
 * the smallest backlog is made deaf by a connection of our own, which fills its queue and is never accepted:
 * the kernel then drops every SYN, and callers wait as they do before a host that is overrun. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/real.h"

struct mute {
    int fd, filler_fd; /* filler: -1 when it only refuses */
};

static bool fill(struct mute *m, const struct addr *at)
{
    if (listen(m->fd, 0) != 0)
        return false;
    m->filler_fd = socket(at->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return m->filler_fd >= 0 &&
           (connect(m->filler_fd, (const struct sockaddr *)&at->ss, at->n) == 0 || errno == EINPROGRESS);
}

enum err mute_open(struct loop *l, const struct addr *at, bool deaf, struct mute **out)
{
    struct mute *m = MEM_NEW(struct mute);

    (void)l;
    m->filler_fd = -1;
    m->fd = listener_bind(at, true);
    *out = m;
    if (m->fd >= 0 && (!deaf || fill(m, at)))
        return ERR_OK;
    mute_close(out);
    return ERR_SYSTEM;
}

void mute_close(struct mute **mp)
{
    struct mute *m = *mp;

    *mp = NULL;
    if (m == NULL)
        return;
    if (m->filler_fd >= 0)
        close(m->filler_fd);
    if (m->fd >= 0)
        close(m->fd);
    mem_free(m);
}
