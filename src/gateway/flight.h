/* SPDX-License-Identifier: MIT */
/* A flight: the work that answers a request. It owns admission, calls and the answer's way to its
 * subscribers.
 *
 *            +------------------------------ another endpoint, before the answer has begun ---+
 *            v                                                                                |
 *   ADMIT ------> CALL ------> RELAY ------> TAIL ------> OVER                                  |
 *     |  ^          |            |  end mark   the endpoint closes its side; the connection    |
 *     v  | grant    +------------+-------------------------------------------------------------+
 *   LINE-+                       |
 *                                +--> OVER: after the answer has begun a failure is the subscriber's to tell
 *
 * Ownership: a flight belongs to its worker and ends by itself: when the answer is complete, when it has
 * failed, or when the last subscriber has left. It owns the request's body and everything it needs of the
 * request, because it may outlive the exchange that opened it. Subscribers: one for each flight at present;
 * the struct and the callbacks are those of many. */
#ifndef GATEWAY_FLIGHT_H
#define GATEWAY_FLIGHT_H

#include "base/buf.h"
#include "config/config.h"
#include "gateway/answer_log.h"
#include "gateway/desk.h"
#include "gateway/worker.h"
#include "llm/answer.h"
#include "llm/request.h"
#include "policy/outcome.h"

struct why;

struct flight_facts {
    int endpoint; /* of the last call, or -1 */
    int calls_n;
    int64_t wait_us;  /* spent in the line */
    int64_t first_us; /* when the answer began, 0: it did not */
    struct usage usage;
    const struct header
        *down; /* of the endpoint's headers, those for the client; they live with the flight */
    size_t down_n;
};

struct flight_ask {
    struct desk *desk;                /* of the edition that all indices here belong to */
    int model;                        /* index in the configuration */
    const struct config_alias *alias; /* or NULL */
    struct slice upstream;            /* name for targets that set none */
    int key;                          /* index in the configuration, or -1 */
    enum priority priority;
    unsigned client_retries;       /* how often the client has tried before */
    uint64_t silent;               /* targets that do not speak the request's surface (prepare_silent) */
    const struct request *request; /* parsed from `body` */
    struct buf *body;              /* taken over: empty afterwards */
    struct slice authorization;    /* the client's, for endpoints with key: client; or empty */
    struct slice request_id;
    int hops;                     /* gateways that the request has passed through before */
    const struct header *headers; /* the client's; those that may go up are copied */
    size_t headers_n;
    int64_t arrived_us, deadline_us; /* absolute */
};

/* Opens a flight with its first subscriber. Callbacks may come from inside this call (a full line, for
 * example). */
void flight_open(struct worker *w, const struct flight_ask *ask, struct subscriber *s,
                 const struct subscriber_cb *cb);
/* The subscriber leaves; no callback comes any more. The last one to leave ends the flight, at once. */
void flight_leave(struct subscriber *s);
/* Back-pressure: no events until flight_go_on. */
void flight_hold(struct subscriber *s);
void flight_go_on(struct subscriber *s);

/* Where the answer comes from while a call is under way, to note on it what its next bytes touch; or NULL. */
struct stream *flight_source(struct flight *f);
const struct flight_facts *flight_facts(const struct flight *f);
const struct why *flight_why(const struct flight *f);
int64_t flight_wait_us(const struct flight *f);   /* in the line, with the present wait */
struct slice flight_body(const struct flight *f); /* empty once the answer has begun */
/* In the line: 1 = next; 0: not in the line. *eta_us: until it is served, or ETA_UNKNOWN. */
size_t flight_position(struct flight *f, int64_t *eta_us);

#endif
