/* SPDX-License-Identifier: MIT */
/* The table of faults as values. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "base/slice.h"

enum sim_fault {
    SIM_NONE,
#define FAULT(name, label, phase, value, doc) SIM_##name,
#include "sim/fault.def"
#undef FAULT
    SIM_FAULT_N
};

enum sim_phase { SIM_PHASE_CONNECT, SIM_PHASE_TLS, SIM_PHASE_HEAD, SIM_PHASE_REFUSAL, SIM_PHASE_BODY };
enum sim_value { SIM_VALUE_NONE, SIM_VALUE_K, SIM_VALUE_TIME };

struct sim_fault_row {
    const char *label; /* as it stands in suffixes, options and files: "cut" */
    enum sim_phase phase;
    enum sim_value value;
    const char *doc;
};

/* SIM_NONE has the label "". */
const struct sim_fault_row *sim_fault_row(enum sim_fault f);
/* The fault of that label; SIM_NONE for a text that is none. */
enum sim_fault sim_fault_of(struct slice label);
/* Whether a model's suffix can ask for it: it happens after a request was read. */
bool sim_fault_is_asked(enum sim_fault f);

#endif
