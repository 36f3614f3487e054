/* SPDX-License-Identifier: MIT */
/* One answer's life, from the request's head to the last byte or the caller's departure.
 *
 * Ownership: a work lives in the memory of its request (http/conn.h) and ends with it. */
#ifndef SIM_WORK_H
#define SIM_WORK_H

#include "sim/form.h"

struct sim_work;

/* For a call whose head has arrived; the connection's callbacks below then drive it. */
struct sim_work *sim_work_new(struct sim_door *d, struct conn *c, const struct sim_form *form,
                              const struct http_request *rq, struct arena *arena);
void sim_work_body(struct sim_work *w, struct slice bytes);
void sim_work_complete(struct sim_work *w);
void sim_work_gone(struct sim_work *w);
void sim_work_drained(struct sim_work *w);

#endif
