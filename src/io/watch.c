/* SPDX-License-Identifier: MIT */
/* A watched file: inotify on its directories, a look after events, and another one that must find the same.
 *
 * Directories can go and come again, and links can lead elsewhere after every change. Therefore both watches
 * are put in place anew with every look, and while one of them is missing there is a look every second. */
#include "io/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/real.h"

#define DIRS_N 2 /* of the path, and of what it leads to */
#define EVENTS_BYTES 8192
#define RETRY_US CLOCK_SECOND_US
#define EVENTS                                                                                           \
    (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
     IN_MOVE_SELF)

/* How a file is told from the one that was there before. */
struct look {
    bool is_there;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct watch {
    struct real *real;
    struct source source;
    char *path;
    int dirs[DIRS_N];    /* watch descriptors, or -1 */
    struct look last;    /* what was told, or was there at first */
    struct look settles; /* another one, seen once */
    struct timer timer;
    void (*on_change)(void *ud);
    void *ud;
    struct afterwards afterwards;
};

static struct look take_look(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct look){.is_there = false};
    return (struct look){true, st.st_dev, st.st_ino, st.st_size, st.st_ctim};
}

static bool is_same(const struct look *a, const struct look *b)
{
    return a->is_there == b->is_there && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* The directory that a path names a file in, in place. */
static const char *directory_of(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL)
        return ".";
    slash[slash == path ? 1 : 0] = '\0';
    return path;
}

static int watch_directory(const struct watch *w, const char *dir)
{
    return inotify_add_watch(w->source.fd, dir, EVENTS | IN_ONLYDIR);
}

/* inotify knows a directory by its inode: watching the same one again changes nothing and gives the same
 * descriptor. */
static bool watch_directories(struct watch *w)
{
    char path[PATH_MAX];
    int dirs[DIRS_N] = {-1, -1};

    if (snprintf(path, sizeof path, "%s", w->path) < (int)sizeof path)
        dirs[0] = watch_directory(w, directory_of(path));
    if (realpath(w->path, path) != NULL)
        dirs[1] = watch_directory(w, directory_of(path));
    for (int i = 0; i < DIRS_N; i++) {
        if (w->dirs[i] >= 0 && w->dirs[i] != dirs[0] && w->dirs[i] != dirs[1])
            inotify_rm_watch(w->source.fd, w->dirs[i]); /* fails when the directory is gone already */
    }
    memcpy(w->dirs, dirs, sizeof dirs);
    return dirs[0] >= 0 && dirs[1] >= 0;
}

static void on_timer(struct timer *t)
{
    struct watch *w = CONTAINER_OF(t, struct watch, timer);
    struct look now;

    if (!watch_directories(w))
        timer_set(&w->real->loop.wheel, t, w->real->loop.now_us + RETRY_US);
    now = take_look(w->path); /* after the watches are in place, so that nothing falls between */
    if (!now.is_there || is_same(&now, &w->last))
        return;
    if (!is_same(&now, &w->settles)) { /* who writes in place may be in the middle of it */
        w->settles = now;
        timer_set(&w->real->loop.wheel, t, w->real->loop.now_us + WATCH_SETTLE_US);
        return;
    }
    w->last = now;
    w->on_change(w->ud);
}

/* Which events they were does not matter: the look tells. */
static void on_ready(struct source *s, uint32_t events)
{
    struct watch *w = CONTAINER_OF(s, struct watch, source);
    char bytes[EVENTS_BYTES];

    (void)events;
    if (s->fd < 0)
        return; /* freed by an earlier source of this batch */
    while (read(s->fd, bytes, sizeof bytes) > 0)
        continue;
    if (!timer_is_set(&w->timer) || w->dirs[0] < 0 || w->dirs[1] < 0)
        timer_set(&w->real->loop.wheel, &w->timer, w->real->loop.now_us + WATCH_SETTLE_US);
}

struct watch *watch_new(struct loop *l, const char *path, void (*on_change)(void *ud), void *ud)
{
    struct watch *w = MEM_NEW(struct watch);

    w->real = real_of(l);
    w->path = mem_strdup(path);
    w->on_change = on_change;
    w->ud = ud;
    w->dirs[0] = w->dirs[1] = -1;
    timer_init(&w->timer, on_timer);
    w->source = (struct source){inotify_init1(IN_NONBLOCK | IN_CLOEXEC), NULL, on_ready, NULL};
    if (w->source.fd < 0 || !real_watch(w->real, &w->source, EPOLLIN)) {
        int error = errno;

        if (w->source.fd >= 0)
            close(w->source.fd);
        mem_free(w->path);
        mem_free(w);
        errno = error;
        return NULL;
    }
    if (!watch_directories(w))
        timer_set(&l->wheel, &w->timer, l->now_us + RETRY_US);
    w->last = take_look(path);
    return w;
}

static void free_watch(struct afterwards *a)
{
    mem_free(CONTAINER_OF(a, struct watch, afterwards));
}

void watch_free(struct watch **wp)
{
    struct watch *w = *wp;

    *wp = NULL;
    if (w == NULL)
        return;
    timer_stop(&w->real->loop.wheel, &w->timer);
    real_unwatch(w->real, &w->source);
    close(w->source.fd);
    w->source.fd = -1;
    mem_free(w->path);
    loop_defer(&w->real->loop, &w->afterwards, free_watch);
}
