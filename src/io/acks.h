/* SPDX-License-Identifier: MIT */
/* When to let the kernel delay its acknowledgements of what an endpoint streams to us.
 *
 * Why: a read that empties the receive buffer makes Linux acknowledge at once, so every event of a stream
 * costs a packet back to the endpoint. What that is worth: docs/bench.md. With
 * TCP_QUICKACK off the kernel acknowledges every second event, or one that stands alone after 40 ms. That
 * timer also ends the delaying, so it has to be asked for again, and this pays only where events are closer
 * together.
 *
 * Danger: an endpoint that writes small pieces with Nagle's algorithm on sends the next one only when the
 * last one is acknowledged, and would now wait for that timer. It betrays itself: behind the first event that
 * was not acknowledged at once it always pauses, while others go on.
 *
 *     CALM reads, soon after each other --ask--> a read, not acknowledged --> the next, soon: trust
 *                                                                        \--> the next, late: doubt
 *
 * After its second doubt in a row a connection acknowledges at once for the rest of its life. What several
 * connections found out, one after the other and without a trust in between, the endpoint's others need not
 * find out: none of them asks for ACKS_REST_US. So such an endpoint costs a few pauses of 40 ms in ten
 * minutes.
 *
 * Pure: the time is an argument. Threads: a record belongs to one loop. */
#ifndef IO_ACKS_H
#define IO_ACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACKS_REST_US (600 * INT64_C(1000000))

/* What the connections of one loop to one endpoint have found out together. */
struct acks_record {
    bool off;         /* never delay */
    uint64_t asked_n; /* how often the kernel was told to */
    unsigned doubts;  /* moments of doubt since the last trust */
    int64_t doubt_us;
    int64_t prompt_until_us; /* no delaying before this */
};

/* One connection. All zero: nothing known, nothing asked for. */
struct acks {
    int64_t read_us;   /* the last read */
    uint8_t calm_n;    /* reads in a row that came soon after the one before */
    uint8_t calm_more; /* how many more than usual it takes to ask */
    uint8_t delayed_n; /* 0: not asked for; else 1 + reads since then, the first of them a small one */
    uint8_t doubts_n;  /* in a row */
};

/* A read has brought n bytes. Whether the kernel should be told now to delay (TCP_QUICKACK 0). */
bool acks_read(struct acks *a, struct acks_record *r, size_t n, int64_t now_us);
/* Something was sent: what comes next is a reply, which the kernel acknowledges well by itself. */
void acks_sent(struct acks *a);

#endif
