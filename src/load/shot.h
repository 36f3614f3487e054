/* SPDX-License-Identifier: MIT */
/* Private to the generator: one request, from its intended time over all its attempts to its end. */
#ifndef LOAD_SHOT_H
#define LOAD_SHOT_H

#include "load/load.h"
#include "upstream/call.h"

enum shot_state {
    SHOT_WAITING, /* for a connection */
    SHOT_CALLING,
    SHOT_BACKOFF /* before the next attempt */
};

struct shot {
    struct list node; /* in load->waiting or load->others */
    struct load *load;
    enum shot_state state;
    bool held; /* it had to wait for a connection */
    struct arrival arrival;
    int64_t intended_us, first_us, last_us; /* first and latest token; 0: none */
    unsigned attempts_n;
    struct call *call;
    struct judge judge; /* of the present attempt */
    bool judging;
    struct buf body;
    struct slice piece; /* the body, for the call */
    struct timer timer; /* bounds, the end of a backoff, the client's departure */
    int64_t again_us;   /* SHOT_BACKOFF: when the next attempt begins */
    struct afterwards afterwards;
};

struct load {
    struct loop *loop;
    struct load_opts opts;
    struct pool pool;
    struct prompts *prompts;
    struct json_pool *json;
    struct rng dice; /* jitter */
    struct tally *tally;
    /* for every class and attempt the headers of its requests */
    struct header headers[SOURCE_CLASSES_MAX + 1][LOAD_RETRIES_MAX + 1][LOAD_HEADERS_MAX + 6];
    size_t headers_n[SOURCE_CLASSES_MAX + 1];
    int64_t start_us;
    struct timer arrive;
    struct arrival next; /* the arrival that the timer waits for */
    bool exhausted, stopped, told, looking;
    struct list waiting, others; /* shots */
    size_t waiting_n, calling_n, shots_n;
    struct timer done;
};

/* A request whose time has come: sent at once if there is room. */
void shot_arrive(struct load *l, const struct arrival *a, int64_t intended_us);
/* The first of those that wait: there is room. */
void shot_go_on(struct shot *s);
/* The client leaves now, whatever it waits for. */
void shot_cancel(struct shot *s);
/* load.c: a connection has become free, or a request has ended. */
void load_look(struct load *l);

#endif
