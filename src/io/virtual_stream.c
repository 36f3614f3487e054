/* SPDX-License-Identifier: MIT */
/* The streams of virtual io: pairs of ends joined by bounded pipes with a latency.
 *
 *     client end                                server end
 *     stream.out, pending ---- packets ----> in [DATA DATA FIN]
 *     in [OPEN DATA]      <--- packets ----- stream.out, pending
 *
 * Everything that travels is a packet with a time of arrival in the receiver's `in`: bytes, and also that a
 * connect was answered or refused and that the sender ended. A packet counts against the pipe from being sent
 * until it is read, so a reader that pauses fills the pipe, and what does not fit waits in the sender's
 * `pending`.
 *
 * Behaves as tcp.c does over a kernel: the two phases of a turn, an end that is seen only behind the bytes
 * before it (save by a paused accepted stream, which hears at once that its client has left), a reset for who
 * closes with unread bytes or sends to an end that is gone, and finish, which sends what waits and then
 * swallows what still comes.
 *
 * Ownership: an end is freed at the end of a turn of its loop. `peer` is NULL once the other side is gone;
 * what it left behind is then in `in`. */
#include <sys/uio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/virtual_net.h"

#define LINGER_US (2 * CLOCK_SECOND_US)
#define IOV_N 64

struct vend {
    struct stream stream; /* first member */
    struct vnet *net;
    struct vloop *home;
    struct list node;          /* in home->ends */
    struct list ready_node;    /* in home->ready or in the batch of the turn */
    struct listener *listener; /* waits to be accepted by it */
    struct list queue_node;    /* in listener->queue */
    struct vend *peer;
    struct addr to; /* the other side */
    struct vpipe in;
    struct slice got; /* what phase one read */
    struct vevent event;
    int64_t swallowed_until_us; /* a peer that finished drops what reaches it by then */
    bool accepted, opening;
    bool lingering; /* its owner has finished it: only output is left */
    bool blocked;   /* output waits for room */
    bool writable;  /* there may be room again */
    bool gone;      /* waits to be freed */
    struct afterwards afterwards;
};

static struct vend *vend_of(struct stream *s)
{
    return (struct vend *)s;
}

static int64_t arrival(const struct vend *e)
{
    return clock_add(e->net->now_us, e->net->opts.latency_us);
}

/* -- who has something to do ------------------------------------------------------------------- */

static bool heard_reset(const struct vend *e)
{
    return vpipe_has_arrived(&e->in, vpipe_last(&e->in)) && vpipe_last(&e->in)->kind == PACKET_RESET;
}

/* A paused accepted stream is told at once that its client has left. */
static bool client_left(const struct vend *e)
{
    return e->accepted && vpipe_has_arrived(&e->in, vpipe_last(&e->in)) &&
           (vpipe_last(&e->in)->kind == PACKET_RESET || vpipe_last(&e->in)->kind == PACKET_FIN);
}

static bool has_work(const struct vend *e)
{
    if (e->listener != NULL || e->writable)
        return true;
    if (e->lingering || e->stream.ended || !vpipe_has_arrived(&e->in, vpipe_first(&e->in)))
        return false;
    return !e->stream.paused || vpipe_first(&e->in)->kind == PACKET_OPEN ||
           vpipe_first(&e->in)->kind == PACKET_REFUSED || client_left(e);
}

/* After every change of an end's state: makes it ready, or waits for the next arrival. */
static void update(struct vend *e)
{
    int64_t next = CLOCK_NEVER_US;

    if (e->gone)
        return;
    if (e->blocked && heard_reset(e))
        e->writable = true;
    if (has_work(e)) {
        if (!list_empty(&e->ready_node))
            return;
        if ((rng_u64(&e->net->dice) & 1) != 0)
            list_push_front(&e->home->ready, &e->ready_node);
        else
            list_push_back(&e->home->ready, &e->ready_node);
        return;
    }
    if (e->lingering) /* the event bounds the lingering */
        return;
    if (vpipe_first(&e->in) != NULL && !vpipe_has_arrived(&e->in, vpipe_first(&e->in)))
        next = vpipe_first(&e->in)->at_us;
    else if (vpipe_last(&e->in) != NULL && !vpipe_has_arrived(&e->in, vpipe_last(&e->in)))
        next = vpipe_last(&e->in)->at_us;
    if (next != CLOCK_NEVER_US && (e->event.place == 0 || e->event.at_us != next))
        vnet_arm(e->net, &e->event, next);
}

static void on_arrival(struct vevent *ev)
{
    update(CONTAINER_OF(ev, struct vend, event));
}

static void make_room(struct vend *e)
{
    if (e->peer != NULL && e->peer->blocked) {
        e->peer->writable = true;
        update(e->peer);
    }
}

/* -- the end ----------------------------------------------------------------------------------- */

static void free_end(struct afterwards *a)
{
    struct vend *e = CONTAINER_OF(a, struct vend, afterwards);

    ASSERT(list_empty(&e->stream.dirty_node));
    chunks_fini(&e->stream.pending);
    mem_free(e);
}

static void destroy(struct vend *e)
{
    ASSERT(!e->gone && e->peer == NULL);
    e->gone = true;
    e->home->loop.finishing_n -= e->lingering;
    vnet_disarm(e->net, &e->event);
    list_remove(&e->node);
    list_remove(&e->ready_node);
    list_remove(&e->queue_node);
    list_remove(&e->stream.dirty_node);
    vpipe_clear(&e->in);
    loop_defer(&e->home->loop, &e->afterwards, free_end);
}

/* Parts from the peer, which hears of it with the given packet. A peer that only lingered has nobody left to
 * send to. */
static void part(struct vend *e, enum packet_kind how)
{
    struct vend *peer = e->peer;

    if (peer == NULL)
        return;
    e->peer = peer->peer = NULL;
    if (peer->lingering) {
        destroy(peer);
        return;
    }
    if (peer->stream.ended)
        return;
    vpipe_add(&peer->in, how, arrival(e));
    /* Bytes that were on their way to an end which then closed come back as a reset when they reach it. */
    if (how == PACKET_FIN && !e->lingering && e->in.n > 0)
        vpipe_add(&peer->in, PACKET_RESET, clock_add(vpipe_last(&e->in)->at_us, e->net->opts.latency_us));
    update(peer);
}

/* The stream cannot go on: its owner hears of it, or, when it has none any more, it goes. */
static void end(struct vend *e, enum err why)
{
    if (e->lingering) {
        part(e, PACKET_RESET);
        destroy(e);
        return;
    }
    chunks_fini(&e->stream.pending);
    e->blocked = false;
    stream_ended(&e->stream, why);
}

static void on_linger_over(struct vevent *ev)
{
    end(CONTAINER_OF(ev, struct vend, event), ERR_TIMEOUT);
}

/* All output of a finished end is in the pipe. */
static void say_goodbye(struct vend *e)
{
    if (e->peer != NULL)
        e->peer->swallowed_until_us = clock_add(e->net->now_us, LINGER_US);
    part(e, PACKET_FIN);
    destroy(e);
}

static void close_stream(struct stream *s, bool graceful)
{
    struct vend *e = vend_of(s);

    e->net->streams_n--;
    if (graceful && e->peer != NULL) {
        e->lingering = true;
        s->loop->finishing_n++;
        vpipe_clear(&e->in);
        make_room(e);
        e->event.fire = on_linger_over;
        vnet_arm(e->net, &e->event, clock_add(e->net->now_us, LINGER_US));
        if (stream_pending(s) == 0)
            say_goodbye(e);
        return;
    }
    bool unread = e->in.n > 0 && vpipe_has_arrived(&e->in, vpipe_first(&e->in));
    part(e, s->reset || e->opening || unread ? PACKET_RESET : PACKET_FIN);
    destroy(e);
}

void vend_drop_queue(struct listener *ls)
{
    struct list *node;

    while ((node = list_pop_front(&ls->queue)) != NULL) {
        struct vend *e = CONTAINER_OF(node, struct vend, queue_node);

        e->stream.closed = true;
        e->net->streams_n--;
        part(e, PACKET_RESET);
        destroy(e);
    }
}

void vend_drop_all(struct vloop *l)
{
    struct list *node;

    while ((node = list_pop_front(&l->ends)) != NULL) {
        struct vend *e = CONTAINER_OF(node, struct vend, node);

        ASSERT(e->lingering); /* else somebody still owns it, and would use it after the loop */
        end(e, ERR_RESET);
    }
}

/* -- writing ----------------------------------------------------------------------------------- */

/* Puts what fits into the peer's pipe; returns how much that was. */
static size_t write_pipe(struct vend *e, const struct iovec *iov, size_t n, size_t total)
{
    struct vend *to = e->peer;
    size_t room, left;

    if (to == NULL) {
        bool swallowed = arrival(e) <= e->swallowed_until_us;

        if (!swallowed && (vpipe_last(&e->in) == NULL || vpipe_last(&e->in)->kind != PACKET_RESET)) {
            vpipe_add(&e->in, PACKET_RESET, clock_add(arrival(e), e->net->opts.latency_us));
            update(e);
        }
        return total;
    }
    if (to->lingering)
        return total;
    room = to->in.n < e->net->opts.pipe_bytes ? e->net->opts.pipe_bytes - to->in.n : 0;
    left = total < room ? total : room;
    room = left;
    for (size_t i = 0; i < n && left > 0; i++) {
        size_t piece = iov[i].iov_len < left ? iov[i].iov_len : left;

        vpipe_append(&to->in, (struct slice){iov[i].iov_base, piece}, arrival(e));
        left -= piece;
    }
    if (room > 0)
        update(to);
    return room;
}

/* Sends until everything is out or the pipe is full. */
static enum err push(struct vend *e)
{
    struct stream *s = &e->stream;

    e->blocked = false;
    while (stream_pending(s) > 0) {
        struct iovec iov[IOV_N];
        size_t total, waiting = stream_pending(s), n = stream_gather(s, iov, IOV_N, &total), sent;
        enum err err;

        if (heard_reset(e))
            return ERR_RESET;
        sent = write_pipe(e, iov, n, total);
        e->blocked = sent < total;
        if (!e->blocked && total == waiting) {
            (void)!stream_sent(s, sent);
            return ERR_OK;
        }
        err = stream_sent(s, sent); /* keeps the rest in `pending` */
        if (err != ERR_OK || e->blocked)
            return err;
    }
    return ERR_OK;
}

static void flush(struct stream *s)
{
    struct vend *e = vend_of(s);
    enum err err;

    if (e->gone || s->ended)
        return;
    err = e->blocked || e->opening ? stream_sent(s, 0) : push(e);
    if (err != ERR_OK)
        end(e, err);
    else if (e->lingering && stream_pending(s) == 0)
        say_goodbye(e);
}

static void on_writable(struct vend *e)
{
    enum err err;

    e->writable = false;
    if (!e->blocked)
        return;
    err = push(e);
    if (err != ERR_OK) {
        end(e, err);
        return;
    }
    if (stream_pending(&e->stream) > 0)
        return;
    if (e->lingering)
        say_goodbye(e);
    else
        stream_drained(&e->stream);
}

static void pause_stream(struct stream *s, bool paused)
{
    (void)paused;
    update(vend_of(s));
}

/* -- reading ----------------------------------------------------------------------------------- */

/* Phase one: into the turn's memory, calling nobody. */
static void read_in(struct vend *e)
{
    size_t n;
    char *at;

    e->got = SLICE_NONE;
    if (e->listener != NULL || e->lingering || e->stream.paused || e->stream.ended || e->in.n == 0 ||
        (n = vpipe_readable(&e->in)) == 0)
        return;
    at = loop_scratch(&e->home->loop, n);
    vpipe_read(&e->in, at, n);
    e->home->loop.spent.read_bytes += n;
    e->got = (struct slice){at, n};
    make_room(e);
}

/* What is not bytes: the connect's answer and the peer's end. */
static void take_notice(struct vend *e)
{
    struct packet *p = vpipe_first(&e->in);
    enum packet_kind kind;

    if (e->lingering || e->stream.ended || !vpipe_has_arrived(&e->in, p))
        return;
    kind = p->kind;
    if (kind == PACKET_OPEN) {
        vpipe_drop_first(&e->in);
        e->opening = false;
        stream_opened(&e->stream);
        if (!e->gone && !e->stream.ended && stream_pending(&e->stream) > 0 &&
            list_empty(&e->stream.dirty_node))
            list_push_back(&e->home->loop.dirty, &e->stream.dirty_node);
    } else if (kind == PACKET_REFUSED) {
        end(e, ERR_REFUSED);
    } else if (e->stream.paused) {
        if (client_left(e))
            end(e, ERR_EOF);
    } else if (kind != PACKET_DATA) {
        end(e, kind == PACKET_FIN ? ERR_EOF : ERR_RESET);
    }
}

static void accept_end(struct vend *e)
{
    struct listener *ls = e->listener;

    e->listener = NULL;
    list_remove(&e->queue_node);
    ls->cb(ls->ud, &e->stream, &e->to);
}

static void process(struct vend *e)
{
    if (e->listener != NULL)
        accept_end(e);
    else if (e->got.n > 0)
        stream_deliver(&e->stream, e->got);
    else
        take_notice(e);
    e->got = SLICE_NONE;
    if (!e->gone && e->writable)
        on_writable(e);
    update(e);
}

void vend_turn(struct vloop *l)
{
    struct list batch, *node;

    list_init(&batch);
    for (int i = 0; i < TURN_SOURCES && l->loop.spent.read_bytes < TURN_READ_BYTES; i++) {
        if ((node = list_pop_front(&l->ready)) == NULL)
            break;
        list_push_back(&batch, node);
        read_in(CONTAINER_OF(node, struct vend, ready_node));
    }
    while ((node = list_pop_front(&batch)) != NULL)
        process(CONTAINER_OF(node, struct vend, ready_node));
}

/* -- making ------------------------------------------------------------------------------------ */

static const struct stream_ops VEND_OPS = {flush, pause_stream, close_stream};

static struct vend *make(struct vloop *home, size_t pending_max, void (*fire)(struct vevent *e))
{
    struct vend *e = MEM_NEW(struct vend);

    stream_init(&e->stream, &home->loop, &VEND_OPS, pending_max);
    e->net = home->net;
    e->home = home;
    e->event.fire = fire;
    e->swallowed_until_us = -1;
    list_init(&e->node);
    list_init(&e->ready_node);
    list_init(&e->queue_node);
    vpipe_init(&e->in, home->net);
    list_push_back(&home->ends, &e->node);
    e->net->streams_n++;
    return e;
}

static struct addr client_addr(struct vnet *v, const struct addr *to)
{
    struct addr a = {.n = sizeof a.ss.ss_family};

    if (addr_is_unix(to)) {
        a.ss.ss_family = to->ss.ss_family; /* clients of Unix sockets have no name */
        return a;
    }
    addr_of_ip(to->ss.ss_family == AF_INET6 ? SLICE("::1") : SLICE("127.0.0.1"), vnet_free_port(v), &a);
    return a;
}

/* The connect has reached the other side. */
static void on_knock(struct vevent *ev)
{
    struct vend *e = CONTAINER_OF(ev, struct vend, event), *server;
    struct listener *ls;

    if (vnet_late_us(e->net, &e->to) == CLOCK_NEVER_US)
        return;
    e->event.fire = on_arrival;
    ls = vnet_listener(e->net, &e->to);
    if (ls == NULL) {
        vpipe_add(&e->in, PACKET_REFUSED, arrival(e));
        update(e);
        return;
    }
    server = make(ls->home, ls->home->loop.pending_max, on_arrival);
    server->accepted = server->stream.open = true;
    server->to = client_addr(e->net, &e->to);
    server->listener = ls;
    list_push_back(&ls->queue, &server->queue_node);
    server->peer = e;
    e->peer = server;
    vpipe_add(&e->in, PACKET_OPEN, arrival(e));
    update(e);
    update(server);
}

struct stream *vend_connect(struct loop *l, const struct addr *to, size_t pending_max)
{
    struct vend *e = make(vloop_of(l), pending_max, on_knock);
    int64_t late_us = vnet_late_us(e->net, to);

    e->opening = true;
    e->to = *to;
    vnet_arm(e->net, &e->event, arrival(e) + (late_us != CLOCK_NEVER_US ? late_us : 0));
    return &e->stream;
}
