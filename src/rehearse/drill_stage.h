/* SPDX-License-Identifier: MIT */
/* What a scenario is played on: the gateway's file, and for each provider the options and the timeline of its
 * simulator. The same for virtual and for real sockets. */
#ifndef REHEARSE_DRILL_STAGE_H
#define REHEARSE_DRILL_STAGE_H

#include "base/buf.h"
#include "rehearse/drill.h"
#include "sim/sim.h"

/* Where things are: "10.0.0.1:80". */
struct drill_places {
    const char *listen;
    const char *providers[DRILL_PROVIDERS_MAX];
    const char *more; /* lines of the file that depend on that, or NULL */
};

/* Appends the gateway's file. */
void drill_stage_file(const struct drill_scenario *s, const struct drill_places *places, struct buf *out);
/* Appends a timeline in the text form, everything `lead_s` later; nothing when no event is told. */
void drill_stage_timeline(const struct drill_provider *p, double lead_s, struct buf *out);
/* All but the timeline. */
void drill_stage_sim(const struct drill_provider *p, uint64_t seed, struct sim_opts *out);

#endif
