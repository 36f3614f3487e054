/* SPDX-License-Identifier: MIT */
/* A stream of the kernel on the real loop: TCP, or a Unix socket.
 *
 * Reading: one recv per readiness into the turn's memory, no second one after a short read. Writing: first
 * try, and only when the kernel refuses keep the rest and arm EPOLLOUT (arming for every write costs 2 us an
 * event). Small pieces of a turn are copied together into one send, which is cheaper than a vector of them.
 *
 * Leaving: an accepted stream always watches for the peer's end (EPOLLRDHUP), paused or not, because a client
 * that left must free its place at once. A connected stream that is paused is taken out of the set instead:
 * what the endpoint still sent before its end must be read later, and a level-triggered hang-up would spin.
 * For the same reason a connected stream that can send no more goes on reading: an endpoint that refuses a
 * request early answers, closes and resets what we still send.
 *
 * Ending: close drops everything; finish sends what waits, shuts down writing, then reads and drops for at
 * most LINGER_US, so that the peer can read our last bytes before a reset could overtake them (RFC 9112 9.6).
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/warm.h"
#include "io/acks.h"
#include "io/real.h"

#define JOIN_MAX (8 * 1024) /* up to here several pieces are copied into one */
#define IOV_N 32
#define LINGER_US (2 * CLOCK_SECOND_US)

struct tcp {
    struct stream stream; /* first member */
    struct source source;
    struct slice got;  /* phase one's bytes */
    struct acks acks;  /* of a connected stream that has a record of them */
    enum err got_err;  /* phase one's end: ERR_EOF, ERR_RESET */
    uint32_t watching; /* events in the set; 0: not in it */
    enum err lost;     /* why output goes nowhere any more; input ends with it */
    bool is_unix, accepted, connecting, lingering, finishing, write_shut, blocked;
    /* seldom looked at: */
    enum err early;     /* a connect that failed at once */
    struct list node;   /* in real->lingering */
    struct timer timer; /* connect failures are delivered by it; lingering is bounded by it */
    struct afterwards afterwards;
    struct warm touched; /* connected ones; accepted ones have no memory for it */
};

static struct real *real(struct tcp *t)
{
    return real_of(t->stream.loop);
}

static enum err err_of_errno(int e)
{
    switch (e) {
    case ECONNRESET:
    case EPIPE:
        return ERR_RESET;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:
    case ENOENT: /* a Unix socket that is not there */
    case EAGAIN: /* one whose queue is full: connect(2) */
        return ERR_REFUSED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC: /* of epoll_ctl: the user's watches are used up */
        return ERR_EXHAUSTED;
    default:
        return ERR_SYSTEM;
    }
}

/* What the set should watch for in the present state. */
static uint32_t wanted(const struct tcp *t)
{
    uint32_t events = 0;

    if (t->connecting)
        return EPOLLOUT;
    if (t->stream.ended)
        return 0;
    if (!t->stream.paused || t->lingering)
        events |= EPOLLIN | EPOLLRDHUP;
    if (t->accepted && !t->lingering)
        events |= EPOLLRDHUP;
    if (t->blocked)
        events |= EPOLLOUT;
    return events;
}

/* The set refused it: nothing would ever be heard of this stream again. It ends in the next turn. */
static void lose_sight(struct tcp *t)
{
    t->early = err_of_errno(errno);
    timer_set(&t->stream.loop->wheel, &t->timer, 0);
}

static void rewatch(struct tcp *t)
{
    uint32_t want = wanted(t);
    bool adding = t->watching == 0;

    if (want == t->watching)
        return;
    t->watching = want;
    if (want == 0)
        real_unwatch(real(t), &t->source);
    else if (!(adding ? real_watch : real_rewatch)(real(t), &t->source, want))
        lose_sight(t);
}

/* -- the end --------------------------------------------------------------------------------------------- */

static void free_tcp(struct afterwards *a)
{
    struct tcp *t = CONTAINER_OF(a, struct tcp, afterwards);

    ASSERT(list_empty(&t->stream.dirty_node));
    chunks_fini(&t->stream.pending);
    mem_free(t);
}

/* Its last bytes are out, or never will be. */
static void finished(struct tcp *t)
{
    if (t->finishing)
        t->stream.loop->finishing_n--;
    t->finishing = false;
}

static void destroy(struct tcp *t)
{
    struct real *r = real(t);

    timer_stop(&r->loop.wheel, &t->timer);
    list_remove(&t->stream.dirty_node);
    list_remove(&t->node);
    close(t->source.fd); /* leaves the set with it: descriptors are never shared */
    t->source.fd = -1;
    t->lingering = false;
    finished(t);
    r->tcp_n--;
    loop_defer(&r->loop, &t->afterwards, free_tcp);
}

/* The stream cannot go on: its owner hears of it, or, when it has none any more, it goes. */
static void end(struct tcp *t, enum err why)
{
    if (t->stream.closed) {
        if (t->source.fd >= 0)
            destroy(t);
        return;
    }
    chunks_fini(&t->stream.pending);
    stream_ended(&t->stream, why);
    if (t->source.fd >= 0 && !t->stream.closed)
        rewatch(t);
}

static void shut_write(struct tcp *t)
{
    if (t->write_shut || stream_pending(&t->stream) > 0)
        return;
    t->write_shut = true;
    finished(t);
    shutdown(t->source.fd, SHUT_WR);
    timer_set(&t->stream.loop->wheel, &t->timer, t->stream.loop->now_us + LINGER_US);
}

static void close_stream(struct stream *s, bool graceful)
{
    struct tcp *t = (struct tcp *)s;

    if (s->reset) /* RFC 9293 3.10.4 by way of a lingering time of zero */
        setsockopt(t->source.fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    if (!graceful) {
        destroy(t);
        return;
    }
    t->lingering = t->finishing = true;
    s->loop->finishing_n++;
    list_push_back(&real(t)->lingering, &t->node);
    timer_set(&s->loop->wheel, &t->timer, clock_add(s->loop->now_us, s->loop->finish_us));
    shut_write(t);
    rewatch(t);
}

static void on_timer(struct timer *timer)
{
    struct tcp *t = CONTAINER_OF(timer, struct tcp, timer);

    if (t->lingering)
        destroy(t);
    else
        end(t, t->early);
}

void tcp_drop_lingering(struct real *r)
{
    while (!list_empty(&r->lingering))
        destroy(CONTAINER_OF(r->lingering.next, struct tcp, node));
}

/* -- writing --------------------------------------------------------------------------------------------- */

static ssize_t send_once(struct tcp *t, struct iovec *iov, size_t n, size_t total)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
    char *joined, *at;

    if (n == 1)
        return send(t->source.fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    if (total > JOIN_MAX)
        return sendmsg(t->source.fd, &msg, MSG_NOSIGNAL);
    joined = at = loop_scratch(t->stream.loop, total);
    for (size_t i = 0; i < n; i++) {
        memcpy(at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return send(t->source.fd, joined, total, MSG_NOSIGNAL);
}

/* The peer takes nothing any more. A client that does has left; what an endpoint has said must still be read.
 */
static enum err lose_output(struct tcp *t, enum err why)
{
    struct stream *s = &t->stream;

    if (t->accepted || t->lingering || why == ERR_EXHAUSTED)
        return why;
    t->lost = why;
    t->blocked = false;
    chunks_fini(&s->pending);
    s->out_head = s->out_tail = NULL;
    s->out_n = 0;
    return ERR_OK;
}

/* Sends until everything is out or the kernel refuses. */
static enum err push(struct tcp *t)
{
    struct stream *s = &t->stream;

    acks_sent(&t->acks);
    while (stream_pending(s) > 0) {
        struct iovec iov[IOV_N];
        size_t total, waiting = stream_pending(s), n = stream_gather(s, iov, IOV_N, &total);
        ssize_t sent = send_once(t, iov, n, total);
        enum err e;

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return lose_output(t, err_of_errno(errno));
        t->blocked = sent < 0 || (size_t)sent < total;
        if (!t->blocked && total == waiting) {
            (void)!stream_sent(s, (size_t)sent);
            return ERR_OK;
        }
        e = stream_sent(s, sent < 0 ? 0 : (size_t)sent); /* keeps the rest in `pending` */
        if (e != ERR_OK || t->blocked)
            return e;
    }
    t->blocked = false;
    return ERR_OK;
}

static void flush(struct stream *s)
{
    struct tcp *t = (struct tcp *)s;
    enum err e;

    if (t->source.fd < 0 || s->ended)
        return;
    e = t->blocked || t->connecting ? stream_sent(s, 0) : push(t);
    if (e != ERR_OK) {
        end(t, e);
        return;
    }
    if (t->lingering)
        shut_write(t);
    rewatch(t);
}

static void on_writable(struct tcp *t)
{
    enum err e;

    if (!t->blocked)
        return;
    t->blocked = false;
    e = push(t);
    if (e != ERR_OK) {
        end(t, e);
        return;
    }
    if (t->lingering)
        timer_set(&t->stream.loop->wheel, &t->timer,
                  clock_add(t->stream.loop->now_us, t->stream.loop->finish_us));
    if (stream_pending(&t->stream) == 0) {
        if (t->lingering)
            shut_write(t);
        else if (t->lost == ERR_OK)
            stream_drained(&t->stream);
    }
    if (t->source.fd >= 0)
        rewatch(t);
}

static void pause_stream(struct stream *s, bool paused)
{
    (void)paused;
    rewatch((struct tcp *)s);
}

/* -- reading --------------------------------------------------------------------------------------------- */

/* Before anything of the batch is read. The first half of the struct is what every event needs. */
static void soon(struct source *source)
{
    const char *t = (const char *)CONTAINER_OF(source, struct tcp, source);

    for (size_t i = 0; i < offsetof(struct tcp, early); i += WARM_LINE)
        __builtin_prefetch(t + i, 1);
    for (size_t i = 0; i < sizeof(struct warm); i += WARM_LINE)
        __builtin_prefetch(t + offsetof(struct tcp, touched) + i, 0);
}

static void gather(struct source *source, uint32_t events)
{
    struct tcp *t = CONTAINER_OF(source, struct tcp, source);
    struct loop *l = t->stream.loop;
    char *room;
    ssize_t n;

    t->got = SLICE_NONE;
    t->got_err = ERR_OK;
    if (source->fd < 0 || t->connecting || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0)
        return;
    if (t->stream.paused && !t->lingering) { /* accepted streams are told at once that the client has left */
        bool left = t->accepted && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;

        t->got_err = left ? ERR_EOF : ERR_OK;
        return;
    }
    if (t->stream.warm != NULL) /* comes while the kernel is at work (docs/bench.md) */
        warm_fetch(t->stream.warm);
    room = arena_reserve(&l->turn, TURN_STREAM_BYTES);
    n = recv(source->fd, room, TURN_STREAM_BYTES, 0);
    if (n > 0) {
        arena_commit(&l->turn, (size_t)n);
        l->spent.read_bytes += (size_t)n;
        t->got = (struct slice){room, (size_t)n};
        if (t->stream.acks != NULL && acks_read(&t->acks, t->stream.acks, (size_t)n, l->now_us))
            setsockopt(source->fd, IPPROTO_TCP, TCP_QUICKACK, &(int){0}, sizeof(int));
    } else if (n == 0) {
        t->got_err = t->lost != ERR_OK ? t->lost : ERR_EOF; /* the kernel tells of a reset only once */
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        t->got_err = err_of_errno(errno);
    }
}

static void finish_connect(struct tcp *t)
{
    int e = 0;
    socklen_t n = sizeof e;

    t->connecting = false;
    if (getsockopt(t->source.fd, SOL_SOCKET, SO_ERROR, &e, &n) != 0)
        e = errno;
    if (e != 0) {
        end(t, err_of_errno(e));
        return;
    }
    stream_opened(&t->stream);
    if (t->source.fd >= 0 && !t->stream.ended) {
        if (stream_pending(&t->stream) > 0 && list_empty(&t->stream.dirty_node))
            list_push_back(&t->stream.loop->dirty, &t->stream.dirty_node);
        rewatch(t);
    }
}

static void process(struct source *source, uint32_t events)
{
    struct tcp *t = CONTAINER_OF(source, struct tcp, source);

    if (source->fd < 0)
        return;
    if (t->connecting) {
        finish_connect(t);
        return;
    }
    if (t->got.n > 0 && !t->lingering)
        stream_deliver(&t->stream, t->got);
    if (source->fd >= 0 && t->got_err != ERR_OK) {
        end(t, t->got_err);
        return;
    }
    if (source->fd >= 0 && (events & EPOLLOUT) != 0)
        on_writable(t);
}

/* -- making ---------------------------------------------------------------------------------------------- */

static const struct stream_ops TCP_OPS = {flush, pause_stream, close_stream};

static struct tcp *make(struct loop *l, int fd, bool is_unix, size_t pending_max, size_t bytes)
{
    struct tcp *t = mem_zalloc(bytes);

    stream_init(&t->stream, l, &TCP_OPS, pending_max);
    t->source = (struct source){fd, gather, process, soon};
    list_init(&t->node);
    timer_init(&t->timer, on_timer);
    real_of(l)->tcp_n++;
    t->is_unix = is_unix;
    if (!is_unix)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return t;
}

struct stream *tcp_accepted(struct loop *l, int fd, bool is_unix)
{
    uint64_t short_n = mem_short_n();
    struct tcp *t = make(l, fd, is_unix, l->pending_max, offsetof(struct tcp, touched));

    t->accepted = true;
    t->stream.open = true;
    t->watching = wanted(t);
    if (mem_short_n() != short_n || !real_watch(real_of(l), &t->source, t->watching)) {
        t->stream.closed = true;
        destroy(t);
        return NULL;
    }
    return &t->stream;
}

struct stream *tcp_connect(struct loop *l, const struct addr *to, size_t pending_max)
{
    int fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), why = errno;
    struct tcp *t = make(l, fd, addr_is_unix(to), pending_max, sizeof *t);

    t->stream.warm = &t->touched;
    errno = why; /* of socket(2), if that is what failed */
    if (fd >= 0 && (connect(fd, (const struct sockaddr *)&to->ss, to->n) == 0 || errno == EINPROGRESS)) {
        t->connecting = true;
        t->watching = EPOLLOUT;
        if (real_watch(real_of(l), &t->source, EPOLLOUT))
            return &t->stream;
    }
    t->early = err_of_errno(errno);
    t->watching = 0;
    timer_set(&l->wheel, &t->timer, l->now_us);
    return &t->stream;
}
