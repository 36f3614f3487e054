/* SPDX-License-Identifier: MIT */
/* The traces that tidegate load was told to use, read from files and folders. */
#ifndef CMD_LOAD_TRACES_H
#define CMD_LOAD_TRACES_H

#include "load/trace.h"

#define LOAD_TRACE_FILES_MAX 4096

struct load_traces {
    const struct trace **traces;
    size_t n;
};

/* A folder stands for its files chunk-*-trace.csv, in the order of their names. False after a message on
 * stderr. */
bool load_traces_read(struct load_traces *t, const char *const *paths, size_t paths_n);
void load_traces_fini(struct load_traces *t);

#endif
