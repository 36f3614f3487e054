/* SPDX-License-Identifier: MIT */
/* GET /api/explain/ID: every worker is asked by message what it knows of a request, and the answer is sent
 * when the last of them has said it, or after EXPLAIN_PATIENCE_US with what has come by then.
 *
 *     control   explain_ask -- message to each worker --.            .-- all are home: the response
 *     worker 0                                          '- looks ----'
 *     worker 1                                          '- looks ----'
 *
 * By message, so that nothing on a request's way takes a lock for whoever may ask, and so that requests in
 * work can be looked at too. Threads: control's, but for the look. */
#ifndef GATEWAY_EXPLAIN_H
#define GATEWAY_EXPLAIN_H

#include "http/conn.h"

#define EXPLAIN_PATIENCE_US (2 * CLOCK_SECOND_US)

struct app;
struct explains; /* all that is being asked */
struct explain;

struct explains *explains_new(struct app *app);
/* The threads of the workers have ended, or were never started; no connection waits any more. */
void explains_free(struct explains **e);
/* Returns what explain_gone takes when the connection leaves before it was answered. NULL: it has been
 * answered. */
struct explain *explain_ask(struct explains *e, struct conn *c, struct slice id);
void explain_gone(struct explain *x);

#endif
