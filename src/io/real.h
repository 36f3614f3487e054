/* SPDX-License-Identifier: MIT */
/* Private to the real implementation of io: the epoll loop, its sources of readiness and its streams. */
#ifndef IO_REAL_H
#define IO_REAL_H

#include <sys/epoll.h>

#include "io/loop.h"

struct source;

/* Anything with a descriptor in the epoll set. */
struct source {
    int fd;
    /* Phase one: read what there is, call nobody. May be NULL. */
    void (*gather)(struct source *s, uint32_t events);
    /* Phase two: act. */
    void (*process)(struct source *s, uint32_t events);
    /* Before phase one: has what the two need fetched into the cache. May be NULL. */
    void (*soon)(struct source *s);
};

struct resolver;

struct real {
    struct loop loop; /* first member */
    int epoll_fd;
    int wake_fd;
    bool rest;     /* before the next turn (io/moderation.h) */
    int first;     /* where among the ready sources the next turn begins */
    int signal_fd; /* or -1 */
    struct source wake_source, signal_source;
    struct helpers *helpers; /* or NULL */
    struct sockets *sockets; /* or NULL */
    int stop;                /* atomic */
    struct resolver *resolver;
    void (*on_signal)(void *ud, int sig);
    void *signal_ud;
    struct list lingering; /* streams whose owner has left and whose last bytes are on their way */
    size_t tcp_n;          /* open streams and listeners, for assertions at the end */
};

static inline struct real *real_of(struct loop *l)
{
    return (struct real *)l;
}

/* epoll_ctl with the source as data; false with errno when the kernel refuses. */
bool real_watch(struct real *r, struct source *s, uint32_t events);
bool real_rewatch(struct real *r, struct source *s, uint32_t events);
void real_unwatch(struct real *r, struct source *s);

/* tcp.c */
void tcp_drop_lingering(struct real *r);
struct stream *tcp_connect(struct loop *l, const struct addr *to, size_t pending_max);
/* Takes the descriptor over (nonblocking). NULL when epoll refuses it; the descriptor is then closed. */
struct stream *tcp_accepted(struct loop *l, int fd, bool is_unix);

/* listener.c */
enum err listener_open(struct loop *l, const struct addr *at, accept_cb cb, void *ud, struct listener **out,
                       struct addr *bound);
void listener_close(struct listener **ls);
/* A socket bound to `at`, or -1 with errno. shared: SO_REUSEPORT. */
int listener_bind(const struct addr *at, bool shared);

/* mute.c */
enum err mute_open(struct loop *l, const struct addr *at, bool deaf, struct mute **out);
void mute_close(struct mute **m);

#endif
