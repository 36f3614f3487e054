/* SPDX-License-Identifier: MIT */
/* The samples of real traffic in tests/data, read as traces. */
#ifndef TESTS_SUPPORT_SAMPLES_H
#define TESTS_SUPPORT_SAMPLES_H

#include "load/trace.h"

/* name: below tests/data. NULL with *bad when it cannot be read. Programs run in the tree's root. */
struct trace *samples_trace(const char *name, struct trace_fault *bad);

#endif
