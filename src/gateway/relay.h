/* SPDX-License-Identifier: MIT */
/* The streamed answer of one call on its way to the flight: whole events in, the client's events out.
 *
 * A relay judges: it knows the end marks, strips the usage that we asked for and the client did not, tells
 * progress from keep-alives, and finds truncation, malformed events, errors inside a 200 and answers with
 * nothing in them. It does no I/O and reads no clock. */
#ifndef GATEWAY_RELAY_H
#define GATEWAY_RELAY_H

#include "base/arena.h"
#include "http/sse.h"
#include "io/turn.h"
#include "llm/answer.h"
#include "policy/outcome.h"

struct relay_opts {
    struct answer_opts answer; /* whose, and in which API */
    bool include_usage;        /* the client asked for usage */
    size_t event_max;
    struct budget *budget;
    struct json_pool *json;
    struct arena *scratch; /* memory until the end of the turn */
    /* Of the turn's work (TURN_PARSED_BYTES), what is done; NULL: every event is judged at once. */
    size_t *parsed_bytes;
};

struct relay_sink {
    void (*on_first)(void *ud); /* the answer has begun: before its first on_event */
    void (*on_event)(void *ud,
                     struct slice event); /* bytes for the client; valid until the end of the turn */
    void (*on_done)(void *ud);            /* the end mark, already passed on, was right */
};

struct relay {
    struct relay_opts opts;
    const struct relay_sink *sink;
    void *ud;
    struct sse sse;
    struct slice fed;      /* while relay_feed runs: its bytes, which live until the end of the turn */
    struct buf prefix;     /* events before the first that says something: kept, so that another endpoint can
                              still answer when this one turns out to have nothing to say */
    struct buf later;      /* what came behind an event that is judged elsewhere */
    struct slice rendered; /* while relay_judged runs: its event's bytes for the client */
    bool away;             /* an event is judged elsewhere */
    bool begun, finished, done, payload;
    uint64_t events_n;
    struct usage usage;
    enum outcome failure; /* why relay_feed stopped */
    int failure_status;   /* of an error object inside the stream, or 0 */
    enum refusal refusal; /* what it says besides */
    char detail[160];     /* the endpoint's own words, or "" */
};

void relay_init(struct relay *r, const struct relay_opts *opts, const struct relay_sink *sink, void *ud);
void relay_fini(struct relay *r);

/* OUTCOME_OK: go on (or done). Else the call has failed this way. *payload_seen (may be NULL) is set when a
 * payload event was among the bytes. After done, bytes are ignored. */
enum outcome relay_feed(struct relay *r, struct slice bytes, bool *payload_seen)
    __attribute__((warn_unused_result));
/* A large event is not judged at once, since that would hold the loop: relay_feed leaves it, relay_has_large
 * tells, relay_take gives it to somebody, and relay_judged takes the judgement and goes on. Meanwhile what is
 * fed waits, whose reading should pause. Slices of ev and `rendered` are valid until the end of the turn. */
static inline bool relay_has_large(const struct relay *r)
{
    return r->sse.whole;
}
static inline bool relay_waits(const struct relay *r)
{
    return r->away || r->sse.whole;
}
void relay_take(struct relay *r, struct buf *out);
enum outcome relay_judged(struct relay *r, const struct sse_event *ev, const struct event *e,
                          struct slice rendered, bool *payload_seen) __attribute__((warn_unused_result));
/* Whether the client did not ask for the usage that stands in the event. */
bool relay_must_strip(const struct relay_opts *o, const struct event *e);
/* The body ended by its framing: OUTCOME_OK only after the end mark. */
enum outcome relay_end(struct relay *r);
uint64_t relay_keepalive_bytes(const struct relay *r);

#endif
