/* SPDX-License-Identifier: MIT */
/* A whole gateway, its providers and its clients in one virtual world: the real code on virtual io.
 *
 * A configuration in the usual YAML says what the gateway is; simulators stand at the addresses that it
 * names. Time is virtual, a seed decides every order, and nothing sleeps. */
#ifndef REHEARSE_WORLD_H
#define REHEARSE_WORLD_H

#include "gateway/app.h"
#include "gateway/control.h"
#include "gateway/worker.h"
#include "io/virtual.h"
#include "rehearse/caller.h"
#include "sim/sim.h"

#define WORLD_SIMS_MAX 8

struct world_sim {
    const char *at; /* "10.0.0.1:80" */
    struct sim_opts opts;
    struct sim_listen_opts listen; /* borrowed; all zero: plain HTTP */
};

struct world_opts {
    const char *yaml;      /* the gateway's configuration; listen must be set */
    struct config *config; /* instead of yaml: borrowed */
    struct vnet_opts net;
    const struct world_sim *sims;
    size_t sims_n;
    struct log *log; /* or NULL */
    int access_fd;   /* -1: none */
};

struct world {
    struct vnet *net;
    struct app *app;
    struct control *control;
    struct loop *control_loop, *client_loop;
    struct loop **worker_loops;
    struct worker **workers;
    size_t workers_n;
    struct loop *sim_loops[WORLD_SIMS_MAX];
    struct sim *sims[WORLD_SIMS_MAX];
    size_t sims_n;
    struct addr listen; /* where clients call */
    bool drained;
};

/* NULL with the report's text when the configuration is refused. */
struct world *world_new(const struct world_opts *o, struct config_report *report);
/* Cuts what is still open, lets it all end and asserts that nothing was left behind: no slot, ticket,
 * connection or byte. */
void world_free(struct world **w);

/* Runs for `us` of virtual time, or until nothing happens any more; returns the number of turns. */
uint64_t world_run(struct world *w, int64_t us);
/* Runs until *stop, at most `us`. */
uint64_t world_run_until(struct world *w, int64_t us, const bool *stop);

/* A reload: puts another configuration in force (its listeners and workers are ignored). Between two runs.
 * ERR_OK, or ERR_CONFIG with the report's text when it is refused: nothing has changed then. */
enum err world_reload(struct world *w, const char *yaml, struct config_report *report);

/* A metric summed over workers, editions and control; rows are those of the edition in force. */
int64_t world_metric(const struct world *w, enum metric id, size_t row);
/* Nothing in work: slots, flights, exchanges and budget are at zero. Connections may rest. */
bool world_is_idle(const struct world *w);

#endif
