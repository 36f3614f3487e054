/* SPDX-License-Identifier: MIT */
/* An exchange: one client request and its response, from the first byte to the settled record.
 *
 *   ROUTE -> IDENTIFY -> READ -> UNDERSTAND -> JOIN -> AWAIT -> RELAY -> SETTLED
 *      |         |         |          |          |       |        |         ^
 *      +---------+---------+----------+----------+-------+--------+---------+   (any state can end there)
 *
 * Ownership: an exchange lives in its request's arena (http/conn.h); it is over when its response is
 * complete, when it has been aborted, or when the client has left. exchange_settle runs exactly once, before
 * the connection is told that the response is complete, because that frees the arena. */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include "gateway/desk.h"
#include "gateway/flight.h"
#include "gateway/quota.h"
#include "gateway/routes.h"
#include "gateway/stats.h"
#include "gateway/wishes.h"
#include "gateway/worker.h"
#include "policy/rules.h"
#include "policy/storm.h"

enum exchange_state {
#define EXCHANGE(name, label, doc) EX_##name,
#include "gateway/exchange.def"
#undef EXCHANGE
    EX_N
};

struct exchange {
    struct list node;          /* in worker->exchanges */
    struct afterwards logging; /* the access line is written behind the flush */
    enum result result;
    struct worker *w;
    struct desk *desk; /* the edition that was in force when the head came */
    struct conn *conn;
    const struct http_request *rq;
    struct arena *arena; /* the request's */
    enum exchange_state state;
    const struct route *route;
    struct slice request_id;
    const struct config_key *key; /* who calls, or NULL: nobody needs to say */
    struct buf body;
    struct reading *reading; /* of a large body, under way; or NULL */
    struct request request;
    struct config_match match; /* match.model -1: not known yet */
    uint64_t silent;           /* targets of the model that do not speak the route's surface, or are barred */
    struct rules_way way;      /* what rules say of it; way.model is match.model */
    struct wishes wishes;
    struct quota *quota;             /* NULL: nothing limits this exchange (so far) */
    uint64_t body_hash;              /* of a large body (gateway/storm.c); 0: not made yet */
    struct storm_key storm_key;      /* bytes_n 0: nothing of its tenant was refused lately */
    int64_t started_us, deadline_us; /* deadline 0: it is not known yet */
    struct subscriber subscriber;    /* .flight NULL: on none */
    struct flight_facts facts;       /* of the flight, kept when it is left */
    const struct why *why;           /* likewise, until the end of that turn: settling reads it */
    bool head_sent;
    bool late_labels;    /* the head went out before the endpoint was known */
    struct timer timer;  /* of the body; then hold, then comments */
    int64_t last_out_us; /* when the client last got a byte of the stream */
    uint64_t bytes_out;
    uint64_t events_n; /* of a streamed answer */
    int status;        /* sent to the client; 0: none */
    enum err err;      /* why it failed */
    const char *allow; /* methods of the path, where they are to be told */
    bool *over;        /* set while on_request is on the stack: whether it ended inside */
};

/* The handler of connections on the gateway's public listeners; the owner is the worker. */
extern const struct conn_handler EXCHANGE_HANDLER;

/* A refusal where there is no exchange: of what could not be understood as a request. */
void exchange_refuse(struct worker *w, struct conn *c, enum err why);
/* For routes that answer by themselves: a whole response of ours; the exchange is over when it returns. */
void exchange_respond(struct exchange *ex, int status, struct slice content_type, struct slice body);
/* Ends with a row of errors.def: a status and an error object before the head went out, in-band after it. */
void exchange_fail(struct exchange *ex, enum err e);
/* From gateway/reading: the large body has been read into ex->request, or cannot be. */
void exchange_was_read(struct exchange *ex, enum err e, const struct request_fault *fault);
/* Leaves the flight, if it is on one, and fails: for everything that ends exchanges from outside. */
void exchange_give_up(struct exchange *ex, enum err e);
/* The same with the endpoint's or our own more exact words. */
void exchange_fail_with(struct exchange *ex, const struct flight_end *end);

#endif
