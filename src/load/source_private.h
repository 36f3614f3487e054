/* SPDX-License-Identifier: MIT */
/* Private to the kinds of source: each is a `next` that fills in time, and lengths where it knows them. */
#ifndef LOAD_SOURCE_PRIVATE_H
#define LOAD_SOURCE_PRIVATE_H

#include "load/source.h"

struct rows { /* a trace with a row for each request */
    const struct trace *trace;
    size_t next;
    size_t copies_n, copy;                  /* of row next - 1: how many, and which comes now */
    double copies_at[SOURCE_SCALE_MAX + 1]; /* us of the trace, rising */
};

struct windows { /* the clients of ServeGen's traces */
    struct windows_client *clients;
    size_t clients_n;
};

struct source {
    struct source_opts opts;
    struct rng dice, gaps; /* decisions about a request, and when it comes */
    uint64_t next_number;
    double at_us; /* of the process: when the last one came */
    struct rows rows;
    struct windows windows;
};

bool rows_next(struct source *s, struct arrival *out);

/* False when a window holds too many. */
bool windows_init(struct source *s);
void windows_fini(struct source *s);
bool windows_next(struct source *s, struct arrival *out);

#endif
