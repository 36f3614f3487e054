/* SPDX-License-Identifier: MIT */
/* The options of `tidegate sim` as values. */
#ifndef CMD_SIM_OPTIONS_H
#define CMD_SIM_OPTIONS_H

#include "io/addr.h"
#include "sim/sim.h"

#define SIM_PLACES_MAX 8

/* One --listen. Texts are borrowed from the arguments, or cut in place. */
struct sim_place {
    const char *address; /* as given */
    struct addr at;
    const char *name; /* what a timeline calls it; the address unless it is given */
    const char *rule; /* or NULL */
    bool tls;
    const char *cert, *key; /* NULL: made on the spot */
};

struct sim_command {
    struct sim_opts opts;
    struct sim_place places[SIM_PLACES_MAX];
    size_t places_n;
    const char *timeline; /* file, or NULL */
    const char *tls_out;  /* where the certificate that is made on the spot is written, or NULL */
};

extern const char SIM_HELP[];

/* False when something is not understood; that is told on stderr. Arguments are cut in place. */
bool sim_command_read(struct sim_command *c, int argc, char **argv);

#endif
