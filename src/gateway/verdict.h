/* SPDX-License-Identifier: MIT */
/* What the response of one call turns out to be: an answer on its way to the flight, or an outcome.
 *
 * Three kinds of response: an event stream (a relay reads it), a plain answer (held back up to limits.answer
 * and checked whole; a larger one is passed on as it comes), and everything else (its words are kept for the
 * client). */
#ifndef GATEWAY_VERDICT_H
#define GATEWAY_VERDICT_H

#include "base/json_nest.h"
#include "gateway/judging.h"
#include "gateway/relay.h"
#include "http/message.h"

struct verdict_sink {
    void (*on_begin)(void *ud,
                     int64_t length); /* the answer begins; bytes of a plain one when known, else -1 */
    void (*on_event)(void *ud, struct slice bytes);
    void (*on_done)(void *ud); /* complete; nothing comes after it */
    /* Too large to be judged on the loop: the sink starts it, and calls verdict_judged. Until then
     * v->judging is set, and what is fed waits. */
    void (*on_large)(void *ud, struct judging *j);
};

struct verdict_opts {
    struct relay_opts relay;
    bool stream;         /* the client asked for a stream */
    bool client_key;     /* the credential is the client's own */
    struct slice secret; /* the credential that went up, or empty: it is not to be repeated to anybody */
    size_t answer_max;
    struct arena *arena; /* the flight's: keeps the endpoint's words */
    int64_t wall_us;
};

enum verdict_mode { VERDICT_WAITING, VERDICT_RELAY, VERDICT_PLAIN, VERDICT_ERROR };

struct verdict {
    struct verdict_opts opts;
    const struct verdict_sink *sink;
    void *ud;
    enum verdict_mode mode;
    struct relay relay;      /* VERDICT_RELAY */
    struct judging *judging; /* under way; or NULL */
    struct buf body;         /* VERDICT_PLAIN: not yet passed on; VERDICT_ERROR: the beginning */
    int status;
    int64_t content_length, retry_after_us;
    bool begun, done, payload, unexpected;
    uint64_t blank_bytes;  /* keep-alives before a plain answer */
    struct json_nest nest; /* of a plain answer that is passed on as it comes */
    enum outcome outcome;  /* once it is known; OUTCOME_N before */
    struct usage usage;
    struct slice detail, param, code; /* the endpoint's own words */
};

void verdict_init(struct verdict *v, const struct verdict_opts *opts, const struct verdict_sink *sink,
                  void *ud);
void verdict_fini(struct verdict *v);
/* For upstream/call's callbacks. Other than ERR_OK: v->outcome says why the call should end. */
enum err verdict_head(struct verdict *v, const struct http_response *rs);
enum err verdict_body(struct verdict *v, struct slice bytes, bool *payload_seen);
/* The call has ended: ERR_OK by its framing, else why. Returns the outcome; a complete plain answer is passed
 * on from inside this call. connecting, answered: how far the call was. With v->judging set afterwards
 * nothing is decided yet, and it is to be called again once it is. */
enum outcome verdict_end(struct verdict *v, enum err why, bool connecting, bool answered);
/* What on_large began is back. Like verdict_body, where an event was judged; a plain answer's outcome is set.
 */
enum err verdict_judged(struct verdict *v, struct judging *j, bool *payload_seen);
/* The call is over: what is under way is of no use any more. */
void verdict_forget(struct verdict *v);
uint64_t verdict_keepalive_bytes(const struct verdict *v);

#endif
