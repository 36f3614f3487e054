/* SPDX-License-Identifier: MIT */
/* A desk: what one worker has built for one edition, its pools and its counters.
 *
 * A worker has one desk in use for new requests, and older ones for as long as an exchange or a flight began
 * at them. When the last of these has left, the desk's connections at rest are closed and the desk goes to
 * the control thread, which keeps its figures and lets go of the edition.
 *
 *     SENT --message is delivered--> OPEN --nobody is left--> CLOSED --message is delivered--> freed
 *     control thread                 the worker               the control thread
 *
 * Threads: a desk belongs to its worker while OPEN, else to the control thread; the two messages hand it
 * over, so nothing in it needs a lock and counting its users no atomics. Its metrics are read by scrapes. */
#ifndef GATEWAY_DESK_H
#define GATEWAY_DESK_H

#include "base/metrics.h"
#include "gateway/edition.h"
#include "io/mailbox.h"
#include "policy/outcome.h"
#include "upstream/pool.h"

#define DESK_WARN_US (10 * INT64_C(1000000))

struct worker;
struct verdict;

enum desk_state { DESK_SENT, DESK_OPEN, DESK_CLOSED };

struct desk {
    struct list node; /* in app->desks */
    struct worker *w;
    struct edition *edition;
    enum desk_state state;
    struct metrics *metrics; /* rows: edition->stats */
    struct pool *pools;      /* one per endpoint of the edition; while OPEN */
    int64_t *warned_us;      /* per endpoint and outcome: when it was last logged */
    size_t users_n;          /* exchanges, flights, and the worker while the desk is in use for new ones */
    struct message message;  /* to the worker, then to the control thread */
};

/* How connections to an endpoint are made and kept. */
struct pool_opts desk_way_to(const struct edition *e, size_t endpoint);
/* Thread: control's. The desk is SENT, in app->desks, and has a reference to the edition. */
struct desk *desk_new(struct worker *w, struct edition *e);
/* Thread: control's; nobody else has it. Its figures are added to those of the control thread. */
void desk_free(struct desk **d);

/* Thread: the worker's, all of these. */
void desk_open(struct desk *d); /* with the worker as its user */
static inline const struct config *desk_config(const struct desk *d)
{
    return d->edition->cfg;
}
static inline struct desk *desk_enter(struct desk *d)
{
    d->users_n++;
    return d;
}
/* The last to leave closes the desk: it must not be touched any more. */
void desk_leave(struct desk **d);
/* Says in the log that a call failed for a reason that the operator should know: at most one line per
 * endpoint, outcome and DESK_WARN_US. */
void desk_warn(struct desk *d, int endpoint, enum outcome o, const struct verdict *v);

#endif
