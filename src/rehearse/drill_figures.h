/* SPDX-License-Identifier: MIT */
/* From what was recorded to figures: the clients' records, the gateway's access log, and what was seen of the
 * providers. */
#ifndef REHEARSE_DRILL_FIGURES_H
#define REHEARSE_DRILL_FIGURES_H

#include "rehearse/drill_take.h"

/* Of the clients alone; what only the gateway knows is not measured yet. */
void drill_figures_of_clients(const struct drill_scenario *s, const struct drill_take *t,
                              struct drill_figures *out);
/* Adds what the lines of the gateway's access log say. wall_us: when the take began. */
void drill_figures_of_log(const struct drill_scenario *s, const struct drill_take *t, struct slice log,
                          int64_t wall_us, struct drill_figures *out);
/* Adds what was seen of the providers. */
void drill_figures_of_watch(const struct drill_scenario *s, const struct drill_take *t,
                            struct drill_figures *out);

#endif
