/* SPDX-License-Identifier: MIT */
/* Private to the readers of traces: one function for each format, called line by line. */
#ifndef LOAD_TRACE_PRIVATE_H
#define LOAD_TRACE_PRIVATE_H

#include "load/trace.h"

/* NULL when the line was understood, else what is wrong with it, a whole sentence. */
typedef const char *(*trace_line_cb)(struct trace *t, struct slice line);

/* Room for one more element in a growing array. */
void *trace_grow(void *array, size_t n, size_t element_bytes);

bool trace_azure_is(struct slice line); /* the title line */
const char *trace_azure_line(struct trace *t, struct slice line);
const char *trace_mooncake_line(struct trace *t, struct slice line);
const char *trace_servegen_line(struct trace *t, struct slice line);
/* Windows end where the next begins. */
void trace_servegen_finish(struct trace *t);

#endif
