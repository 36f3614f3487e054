/* SPDX-License-Identifier: MIT */
/* Judging what is too large for the loop: one event of a stream, or one plain answer that was held back.
 *
 * Ownership: a judging owns its bytes and its results until the end of the turn in which it came home, even
 * when nobody waits for it any more. What it reads of its options are tables that live for ever.
 * Threads: judging_work on a helper, everything else on the worker's loop. */
#ifndef GATEWAY_JUDGING_H
#define GATEWAY_JUDGING_H

#include "gateway/relay.h"
#include "gateway/worker.h"
#include "io/helpers.h"

struct judging {
    struct task task;
    struct afterwards afterwards;
    struct worker *w;
    void *owner; /* NULL: nobody waits */
    void (*done)(void *owner, struct judging *j);
    bool is_event;
    struct answer_opts answer;
    bool include_usage;
    struct buf text;
    struct arena arena; /* of what was made of it */
    enum err err;       /* ERR_EXHAUSTED, or why an event could not be put together */
    struct sse_event ev;
    struct event event;
    struct slice rendered;           /* of an event, for the client */
    struct answer verdict;           /* on a plain answer */
    struct slice words, param, code; /* of an error inside a plain answer */
};

/* A new one; the caller fills in `text`. */
struct judging *judging_new(const struct relay_opts *o, bool is_event);
/* Sends it to the helpers. `done` comes later and the judging is freed behind it; unless judging_forget was
 * called, which makes *j NULL (NULL is fine). */
void judging_start(struct judging *j, struct worker *w, void *owner,
                   void (*done)(void *owner, struct judging *j));
void judging_forget(struct judging **j);
/* The work itself. */
void judging_work(struct judging *j);
/* For one that was never started. */
void judging_free(struct judging **j);

#endif
