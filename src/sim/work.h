/* SPDX-License-Identifier: MIT */
/* One answer's life, from the request's head to the last byte or the caller's departure.
 *
 * Ownership: a work lives in the memory of its request (http/conn.h) and ends with it. */
#ifndef SIM_WORK_H
#define SIM_WORK_H

#include "base/buf.h"
#include "base/list.h"
#include "http/conn.h"
#include "sim/chunk.h"
#include "sim/faults.h"

#define SIM_BODY_MAX (64 * 1024 * 1024)
#define SIM_LISTENERS_MAX 8

/* The simulator's insides, shared by sim.c (connections, pages) and work.c (answers). */
struct sim {
    struct loop *loop;
    struct sim_opts opts;
    struct sim_stats stats;
    struct conn_limits limits;
    struct listener *listeners[SIM_LISTENERS_MAX];
    size_t listeners_n;
    struct list conns;
    struct list line; /* works that wait for a slot, first come first */
    int slots_used;
    struct rng dice;
    struct json_pool *json;
    uint64_t request_ids_n;
    bool closing;
};

/* An HTTP error in OpenAI's shape. */
struct sim_error {
    int status;
    const char *type, *code, *param; /* code and param: NULL is null */
    const char *text;
    const char *allow; /* 405: the method that would do */
};

void sim_refuse(struct sim *s, struct conn *c, const struct sim_error *error);
/* The header that every response carries; its text lives until the end of the turn. */
struct header sim_request_id(struct sim *s);

struct sim_work;

/* For a chat completion whose head has arrived; the connection's callbacks below then drive it. */
struct sim_work *sim_work_new(struct sim *s, struct conn *c, const struct http_request *rq,
                              struct arena *arena);
void sim_work_body(struct sim_work *w, struct slice bytes);
void sim_work_complete(struct sim_work *w);
void sim_work_gone(struct sim_work *w);
void sim_work_drained(struct sim_work *w);

#endif
