/* SPDX-License-Identifier: MIT */
/* Many clients in a virtual world: arrivals at given times, and a tally of how every one of them ended. */
#ifndef SUPPORT_CROWD_H
#define SUPPORT_CROWD_H

#include "support/story.h"

/* One arrival. The body is made when it arrives. */
struct arrival {
    int64_t at_us; /* since the crowd began */
    const char *model;
    bool stream;
    int prompt_bytes, tokens; /* tokens 0: as the text has it */
    int64_t leave_after_us;   /* 0: stays */
    size_t pause_at_bytes;    /* 0: reads on */
};

struct tally {
    size_t whole_n;   /* complete, with exactly the text that the simulator must have said */
    size_t error_n;   /* an error status with a JSON error object that has a code */
    size_t in_band_n; /* a beginning of the right text, then an error event, and no clean end */
    size_t left_n;
    size_t wrong_n; /* anything else: a lie */
    char first_wrong[256];
    size_t ended_n, open_n;
};

struct crowd;

/* The arrivals must be in order of time and live until the crowd ends. */
struct crowd *crowd_new(struct world *w, const struct arrival *arrivals, size_t n, uint64_t seed);
/* Runs the world until everybody has ended, at most `us`. */
bool crowd_run(struct crowd *c, int64_t us);
const struct tally *crowd_tally(const struct crowd *c);
void crowd_free(struct crowd **c);

#endif
