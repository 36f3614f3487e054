/* SPDX-License-Identifier: MIT */
/* Virtual io: a network of loops in memory under one virtual clock.
 *
 * Any number of loops (workers, the control loop, simulators, clients) run as steps of one thread. At every
 * step one of the loops that have something to do runs one turn; a seed decides which. When none has, the
 * clock jumps to the next timer. Streams are pairs of bounded in-memory pipes with a latency; nothing else of
 * the code differs. The clock starts at one second, since code may use a time of zero for "never". */
#ifndef IO_VIRTUAL_H
#define IO_VIRTUAL_H

#include "io/loop.h"

struct vnet;

struct vnet_opts {
    uint64_t seed;
    int64_t latency_us; /* one way; 0: the next turn */
    size_t pipe_bytes;  /* what a "kernel buffer" of a direction holds; 0: 64 KiB */
    size_t segment_max; /* bytes arrive in random pieces of at most this size; 0: whole */
    int64_t wall_us;    /* wall time at the start */
    void (*on_turn)(void *ud, struct loop *l); /* or NULL: before each turn of l, and behind it with NULL */
    void *on_turn_ud;
};

struct vnet *vnet_new(const struct vnet_opts *o);
void vnet_free(struct vnet **v); /* every loop must be freed before */
struct loop *vnet_loop(struct vnet *v, struct budget *budget, size_t pending_max);
/* Names for resolve: one address, or several with blanks between them. "localhost" and addresses are known
 * anyway; a newer entry hides an older one. */
void vnet_name(struct vnet *v, const char *host, const char *ips);
/* What happens to connects to this address: nobody listens -> refused; blackholed -> never answers. */
void vnet_blackhole(struct vnet *v, const struct addr *a, bool on);
/* Connects to this address take that much longer than others. */
void vnet_slow(struct vnet *v, const struct addr *a, int64_t us);

/* Inside a callback: the turn is said to hold its loop that long (io/stint.h). The clock itself does not move
 * within a turn. */
void vnet_drag(struct loop *l, int64_t us);

/* The wall clock is set that much later (or earlier), as by an operator or a time server; nothing else moves.
 */
void vnet_step_wall(struct vnet *v, int64_t us);
/* The machine was asleep: that much time has passed for everybody, and nobody had a turn. Between two runs.
 */
void vnet_sleep(struct vnet *v, int64_t us);
int64_t vnet_now_us(const struct vnet *v);
/* Runs until nothing can happen any more, or the clock would pass `until_us`, or *stop becomes true. Returns
 * the number of turns. */
uint64_t vnet_run(struct vnet *v, int64_t until_us, const bool *stop);
/* Streams now open: 0 when everybody has let go. */
size_t vnet_streams(const struct vnet *v);

#endif
