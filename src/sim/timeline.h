/* SPDX-License-Identifier: MIT */
/* A script of outages: at which time, for how long, which fault, where.
 *
 *     # comment
 *     at=30s for=10s fault=503 p=0.5
 *     at=1m  for=5s  fault=refuse listener=a
 *     at=90s for=20s fault=ttft=10s,gap=1s model=big
 *
 * One row a line, words of the form name=value with blanks between them. `at` and `fault` must be given;
 * without `for` a row holds for ever, p is 1, and every listener and model is meant unless one is named. */
#ifndef SIM_TIMELINE_H
#define SIM_TIMELINE_H

#include "base/arena.h"
#include "sim/rule.h"

#define SIM_TIMELINE_ROWS_MAX 1000

struct sim_timeline_row {
    int64_t at_us, until_us; /* since the simulator began; until_us is no more part of it */
    struct sim_rule rule;
    double p;
    struct slice model;    /* the name before a suffix; empty: every one */
    struct slice listener; /* empty: every one */
};

struct sim_timeline {
    struct sim_timeline_row *rows;
    size_t rows_n;
};

/* What is wrong, and where: lines and columns count from 1, columns in bytes. */
struct sim_timeline_error {
    int line, column;
    char text[200];
};

/* Texts are borrowed from `text`, rows live in the arena. */
bool sim_timeline_parse(struct slice text, struct arena *arena, struct sim_timeline *out,
                        struct sim_timeline_error *error);
/* Whether the row holds at that age, for a listener of that name. */
bool sim_timeline_holds(const struct sim_timeline_row *row, int64_t age_us, struct slice listener);

#endif
