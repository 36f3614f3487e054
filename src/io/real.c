/* SPDX-License-Identifier: MIT */
/* The real loop: epoll, level-triggered, two-phase.
 *
 * Why our own: libuv costs 1 to 2 us an event more and forces its handles on every file (docs/bench.md). Why
 * two phases: reading the whole ready batch first, then processing, then sending keeps each step's code and
 * data in cache and lets several events of a stream leave in one send.
 *
 * A source may be closed by an earlier one of the same batch; its memory lives until the end of the turn, so
 * phase two only has to look at its own closed flag. */
#include "io/real.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/helpers.h"
#include "io/resolver.h"

bool real_watch(struct real *r, struct source *s, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.ptr = s}};

    return epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) == 0;
}

bool real_rewatch(struct real *r, struct source *s, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.ptr = s}};

    return epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev) == 0;
}

void real_unwatch(struct real *r, struct source *s)
{
    epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
}

/* -- waking and signals ---------------------------------------------------------------------------------- */

static void wake_up(struct loop *l)
{
    uint64_t one = 1;
    ssize_t n = write(real_of(l)->wake_fd, &one, sizeof one);

    (void)n; /* a full counter wakes as well */
}

static void wake_box(void *ud)
{
    wake_up(ud);
}

static void on_wake(struct source *s, uint32_t events)
{
    uint64_t count;
    ssize_t n = read(s->fd, &count, sizeof count);

    (void)n;
    (void)events;
}

static void on_signal_ready(struct source *s, uint32_t events)
{
    struct real *r = CONTAINER_OF(s, struct real, signal_source);
    struct signalfd_siginfo info;

    (void)events;
    while (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info)
        r->on_signal(r->signal_ud, (int)info.ssi_signo);
}

enum err loop_real_signals(struct loop *l, const int *signals, size_t n, void (*on_signal)(void *ud, int sig),
                           void *ud)
{
    struct real *r = real_of(l);
    sigset_t set;

    ASSERT(r->signal_fd < 0);
    sigemptyset(&set);
    for (size_t i = 0; i < n; i++)
        sigaddset(&set, signals[i]);
    r->on_signal = on_signal;
    r->signal_ud = ud;
    r->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (r->signal_fd < 0)
        return ERR_SYSTEM;
    r->signal_source = (struct source){r->signal_fd, NULL, on_signal_ready, NULL};
    return real_watch(r, &r->signal_source, EPOLLIN) ? ERR_OK : ERR_SYSTEM;
}

/* -- names ----------------------------------------------------------------------------------------------- */

static struct lookup *resolve(struct loop *l, const char *host, uint16_t port, lookup_cb cb, void *ud)
{
    return resolver_lookup(real_of(l)->resolver, host, port, cb, ud);
}

struct dns_source {
    struct source source;
    struct real *real;
    struct afterwards afterwards;
};

static void on_dns_ready(struct source *s, uint32_t events)
{
    struct dns_source *d = CONTAINER_OF(s, struct dns_source, source);

    if (d->source.fd >= 0)
        resolver_ready(d->real->resolver, s->fd, (events & ~(uint32_t)EPOLLOUT) != 0,
                       (events & EPOLLOUT) != 0);
}

static void free_dns_source(struct afterwards *a)
{
    mem_free(CONTAINER_OF(a, struct dns_source, afterwards));
}

/* The resolver's descriptors come and go; *handle is ours to keep with it. */
static void watch_dns(void *ud, int fd, bool readable, bool writable, void **handle)
{
    struct real *r = ud;
    struct dns_source *d = *handle;
    uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);

    if (events == 0 && d != NULL) {
        real_unwatch(r, &d->source);
        d->source.fd = -1;
        loop_defer(&r->loop, &d->afterwards, free_dns_source);
        *handle = NULL;
    } else if (events != 0 && d != NULL) {
        real_rewatch(r, &d->source, events);
    } else if (events != 0) {
        d = MEM_NEW(struct dns_source);
        d->real = r;
        d->source = (struct source){fd, NULL, on_dns_ready, NULL};
        real_watch(r, &d->source, events);
        *handle = d;
    }
}

/* -- helpers --------------------------------------------------------------------------------------------- */

static void offload(struct loop *l, struct task *t)
{
    helpers_submit(real_of(l)->helpers, t);
}

/* -- the loop -------------------------------------------------------------------------------------------- */

static void free_real(struct loop *l)
{
    struct real *r = real_of(l);

    tcp_drop_lingering(r);
    resolver_free(&r->resolver);
    loop_fini(l);
    ASSERT(r->tcp_n == 0);
    if (r->signal_fd >= 0)
        close(r->signal_fd);
    close(r->wake_fd);
    close(r->epoll_fd);
    mem_free(r);
}

static const struct loop_ops REAL_OPS = {
    .connect = tcp_connect,
    .listen = listener_open,
    .unlisten = listener_close,
    .mute = mute_open,
    .unmute = mute_close,
    .resolve = resolve,
    .lookup_cancel = resolver_cancel,
    .offload = offload,
    .wake = wake_up,
    .free = free_real,
};

struct loop *loop_real_new(const struct real_opts *o)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), saved = errno;
    struct real *r;

    if (epoll_fd < 0 || wake_fd < 0) {
        if (epoll_fd >= 0)
            close(epoll_fd);
        if (wake_fd >= 0)
            close(wake_fd);
        errno = saved;
        return NULL;
    }
    r = MEM_NEW(struct real);
    loop_init(&r->loop, &REAL_OPS, o->seed, clock_mono_us(), clock_wall_us());
    r->loop.budget = o->budget;
    r->loop.pending_max = o->pending_max;
    r->loop.mailbox.wake = wake_box;
    r->loop.mailbox.ud = r;
    r->epoll_fd = epoll_fd;
    r->wake_fd = wake_fd;
    r->signal_fd = -1;
    list_init(&r->lingering);
    r->helpers = o->helpers;
    r->sockets = o->sockets;
    r->wake_source = (struct source){wake_fd, NULL, on_wake, NULL};
    r->resolver = resolver_new(&r->loop, watch_dns, r);
    if (!real_watch(r, &r->wake_source, EPOLLIN)) {
        saved = errno;
        free_real(&r->loop);
        errno = saved;
        return NULL;
    }
    return &r->loop;
}

/* How long epoll may sleep: -1 for ever, 0 not at all, else ms rounded up. The one look at the clock says
 * also how long the turn behind it was. */
static int sleep_ms(struct real *r)
{
    int64_t next = wheel_next_us(&r->loop.wheel), now = clock_mono_us(), ms;

    stint_end(&r->loop.stint, now);
    if (loop_has_work(&r->loop))
        return 0;
    if (next == CLOCK_NEVER_US)
        return -1;
    if (next <= now)
        return 0;
    ms = (next - now + CLOCK_MS_US - 1) / CLOCK_MS_US;
    return ms > 60000 ? 60000 : (int)ms;
}

/* A source, then what it will look at, then (in its gather) what its bytes will touch: each fetch finds the
 * address for the next one in the cache (base/warm.h). */
static void fetch_ahead(const struct epoll_event *ready, int n)
{
    for (int i = 0; i < n; i++)
        __builtin_prefetch(ready[i].data.ptr);
    for (int i = 0; i < n; i++) {
        struct source *s = ready[i].data.ptr;

        if (s->soon != NULL)
            s->soon(s);
    }
}

/* Reads until the turn's bound is met; returns how many sources have had their phase one. */
static int gather(struct real *r, const struct epoll_event *ready, int n, int first)
{
    for (int i = 0; i < n; i++) {
        const struct epoll_event *ev = &ready[(first + i) % n];
        struct source *s = ev->data.ptr;

        if (r->loop.spent.read_bytes >= TURN_READ_BYTES)
            return i;
        if (s->gather != NULL)
            s->gather(s, ev->events);
    }
    return n;
}

/* Behind a turn whose streams will soon have more. What is due meanwhile comes that much later. */
static void rest(void)
{
    struct timespec t = {.tv_nsec = MODERATION_REST_US * 1000};

    (void)nanosleep(&t, NULL);
}

/* Sources that the bound left out are ready still: the kernel tells of them again, in the same order, behind
 * those that it has not told of yet. So the next turn begins with the first of them. */
static void turn(struct real *r)
{
    struct epoll_event ready[TURN_SOURCES];
    int ms = sleep_ms(r), n, first, done;

    if (r->rest && ms != 0)
        rest();
    n = epoll_wait(r->epoll_fd, ready, TURN_SOURCES, ms);
    loop_begin_turn(&r->loop, clock_mono_us(), clock_wall_us());
    first = n > 0 ? r->first % n : 0;
    fetch_ahead(ready, n);
    done = gather(r, ready, n, first);
    for (int i = 0; i < done; i++) {
        const struct epoll_event *ev = &ready[(first + i) % n];
        struct source *s = ev->data.ptr;

        s->process(s, ev->events);
    }
    r->first = done < n ? first + done : 0;
    r->rest =
        moderation_turn(&r->loop.moderation, n > 0 ? (size_t)n : 0, r->loop.spent.events, r->loop.now_us);
    loop_end_turn(&r->loop);
}

void loop_real_run(struct loop *l)
{
    struct real *r = real_of(l);

    while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE))
        turn(r);
    stint_end(&l->stint, clock_mono_us());
    do { /* what was closed in the last turn is flushed and freed, and no message stays behind */
        loop_begin_turn(l, clock_mono_us(), clock_wall_us());
        loop_end_turn(l);
    } while (!mailbox_is_empty(&l->mailbox));
    stint_end(&l->stint, clock_mono_us());
}

void loop_real_stop(struct loop *l)
{
    __atomic_store_n(&real_of(l)->stop, 1, __ATOMIC_RELEASE);
    wake_up(l);
}
