/* SPDX-License-Identifier: MIT */
/* The table of faults. */
#include "sim/fault.h"

#include "base/assert.h"

static const struct sim_fault_row ROWS[SIM_FAULT_N] = {
    [SIM_NONE] = {"", SIM_PHASE_BODY, SIM_VALUE_NONE, ""},
#define FAULT(name, label, phase, value, doc) \
    [SIM_##name] = {label, SIM_PHASE_##phase, SIM_VALUE_##value, doc},
#include "sim/fault.def"
#undef FAULT
};

const struct sim_fault_row *sim_fault_row(enum sim_fault f)
{
    ASSERT((unsigned)f < SIM_FAULT_N);
    return &ROWS[f];
}

enum sim_fault sim_fault_of(struct slice label)
{
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++) {
        if (slice_eq(label, slice_of(ROWS[f].label)))
            return (enum sim_fault)f;
    }
    return SIM_NONE;
}

bool sim_fault_is_asked(enum sim_fault f)
{
    return sim_fault_row(f)->phase > SIM_PHASE_TLS;
}
