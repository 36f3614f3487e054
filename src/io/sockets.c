/* SPDX-License-Identifier: MIT */
/* Keeping the sockets that loops share.
 *
 * The protocol of socket activation is three variables and a row of descriptors (sd_listen_fds(3)); it needs
 * no library. A Unix socket's file outlives a process that crashed: connecting tells whether anybody is
 * behind it. */
#include "io/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"

#define BACKLOG 4096

struct held {
    struct list node;
    int fd; /* -1: settled */
    struct addr at;
    char name[ADDR_FD_NAME_BYTES + 1]; /* of an inherited one */
    bool inherited, used;
    bool has_file; /* a Unix socket with a file, which is ours */
    dev_t device;
    ino_t inode;
};

struct sockets {
    struct list all;
};

struct sockets *sockets_new(void)
{
    struct sockets *s = MEM_NEW(struct sockets);

    list_init(&s->all);
    return s;
}

static const char *path_of(const struct held *h)
{
    return ((const struct sockaddr_un *)&h->at.ss)->sun_path;
}

static void close_fd(struct held *h)
{
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
}

static bool is_still_ours(const struct held *h)
{
    struct stat st;

    return h->has_file && lstat(path_of(h), &st) == 0 && st.st_dev == h->device && st.st_ino == h->inode;
}

void sockets_free(struct sockets **sp)
{
    struct sockets *s = *sp;
    struct list *n;

    *sp = NULL;
    if (s == NULL)
        return;
    while ((n = list_pop_front(&s->all)) != NULL) {
        struct held *h = CONTAINER_OF(n, struct held, node);

        close_fd(h);
        if (is_still_ours(h))
            unlink(path_of(h));
        mem_free(h);
    }
    mem_free(s);
}

static struct held *add(struct sockets *s, int fd)
{
    struct held *h = MEM_NEW(struct held);

    h->fd = fd;
    list_init(&h->node);
    list_push_back(&s->all, &h->node);
    return h;
}

/* -- inherited ------------------------------------------------------------------------------------------- */

/* The name behind the i-th colon. */
static struct slice nth_name(const char *names, uint64_t i)
{
    struct slice rest = slice_of(names), name = SLICE_NONE;

    for (uint64_t at = 0; at <= i && rest.p != NULL; at++)
        name = slice_cut(rest, ':', &rest);
    return name;
}

static bool is_listening_stream(int fd, struct addr *at)
{
    int type = 0, listening = 0;
    socklen_t n = sizeof type, m = sizeof listening;

    at->n = sizeof at->ss;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &m) == 0 && listening != 0 &&
           getsockname(fd, (struct sockaddr *)&at->ss, &at->n) == 0 &&
           (at->ss.ss_family == AF_INET || at->ss.ss_family == AF_INET6 || at->ss.ss_family == AF_UNIX);
}

static bool take_over(struct sockets *s, int fd, struct slice name)
{
    struct addr at = {.n = 0};
    struct held *h;
    int flags;

    if (!is_listening_stream(fd, &at))
        return false;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return false;
    h = add(s, fd);
    h->at = at;
    h->inherited = true;
    snprintf(h->name, sizeof h->name, "%.*s", SLICE_ARG(name));
    return true;
}

enum err sockets_inherit(struct sockets *s, int first, const char *pid, const char *fds, const char *names,
                         const char **why)
{
    uint64_t for_pid, n;

    *why = "";
    if (pid == NULL || fds == NULL)
        return ERR_OK;
    if (!slice_to_u64(slice_of(pid), INT32_MAX, &for_pid) || !slice_to_u64(slice_of(fds), SOCKETS_MAX, &n)) {
        *why = "LISTEN_PID and LISTEN_FDS must be numbers, and LISTEN_FDS at most 256";
        return ERR_MALFORMED;
    }
    if (for_pid != (uint64_t)getpid())
        return ERR_OK; /* a parent's, or nobody's */
    for (uint64_t i = 0; i < n; i++) {
        if (take_over(s, first + (int)i, nth_name(names, i)))
            continue;
        *why = "LISTEN_FDS announces a descriptor that is not a listening TCP or Unix stream socket";
        return ERR_MALFORMED;
    }
    return ERR_OK;
}

/* -- Unix sockets ---------------------------------------------------------------------------------------- */

/* Whether the address is only the file of a process that is gone. */
static bool is_stale(const struct addr *at, const char *path)
{
    struct stat st;
    int fd, e;

    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    e = fd >= 0 && connect(fd, (const struct sockaddr *)&at->ss, at->n) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return e == ECONNREFUSED;
}

int sockets_bind(struct sockets *s, const struct addr *at, int mode)
{
    const char *path = ((const struct sockaddr_un *)&at->ss)->sun_path;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), e = 0;
    bool has_file = path[0] != '\0';
    struct stat st;
    struct held *h;
    mode_t before;

    if (fd < 0)
        return errno;
    if (has_file && is_stale(at, path))
        unlink(path);
    before = umask((mode_t)(~mode & 0777));
    if (bind(fd, (const struct sockaddr *)&at->ss, at->n) != 0 || listen(fd, BACKLOG) != 0)
        e = errno;
    umask(before);
    if (e == 0 && has_file && lstat(path, &st) != 0)
        e = errno;
    if (e != 0) {
        close(fd);
        return e;
    }
    h = add(s, fd);
    h->at = *at;
    h->has_file = has_file;
    if (has_file) {
        h->device = st.st_dev;
        h->inode = st.st_ino;
    }
    return 0;
}

/* -- for the loops --------------------------------------------------------------------------------------- */

static struct held *find(const struct sockets *s, const struct addr *at)
{
    struct slice name = addr_inherited(at);

    LIST_EACH (node, &s->all) {
        struct held *h = CONTAINER_OF(node, struct held, node);
        bool same = name.n > 0 ? h->inherited && slice_eq(slice_of(h->name), name) : addr_eq(&h->at, at);

        if (same && h->fd >= 0)
            return h;
    }
    return NULL;
}

bool sockets_have(const struct sockets *s, const struct addr *at, struct addr *real)
{
    const struct held *h = find(s, at);

    if (h != NULL && real != NULL)
        *real = h->at;
    return h != NULL;
}

int sockets_dup(struct sockets *s, const struct addr *at)
{
    struct held *h = find(s, at);

    if (h == NULL) {
        errno = ENOENT;
        return -1;
    }
    h->used = true;
    return fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
}

bool sockets_unused(const struct sockets *s, size_t i, char *out, size_t n)
{
    LIST_EACH (node, &s->all) {
        const struct held *h = CONTAINER_OF(node, struct held, node);
        char at[ADDR_TEXT_BYTES];

        if (!h->inherited || h->used || i-- > 0)
            continue;
        addr_format(&h->at, at, sizeof at);
        snprintf(out, n, "%s%s%s", at, h->name[0] != '\0' ? ", named " : "", h->name);
        return true;
    }
    return false;
}

void sockets_settle(struct sockets *s)
{
    LIST_EACH (node, &s->all)
        close_fd(CONTAINER_OF(node, struct held, node));
}
