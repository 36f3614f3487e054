/* SPDX-License-Identifier: MIT */
/* Private to virtual io: the network that its loops and streams share. */
#ifndef IO_VIRTUAL_NET_H
#define IO_VIRTUAL_NET_H

#include "io/virtual.h"

#define PACKET_BYTES 2016

/* Something that happens at a time of the virtual clock. Embedded; at most once in the queue. */
struct vevent {
    int64_t at_us;
    uint64_t order; /* equal times: first armed, first fired */
    size_t place;   /* index in the heap + 1; 0: not armed */
    void (*fire)(struct vevent *e);
};

struct vnet {
    struct vnet_opts opts;
    struct rng dice;
    int64_t now_us;
    uint64_t armed_n; /* events armed so far */
    struct vevent **heap;
    size_t heap_n, heap_cap;
    struct list loops, listeners, names, holes;
    struct list spare; /* packets that can be used again */
    uint16_t next_port;
    size_t streams_n; /* ends that somebody owns or that wait to be accepted */
};

struct vloop {
    struct loop loop; /* first member */
    struct vnet *net;
    struct list node;
    struct list ready;   /* ends with something to read, write or accept */
    struct list answers; /* look-ups whose callback is due */
    struct list lookups; /* look-ups that are under way */
    struct list ends;    /* every end that lives on this loop */
    bool woken;
    int64_t drag_us; /* how long the turn that runs is said to have taken */
};

struct listener {
    struct list node;
    struct vloop *home;
    struct addr at;
    accept_cb cb;
    void *ud;
    struct list queue; /* ends that wait to be accepted */
    struct afterwards afterwards;
};

enum packet_kind { PACKET_DATA, PACKET_OPEN, PACKET_REFUSED, PACKET_FIN, PACKET_RESET };

struct packet {
    struct list node;
    int64_t at_us; /* arrival */
    enum packet_kind kind;
    size_t from, to; /* part of bytes that is unread */
    char bytes[PACKET_BYTES];
};

/* One direction of a stream, as its receiver sees it. */
struct vpipe {
    struct vnet *net;
    struct list packets; /* by arrival */
    size_t n;            /* unread bytes in them */
};

static inline struct vloop *vloop_of(struct loop *l)
{
    return (struct vloop *)l;
}

static inline int64_t vnet_wall_us(const struct vnet *v)
{
    return v->opts.wall_us + v->now_us;
}

/* (Re-)arms an event; a time that has passed means now. */
void vnet_arm(struct vnet *v, struct vevent *e, int64_t at_us);
void vnet_disarm(struct vnet *v, struct vevent *e);
/* One of the listeners that would take a connection to `to`, by the dice; NULL if there is none. */
struct listener *vnet_listener(struct vnet *v, const struct addr *to);
uint16_t vnet_free_port(struct vnet *v);

/* virtual_names.c */
void vnet_init_names(struct vnet *v);
void vnet_forget_names(struct vnet *v);
struct lookup *vnet_resolve(struct loop *l, const char *host, uint16_t port, lookup_cb cb, void *ud);
void vnet_lookup_cancel(struct lookup **k);
/* The callbacks of a loop's look-ups that have an answer. */
void vnet_deliver_answers(struct vloop *l);
/* By how much a connect to that address is late; CLOCK_NEVER_US: it never arrives. */
int64_t vnet_late_us(const struct vnet *v, const struct addr *to);

/* virtual_stream.c */
struct stream *vend_connect(struct loop *l, const struct addr *to, size_t pending_max);
/* The two phases of a turn for the ends that are ready. */
void vend_turn(struct vloop *l);
/* Ends that nobody accepted any more (their clients see a reset). */
void vend_drop_queue(struct listener *ls);
/* The loop goes: ends that only lingered go with it. */
void vend_drop_all(struct vloop *l);

/* virtual_mute.c */
enum err vmute_open(struct loop *l, const struct addr *at, bool deaf, struct mute **out);
void vmute_close(struct mute **m);

/* virtual_task.c */
void vtask_offload(struct loop *l, struct task *t);

/* virtual_pipe.c */
void vpipe_init(struct vpipe *p, struct vnet *v);
struct packet *vpipe_first(const struct vpipe *p); /* NULL when empty */
struct packet *vpipe_last(const struct vpipe *p);
bool vpipe_has_arrived(const struct vpipe *p, const struct packet *k); /* NULL has not */
struct packet *vpipe_add(struct vpipe *p, enum packet_kind kind, int64_t at_us);
void vpipe_drop_first(struct vpipe *p);
void vpipe_clear(struct vpipe *p);
void vpipe_append(struct vpipe *p, struct slice bytes, int64_t at_us);
/* How many bytes one read finds: all that arrived, or a random piece of them. */
size_t vpipe_readable(const struct vpipe *p);
void vpipe_read(struct vpipe *p, char *out, size_t n); /* n of the readable bytes */
void vpipe_free_spare(struct vnet *v);

#endif
