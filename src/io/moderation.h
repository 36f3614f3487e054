/* SPDX-License-Identifier: MIT */
/* Moderation: a loop that relays ten thousand events a second or more rests for 0.3 ms between two turns, so
 * that several of them share a turn.
 *
 * Why: at ten or twenty thousand events a second a loop wakes for one or two of them at a time, and each time
 * pays a call of epoll, and instructions and data that the kernel has driven out of the cache meanwhile: a
 * sixth of what an event costs (docs/bench.md). Network cards hold their interrupts back for the same reason
 * (interrupt moderation, "adaptive-rx"). Events of different streams are never joined, and one of a stream
 * would have to come within the rest to be read together with its predecessor.
 *
 * When: only if a rest is likely to bring more events, only behind a turn of nothing but events of streams
 * under way (so that whoever asks one thing at a time never waits), and only behind a small one (so that a
 * loop with enough to do goes on at once). */
#ifndef IO_MODERATION_H
#define IO_MODERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODERATION_REST_US INT64_C(300)
#define MODERATION_DENSE_US INT64_C(100) /* an event in that time or sooner: a rest brings three */
#define MODERATION_WINDOW_US INT64_C(10000)
#define MODERATION_TURN_EVENTS 16 /* a turn with so many is large enough */

struct moderation {
    int64_t since_us; /* when the window began */
    uint64_t events;  /* in it */
    bool dense;       /* in the last window they came at MODERATION_DENSE_US or sooner */
    uint64_t rests;   /* so far; read by other threads (relaxed) */
};

/* A turn that began then has looked at `sources` sockets, of which `events` brought the next bytes of a
 * stream under way. Whether the loop should rest now for MODERATION_REST_US. */
bool moderation_turn(struct moderation *m, size_t sources, size_t events, int64_t now_us);

#endif
