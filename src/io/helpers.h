/* SPDX-License-Identifier: MIT */
/* A few threads for work that would hold a loop for milliseconds: large bodies to check.
 *
 * Threads: submit from any; a task's `work` runs on a helper and may touch only what the task owns, `done`
 * runs on the loop that the task belongs to (loop_offload). */
#ifndef IO_HELPERS_H
#define IO_HELPERS_H

#include "io/mailbox.h"

/* Embedded in what the work is about; belongs to the helpers from loop_offload until `done`. */
struct task {
    void (*work)(struct task *t);
    void (*done)(struct task *t);
    struct mailbox *home;   /* of the loop that gets it back */
    struct message message; /* its way into the queue, and home */
};

struct helpers;

/* No thread runs before the first task comes. */
struct helpers *helpers_new(size_t threads_n);
/* Every task has to be home. */
void helpers_free(struct helpers **h);
/* Does the task and sends its message home; on this thread when h is NULL or no thread can be had. */
void helpers_submit(struct helpers *h, struct task *t);

#endif
