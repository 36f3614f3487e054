/* SPDX-License-Identifier: MIT */
/* The log of a flight's answer, and the subscribers that read it: begun once, appended to in order, ended
 * once.
 *
 * Every event has a number. A subscriber's cursor is the number of the next one it gets; a subscriber whose
 * cursor is at the end gets an event at the moment when it is appended. Nothing is kept: with one subscriber,
 * which is there from the beginning, an event that was forwarded has no reader left (DESIGN 2, "Flights and
 * followers"). What a late subscriber, a reattach or a resume needs will be kept here, bounded, behind these
 * functions.
 *
 * Threads: the flight's worker. */
#ifndef GATEWAY_ANSWER_LOG_H
#define GATEWAY_ANSWER_LOG_H

#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

struct flight;
struct subscriber;

/* How a flight ended, for the subscriber's error and everybody's records. */
struct flight_end {
    enum err err;                     /* ERR_OK: the answer is complete */
    int status;                       /* the endpoint's own status to pass on (client errors), or 0 */
    struct slice detail, param, code; /* the endpoint's own words, or empty; valid during the callback */
    int64_t retry_after_us;           /* -1: none */
};

struct subscriber_cb {
    /* The answer begins: it is a success. length: bytes of a plain answer when known, else -1. */
    void (*on_begin)(struct subscriber *s, int64_t length);
    /* A whole event, or a piece of a plain answer; valid until the end of the turn. */
    void (*on_event)(struct subscriber *s, struct slice bytes);
    /* Once, and last: the subscriber is off the log. Its memory may go inside the callback. */
    void (*on_end)(struct subscriber *s, const struct flight_end *end);
};

/* Embedded in what reads the answer (an exchange). */
struct subscriber {
    struct list node;
    struct flight *flight; /* NULL when off; still set during on_end */
    const struct subscriber_cb *cb;
    uint64_t cursor; /* number of the next event */
    bool held;       /* wants no events at present (flight_hold) */
};

struct answer_log {
    struct list subscribers;
    uint64_t next;  /* number of the next event */
    int64_t length; /* as told to on_begin */
    bool begun, ended;
};

void answer_log_init(struct answer_log *l);
/* At the log's end; one that comes when the answer has begun would need what is not kept (asserted). */
void answer_log_subscribe(struct answer_log *l, struct subscriber *s, struct flight *f,
                          const struct subscriber_cb *cb);
/* Nothing more is told to it. */
void answer_log_leave(struct answer_log *l, struct subscriber *s);

void answer_log_begin(struct answer_log *l, int64_t length);
void answer_log_append(struct answer_log *l, struct slice event);
void answer_log_end(struct answer_log *l, const struct flight_end *end);

/* Whether nobody reads, and whether somebody asks to be held. */
bool answer_log_is_unread(const struct answer_log *l);
bool answer_log_is_held(const struct answer_log *l);

#endif
