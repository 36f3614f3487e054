/* SPDX-License-Identifier: MIT */
/* A script of bytes and times for a whole gateway in virtual time: clients that ask, endpoints that answer,
 * break off, fail or say anything, time that passes, reloads, a drain. After it everybody has left, and what
 * must always be true is asserted:
 *
 * - every exchange has settled once, and no slot, ticket, connection or byte is left (world_free);
 * - a client gets one response to each request, in order, and nothing behind it;
 * - it gets pieces of its own answer only, in their order, and none twice;
 * - what ends cleanly is what an endpoint ended cleanly: nothing broken off looks whole;
 * - a request has an end soon after its deadline, whatever anybody does;
 * - no more calls than attempts, and no credential of ours ever comes out.
 *
 * Any bytes are a script, so a fuzzer can write one (tests/fuzz/gateway_fuzz.c); so can dice
 * (tests/unit/gateway/script_test.c). */
#ifndef SUPPORT_SCRIPT_H
#define SUPPORT_SCRIPT_H

#include "base/slice.h"

struct script_tally { /* that everything has happened */
    size_t asked_n, whole_n, refused_n, broken_n, calls_n, reloads_n, large_n;
};

/* Runs the script; a broken invariant ends the program with a message. */
void script_run(struct slice script, struct script_tally *tally);

#endif
