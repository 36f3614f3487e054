/* SPDX-License-Identifier: MIT */
/* What a listener or a row of the timeline does: one fault that comes before a request is read, or items for
 * the requests. */
#ifndef SIM_RULE_H
#define SIM_RULE_H

#include "sim/fault.h"

struct sim_rule {
    enum sim_fault early; /* of phase CONNECT or TLS, else SIM_NONE */
    struct slice items;   /* borrowed from what was parsed; empty: none */
};

/* "refuse", or "429,retry_after=30". False when it is neither. */
bool sim_rule_parse(struct slice text, struct sim_rule *out);

#endif
