/* SPDX-License-Identifier: MIT */
/* Reaching one host over TCP or a Unix socket: its name, then its addresses as RFC 8305 ("happy eyeballs")
 * has it. The families alternate, a new address is begun every DIAL_STAGGER_US or as soon as one has failed,
 * and the first connection that opens wins: the others are closed.
 *
 * The race ends with TCP. Whoever finds that the winner is no good (its TLS handshake fails or hangs) goes on
 * with dial_again: the closed losers count as untried. Racing whole handshakes instead would make a distant
 * endpoint, two round trips away, do double work for every connection.
 *
 * Threads: everything on the loop's thread. */
#ifndef UPSTREAM_DIAL_H
#define UPSTREAM_DIAL_H

#include "io/loop.h"

#define DIAL_ADDRS_MAX 8
#define DIAL_STAGGER_US (250 * INT64_C(1000)) /* RFC 8305 section 8: Connection Attempt Delay */

/* Whom to reach, and what was learned on the way. Lives with the pool. */
struct dial_host {
    const char *name; /* borrowed; a name or an address without brackets */
    uint16_t port;
    const struct addr *at; /* instead of both: this one address; NULL: none */
    unsigned turn;         /* which of several equal addresses is first: counts up with each dial */
    int family;            /* the one that won against the preferred one, 0: none */
    int64_t family_until_us;
    uint64_t attempts_n; /* connections begun */
};

/* s: open; NULL on failure with ERR_DNS, ERR_REFUSED, ERR_TIMEOUT, ... */
typedef void (*dial_cb)(void *ud, enum err e, struct stream *s);

struct dial;

struct dial_attempt {
    struct dial *dial;
    struct stream *stream; /* NULL: not under way */
    bool tried;            /* begun, and not closed as a loser */
};

/* Embedded in its owner, whose memory must outlive the turn of dial_end. */
struct dial {
    struct loop *loop;
    struct dial_host *host;
    dial_cb cb;
    void *ud;
    struct lookup *lookup;
    struct addr addrs[DIAL_ADDRS_MAX]; /* in the order of trying */
    struct dial_attempt attempts[DIAL_ADDRS_MAX];
    size_t addrs_n, open_n; /* open_n: attempts under way */
    struct timer stagger;
    enum err last; /* why the last attempt failed */
};

/* The callback comes later, never inside the call. It has no bound of its own: the owner ends it. */
void dial_start(struct dial *d, struct loop *l, struct dial_host *host, dial_cb cb, void *ud);
/* After the callback had a stream that was no good: goes on; false if every address has been tried. */
bool dial_again(struct dial *d);
/* Addresses that dial_again would still try. */
size_t dial_left(const struct dial *d);
/* Closes what is under way; no callback comes after it. Idempotent. */
void dial_end(struct dial *d);

#endif
