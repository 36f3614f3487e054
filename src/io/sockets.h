/* SPDX-License-Identifier: MIT */
/* The listening sockets that the loops of a process share: Unix sockets, which can be bound only once, and
 * those that the process was started with (socket activation). Each loop that listens at such an address gets
 * a duplicate; TCP addresses that nobody passed on are bound by each loop for itself (io/listener.c).
 *
 * Once everybody listens, sockets_settle closes the originals: when the last duplicate goes, clients are
 * refused instead of waiting in a queue that nobody reads. The sockets of a service manager stay open in its
 * hands, so that the next start finds what has come in between.
 *
 * Threads: before the threads start, and after they have ended. */
#ifndef IO_SOCKETS_H
#define IO_SOCKETS_H

#include "io/addr.h"

#define SOCKETS_MAX 256 /* that a process may inherit */

struct sockets;

struct sockets *sockets_new(void);
/* Removes the files of the Unix sockets that were bound here, unless somebody else has replaced them. */
void sockets_free(struct sockets **s);

/* Takes over the descriptors `first`, first + 1, ... (3 in a process that a service manager has started) that
 * LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES announce; the values may be NULL. Nothing when they are meant for
 * another process. ERR_MALFORMED when they make no sense or a descriptor is not a listening stream socket:
 * *why says which. */
enum err sockets_inherit(struct sockets *s, int first, const char *pid, const char *fds, const char *names,
                         const char **why);
/* Binds the Unix socket `at`; the permissions of its file are `mode` from its first moment. A file that a
 * dead process left behind is replaced, one of a living process is not. 0, or errno. Not for threads: it
 * changes the process's umask for a moment. */
int sockets_bind(struct sockets *s, const struct addr *at, int mode);
/* Whether a loop would get a duplicate for this address. *real (may be NULL) is what it is bound to. */
bool sockets_have(const struct sockets *s, const struct addr *at, struct addr *real);
/* A duplicate, or -1 with errno: ENOENT when nobody has such a socket. */
int sockets_dup(struct sockets *s, const struct addr *at);
/* An inherited socket that was never asked for, as text ("127.0.0.1:80, named web"): the i-th of them; false
 * when there are no more. */
bool sockets_unused(const struct sockets *s, size_t i, char *out, size_t n);
void sockets_settle(struct sockets *s);

#endif
