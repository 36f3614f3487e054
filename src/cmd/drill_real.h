/* SPDX-License-Identifier: MIT */
/* A drill over real sockets on loopback, in real time: children of this program are the gateway and the
 * providers. */
#ifndef CMD_DRILL_REAL_H
#define CMD_DRILL_REAL_H

#include "rehearse/drill.h"

#define DRILL_REAL_MAX_S 300

/* As drill_run. What only virtual time shows (how many slots are used, the limit that was learned) is not
 * measured. */
bool drill_real_run(const struct drill_scenario *s, const struct drill_opts *o, struct drill_result *out);

#endif
