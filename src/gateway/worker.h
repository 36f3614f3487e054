/* SPDX-License-Identifier: MIT */
/* A worker: one thread's share of the gateway. It owns its connections, exchanges, flights and pools; nothing
 * in it is touched by another thread but its desks' metrics (read) and its loop's mailbox. */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "base/json.h"
#include "gateway/desk.h"
#include "gateway/ebb.h"
#include "gateway/why_ring.h"
#include "http/conn.h"
#include "io/loop.h"

struct app;
struct access_log;
struct door;
struct exchange;

struct worker {
    struct app *app;
    struct loop *loop;
    int index;
    struct json_pool *json;
    struct desk *desk; /* of the edition in force: where new requests begin */
    struct access_log *access;
    struct conn_limits limits;
    struct list conns, exchanges;
    size_t conns_n, exchanges_n, flights_n;
    size_t untold_n;                /* connections that have not heard yet that all ends */
    size_t readings_n;              /* large bodies, events and answers at the helpers */
    const struct exchange *refused; /* between on_gone and on_refused of its connection */
    struct door **doors;            /* gateway/front.h */
    size_t doors_n;
    bool draining;                            /* no new work: connections close after their response */
    bool drained;                             /* said so to the control thread */
    int64_t cut_us;                           /* when it was cut; 0: it was not */
    struct message start_drain, cut, stopped; /* from and to the control thread */
    struct timer drain_timer;
    struct timer line_timer; /* admission_ring is due */
    int64_t line_wake_us;    /* when; CLOCK_NEVER_US: not set */
    struct ebb ebb;
    struct why_rings whys; /* of the last requests */
};

/* A worker on a loop; listens nowhere yet (front_open). */
struct worker *worker_new(struct app *app, struct loop *loop, int index);
/* Everything must have ended (worker_cut and a last turn do that). */
void worker_free(struct worker **w);

/* Where new requests begin from then on. Thread: control's (it posts). */
void worker_send_desk(struct worker *w, struct desk *d);

/* Thread: the worker's own. */
void worker_drain(
    struct worker *w); /* accepting goes on for timeouts.drain_delay, then idle connections close */
/* What is still in work is told gateway_draining, and every connection ends now. */
void worker_cut(struct worker *w);
/* The number of things still in work fell: tells the control thread when a drain is complete. */
void worker_note_idle(struct worker *w);
/* A seat says when the lines must be looked at again (seat.wake_us). */
void worker_ring_at(struct worker *w, int64_t at_us);
bool worker_is_idle(const struct worker *w);

#endif
