/* SPDX-License-Identifier: MIT */
/* How much one turn of a loop does at most: the bounds (turn.def), and what the turn that runs has spent.
 *
 * Why: whatever a client or an endpoint sends, everybody else of the loop waits for the turn's end. So each
 * loop over something that a peer can make long has a bound, and what is left goes on in the next turn, in
 * its order: nobody starves. */
#ifndef IO_TURN_H
#define IO_TURN_H

#include <stddef.h>

enum turn_bound {
#define BOUND(name, value, text, why) TURN_##name = (value),
#include "io/turn.def"
#undef BOUND
};

/* In units of the bound of the same name; a loop's, since its turn began. */
struct turn_spent {
    size_t read_bytes, requests, parsed_bytes, handshakes;
    size_t events; /* what was read of streams that are under way (io/moderation.h); it has no bound */
};

#endif
