/* SPDX-License-Identifier: MIT */
/* A listening socket of one worker. TCP addresses are bound by each worker for itself: SO_REUSEPORT, so that
 * the kernel spreads connections over the workers. Of a socket that all share (io/sockets.h) each has a
 * duplicate; a new connection wakes one of them (EPOLLEXCLUSIVE), which takes only a few at a time and leaves
 * the rest to whoever is idle.
 *
 * When the process is out of descriptors, or accepting fails for another reason of ours, it rests for a
 * moment instead of spinning on a ready socket. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/reserve.h"
#include "io/real.h"
#include "io/sockets.h"

#define BACKLOG 4096
#define REST_US (100 * CLOCK_MS_US)

struct listener {
    struct source source;
    struct loop *loop;
    bool shared;
    accept_cb cb;
    void *ud;
    struct timer rest;
    struct afterwards afterwards;
};

static bool watch(struct listener *ls)
{
    return real_watch(real_of(ls->loop), &ls->source, EPOLLIN | (ls->shared ? EPOLLEXCLUSIVE : 0));
}

static void on_rested(struct timer *t)
{
    struct listener *ls = CONTAINER_OF(t, struct listener, rest);

    if (!watch(ls)) /* the kernel is short of memory still */
        timer_set(&ls->loop->wheel, t, ls->loop->now_us + REST_US);
}

static void rest(struct listener *ls)
{
    real_unwatch(real_of(ls->loop), &ls->source);
    timer_set(&ls->loop->wheel, &ls->rest, ls->loop->now_us + REST_US);
}

/* Whether an error of accept concerns the one connection that it took off the queue (accept(2): what has gone
 * wrong on the network already; EPERM: a firewall's rule). Every other one is ours and would be met again. */
static bool is_of_one(int e)
{
    switch (e) {
    case ECONNABORTED:
    case EINTR:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

static void on_acceptable(struct source *source, uint32_t events)
{
    struct listener *ls = CONTAINER_OF(source, struct listener, source);

    int max = ls->shared ? TURN_ACCEPTS_SHARED : TURN_ACCEPTS;

    (void)events;
    if (reserve_is_low()) { /* who waits in the kernel's queue costs us nothing */
        rest(ls);
        return;
    }
    for (int i = 0; i < max && source->fd >= 0; i++) {
        struct addr peer = {.n = sizeof peer.ss};
        int fd = accept4(source->fd, (struct sockaddr *)&peer.ss, &peer.n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct stream *s;

        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return;
            if (is_of_one(errno))
                continue;
            rest(ls);
            return;
        }
        s = tcp_accepted(ls->loop, fd, addr_is_unix(&peer));
        if (s != NULL)
            ls->cb(ls->ud, s, &peer);
    }
}

static void free_listener(struct afterwards *a)
{
    mem_free(CONTAINER_OF(a, struct listener, afterwards));
}

void listener_close(struct listener **lsp)
{
    struct listener *ls = *lsp;

    *lsp = NULL;
    if (ls == NULL)
        return;
    timer_stop(&ls->loop->wheel, &ls->rest);
    if (ls->shared) /* its duplicates would keep it in the set */
        real_unwatch(real_of(ls->loop), &ls->source);
    close(ls->source.fd);
    ls->source.fd = -1;
    real_of(ls->loop)->tcp_n--;
    loop_defer(ls->loop, &ls->afterwards, free_listener);
}

int listener_bind(const struct addr *at, bool shared)
{
    int fd = socket(at->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    int saved;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (at->ss.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&at->ss, at->n) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int loop_real_probe(const struct addr *at)
{
    int fd = listener_bind(at, false);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static int own_socket(const struct addr *at)
{
    int fd = listener_bind(at, true), saved;

    if (fd < 0 || listen(fd, BACKLOG) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

enum err listener_open(struct loop *l, const struct addr *at, accept_cb cb, void *ud, struct listener **out,
                       struct addr *bound)
{
    struct sockets *sockets = real_of(l)->sockets;
    bool shared = sockets != NULL && sockets_have(sockets, at, NULL);
    int fd = shared ? sockets_dup(sockets, at) : own_socket(at);
    struct listener *ls;

    *out = NULL;
    if (fd < 0)
        return ERR_SYSTEM;
    if (bound != NULL) {
        bound->n = sizeof bound->ss;
        getsockname(fd, (struct sockaddr *)&bound->ss, &bound->n);
    }
    ls = MEM_NEW(struct listener);
    ls->source = (struct source){fd, NULL, on_acceptable, NULL};
    ls->loop = l;
    ls->shared = shared;
    ls->cb = cb;
    ls->ud = ud;
    timer_init(&ls->rest, on_rested);
    real_of(l)->tcp_n++;
    if (!watch(ls)) {
        listener_close(&ls);
        return ERR_SYSTEM;
    }
    *out = ls;
    return ERR_OK;
}
