/* SPDX-License-Identifier: MIT */
/* The event loop of a worker: the small seam behind which real io (epoll, cost.md) and virtual io (tests,
 * drills) stand. A turn: deliver messages, fire timers, read the ready batch, process it, flush what was
 * queued, free what was closed.
 *
 * Threads: everything on the loop's own thread, except loop_wake and mailbox_send. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/arena.h"
#include "base/rng.h"
#include "io/addr.h"
#include "io/stint.h"
#include "io/mailbox.h"
#include "io/moderation.h"
#include "io/stream.h"
#include "io/timer.h"
#include "io/turn.h"

struct loop;
struct listener;
struct mute;       /* an address that is held without taking connections */
struct task;       /* io/helpers.h */
struct tls_config; /* io/tls.h */

/* Something that runs at the end of the turn, after the flush: freeing what was closed. */
struct afterwards {
    struct list node;
    void (*run)(struct afterwards *a);
};

struct lookup; /* a running name resolution */
/* addrs_n 0: failed. The array is borrowed for the call. */
typedef void (*lookup_cb)(void *ud, enum err e, const struct addr *addrs, size_t addrs_n);

typedef void (*accept_cb)(void *ud, struct stream *s, const struct addr *peer);

#define LOOP_FINISH_US (60 * INT64_C(1000000))

struct loop_ops {
    /* A stream that is being opened: on_open or on_close comes later, never inside the call. */
    struct stream *(*connect)(struct loop *l, const struct addr *to, size_t pending_max);
    /* Binds and accepts; *bound (may be NULL) gets the address with the real port. */
    enum err (*listen)(struct loop *l, const struct addr *at, accept_cb cb, void *ud, struct listener **out,
                       struct addr *bound);
    void (*unlisten)(struct listener **ls);
    /* Holds an address so that nobody takes a connection there: connects are refused, or (deaf) never
     * answered, as by a listener whose backlog is full. For the simulator; may be NULL elsewhere. */
    enum err (*mute)(struct loop *l, const struct addr *at, bool deaf, struct mute **out);
    void (*unmute)(struct mute **m);
    /* The callback comes later, never inside the call. Bounded by the implementation (5 s). */
    struct lookup *(*resolve)(struct loop *l, const char *host, uint16_t port, lookup_cb cb, void *ud);
    void (*lookup_cancel)(struct lookup **k);
    void (*offload)(struct loop *l, struct task *t); /* see loop_offload */
    void (*wake)(struct loop *l);                    /* thread: any */
    void (*free)(struct loop *l);
};

struct loop {
    const struct loop_ops *ops;
    int64_t now_us; /* monotonic, read once a turn */
    int64_t wall_us;
    struct wheel wheel;
    struct mailbox mailbox;
    struct arena turn; /* memory until the end of the turn */
    struct turn_spent spent;
    struct list dirty; /* streams with queued output */
    struct list afterwards;
    struct rng dice;
    struct budget *budget; /* charged by pending output; may be NULL */
    uint64_t turns;        /* so far; read by other threads (relaxed) */
    struct stint stint;    /* for how long they kept it from sleeping */
    struct moderation moderation;
    size_t finishing_n; /* streams that nobody owns any more and whose last bytes have not gone out yet */
    size_t pending_max; /* bound of a stream's pending output that is opened or accepted */
    int64_t finish_us;  /* how long a finishing stream's peer may take nothing (LOOP_FINISH_US at first) */
};

/* -- for everybody --------------------------------------------------------------------------------------- */
static inline char *loop_scratch(struct loop *l, size_t n)
{
    return arena_bytes(&l->turn, n);
}
void loop_defer(struct loop *l, struct afterwards *a, void (*run)(struct afterwards *a));
/* Hands a task to a helper thread: its `work` runs there, and later its `done` on this loop, in every case.
 * It cannot be called back: what it works on is its own until then. */
void loop_offload(struct loop *l, struct task *t);

/* -- for implementations --------------------------------------------------------------------------------- */
void loop_init(struct loop *l, const struct loop_ops *ops, uint64_t seed, int64_t now_us, int64_t wall_us);
void loop_fini(struct loop *l);
/* Messages and due timers. */
void loop_begin_turn(struct loop *l, int64_t now_us, int64_t wall_us);
/* Flushes every dirty stream (also those that become dirty meanwhile), runs what was deferred, forgets the
 * turn's memory. */
void loop_end_turn(struct loop *l);
/* Whether anything waits to be done without waiting for io. */
bool loop_has_work(struct loop *l);

/* -- real io --------------------------------------------------------------------------------------------- */
struct real_opts {
    uint64_t seed;
    struct budget *budget;
    size_t pending_max;
    struct helpers *helpers; /* for loop_offload; NULL: such work holds this loop */
    struct sockets *sockets; /* shared with other loops (io/sockets.h); may be NULL */
};
/* NULL with errno when the kernel refuses. */
struct loop *loop_real_new(const struct real_opts *o);
/* 0 when `at` can be bound, else errno. With SO_REUSEPORT a second program would silently take half of the
 * first one's connections, so the address is tried without it once before anybody listens. */
int loop_real_probe(const struct addr *at);
/* Runs turns until loop_real_stop (thread: any). */
void loop_real_run(struct loop *l);
void loop_real_stop(struct loop *l);
/* Calls on_signal on this loop for the given signals (blocked by the caller in every thread). */
enum err loop_real_signals(struct loop *l, const int *signals, size_t n, void (*on_signal)(void *ud, int sig),
                           void *ud);
void loop_free(struct loop **l);

#endif
