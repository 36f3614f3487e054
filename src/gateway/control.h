/* SPDX-License-Identifier: MIT */
/* The control thread's part of a gateway: its listeners (gateway/sides.h), reloads and the drain. */
#ifndef GATEWAY_CONTROL_H
#define GATEWAY_CONTROL_H

#include "gateway/app.h"
#include "gateway/reload.h"

struct control;
struct desk;
struct worker;

struct control_opts {
    /* Every worker has drained, or had to be cut: the program stops its loops. Thread: control's. */
    void (*on_drained)(void *ud);
    void *ud;
    /* More lines for /metrics (the process's own figures); may be NULL. */
    void (*more_metrics)(void *ud, struct buf *out);
    struct reload_opts reload; /* what POST /api/reload and control_reload read */
};

/* Before or after the workers. Listens at admin and metrics when the configuration has them; on failure NULL
 * and *which is the address at fault. */
struct control *control_new(struct app *a, struct loop *l, const struct control_opts *o, const char **which);
void control_free(struct control **k);

/* Reads the configuration again (gateway/reload.h); log and metrics say what came of it. Thread: control's.
 */
void control_reload(struct control *k, const char *asked_by);
/* For rehearsals: the same with a configuration that has been read already. */
enum err control_put_in_force(struct control *k, struct config *cfg);

/* Another edition is in force: prices are those of its targets, and its engines are asked for their load.
 * Thread: control's. */
void control_follow(struct control *k);

/* Begins the drain: /readyz fails at once; see options timeouts.drain_delay and timeouts.drain. Thread:
 * control's. */
void control_drain(struct control *k);
/* Ends everything at once (a second signal). on_drained follows when the workers have let go. Thread:
 * control's. */
void control_cut(struct control *k);
/* A worker has let go of everything. Thread: any (it posts). */
void control_worker_drained(struct control *k, struct worker *w);
/* A desk is CLOSED: the control thread takes it. Thread: any (it posts). */
void control_desk_closed(struct control *k, struct desk *d);

#endif
