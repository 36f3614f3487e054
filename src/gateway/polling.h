/* SPDX-License-Identifier: MIT */
/* Asks engines what load they have (llm/signals.h) and tells it to the line: how many calls they work on at a
 * time bounds the slots of their endpoint, how many wait in them is a sign of too many.
 *
 * One small question at a time to each, every timeouts.signals, over a connection of its own that is kept;
 * whatever goes wrong means that nothing was said. Where the page is refused or missing it is asked for more
 * seldom.
 *
 * Threads: everything on the control thread, but polling_hear. */
#ifndef GATEWAY_POLLING_H
#define GATEWAY_POLLING_H

#include "gateway/app.h"

struct polling;
struct edition;
struct http_response;

struct polling *polling_new(struct app *a, struct loop *l);
/* Another edition is in force: its engines are asked from now on, those of the one before no more. */
void polling_follow(struct polling *p);
/* The head of an answer may tell the same (endpoint-load-metrics). Thread: the worker's that has the call. */
void polling_hear(const struct edition *e, int model, int endpoint, const struct http_response *rs,
                  struct loop *l);
/* Nobody is asked any more, until polling_follow. */
void polling_stop(struct polling *p);
void polling_free(struct polling **p); /* stops */

#endif
