/* SPDX-License-Identifier: MIT */
/* The simulator's life and its connections; answers are made in work.c. */
#include "sim/sim.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sim/routes.h"
#include "sim/work.h"

#define HEAD_MAX_BYTES (64 * 1024)
#define PIPELINE_MAX_BYTES (64 * 1024)
#define READ_US (60 * CLOCK_SECOND_US)
#define PATIENCE_US (600 * CLOCK_SECOND_US) /* idle connections, and callers that do not read */
#define JSON_POOL_BYTES (64 * 1024)

void sim_opts_default(struct sim_opts *o)
{
    *o = (struct sim_opts){
        .ttft = {200 * CLOCK_MS_US, 0},
        .gap = {20 * CLOCK_MS_US, 0},
        .tokens_mean = 64,
        .keepalive_us = CLOCK_SECOND_US,
        .balance = 110,
    };
}

/* -- connections ---------------------------------------------------------------------------------------- */

static void *wrong_method(struct sim *s, struct conn *c, struct slice allowed)
{
    struct sim_error error =
        sim_error_make(405, "method_not_allowed", NULL, "This route does not take this method.");

    error.more = (struct header){SLICE("Allow"), allowed};
    sim_refuse(s, c, &error);
    return NULL;
}

static void *on_request(void *owner, struct conn *c, const struct http_request *rq, struct arena *arena)
{
    struct sim_door *d = owner;
    struct sim *s = d->sim;
    struct slice rest;
    const struct sim_route *route = sim_route_of(rq->path, &rest);
    bool is_get = rq->method == HTTP_GET || rq->method == HTTP_HEAD;
    struct sim_error error;

    if (route == NULL) {
        error = sim_error_make(404, "not_found", NULL, "The simulator has no such route: see docs/sim.md.");
        sim_refuse(s, c, &error);
        return NULL;
    }
    if (route->form != NULL ? rq->method != HTTP_POST : !is_get)
        return wrong_method(s, c, route->form != NULL ? SLICE("POST") : SLICE("GET"));
    if (route->form != NULL)
        return sim_work_new(d, c, route->form, rq, arena);
    route->page(s, c, rq, rest);
    return NULL;
}

static void on_body(void *user, struct slice bytes)
{
    sim_work_body(user, bytes);
}

static void on_complete(void *user)
{
    sim_work_complete(user);
}

static void on_gone(void *user, enum err why)
{
    (void)why;
    sim_work_gone(user);
}

static void on_drain(void *user)
{
    sim_work_drained(user);
}

static void on_refused(void *owner, struct conn *c, enum err why)
{
    const struct err_row *row = err_row(why);

    struct sim_error error = sim_error_make(row->status, row->code, NULL, row->text);

    sim_refuse(((struct sim_door *)owner)->sim, c, &error);
}

static void on_conn_closed(void *owner, struct conn *c)
{
    (void)c;
    ((struct sim_door *)owner)->sim->stats.conns_n--;
}

static const struct conn_handler HANDLER = {
    on_request, on_body, on_complete, on_gone, on_drain, on_refused, on_conn_closed,
};

void sim_accept(struct sim_door *d, struct stream **stream, const struct addr *peer)
{
    struct sim *s = d->sim;
    struct conn *c = conn_new(*stream, peer, &s->limits, &HANDLER, d);

    *stream = NULL;
    list_push_back(&s->conns, conn_node(c));
    s->stats.conns_n++;
}

/* -- life ----------------------------------------------------------------------------------------------- */

struct sim *sim_new(struct loop *l, const struct sim_opts *o)
{
    struct sim *s = MEM_NEW(struct sim);

    s->loop = l;
    s->opts = *o;
    if (s->opts.tokens_mean < 1)
        s->opts.tokens_mean = 1;
    if (s->opts.tokens_mean > SIM_TOKENS_MAX / 2) /* the longest answer is one and a half times as long */
        s->opts.tokens_mean = SIM_TOKENS_MAX / 2;
    s->limits = (struct conn_limits){HEAD_MAX_BYTES, PIPELINE_MAX_BYTES, READ_US, READ_US,
                                     PATIENCE_US,    PATIENCE_US,        0,       0};
    s->json = json_pool_new(JSON_POOL_BYTES);
    list_init(&s->conns);
    list_init(&s->line);
    list_init(&s->busy);
    s->began_us = l->now_us;
    rng_seed(&s->dice, o->seed);
    return s;
}

enum err sim_listen_with(struct sim *s, const struct addr *at, const struct sim_listen_opts *o,
                         struct addr *bound)
{
    enum err e;

    ASSERT(s->doors_n < SIM_DOORS_MAX);
    e = sim_door_open(s, at, o, &s->doors[s->doors_n]);
    if (e == ERR_OK && bound != NULL)
        *bound = s->doors[s->doors_n]->at;
    if (e == ERR_OK)
        s->doors_n++;
    return e;
}

enum err sim_listen(struct sim *s, const struct addr *at, struct addr *bound)
{
    return sim_listen_with(s, at, &(struct sim_listen_opts){.name = NULL}, bound);
}

const struct sim_stats *sim_stats(const struct sim *s)
{
    return &s->stats;
}

void sim_free(struct sim **sp)
{
    struct sim *s = *sp;

    *sp = NULL;
    if (s == NULL)
        return;
    s->closing = true;
    while (!list_empty(&s->conns))
        conn_close(conn_of_node(s->conns.next));
    for (size_t i = 0; i < s->doors_n; i++)
        sim_door_close(&s->doors[i]);
    ASSERT(s->stats.conns_n == 0 && s->slots_used == 0 && list_empty(&s->line));
    json_pool_free(&s->json);
    mem_free(s);
}
