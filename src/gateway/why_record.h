/* SPDX-License-Identifier: MIT */
/* What is kept of one request that is over, or is shown of one that is not: who asked for what, how it ended,
 * and the notes of its decisions. One piece of memory without pointers, so that it can lie in a ring; texts
 * are the names of the configuration, because indices are no use after a reload. */
#ifndef GATEWAY_WHY_RECORD_H
#define GATEWAY_WHY_RECORD_H

#include "base/err.h"
#include "config/config.h"
#include "gateway/stats.h"
#include "gateway/why.h"

#define WHY_RECORD_MAX 4096
#define WHY_NAME_MAX 64 /* of a key, a model or a target: longer ones are cut */
#define WHY_ID_MAX 128  /* of a request */

/* The numbers of a record, as they lie in it. */
struct why_facts {
    int64_t arrived_wall_us;
    int64_t took_us;     /* so far, or until its end */
    int64_t wait_us;     /* in the line */
    int64_t first_us;    /* to the answer's begin; below 0: it has none */
    int64_t deadline_us; /* from the arrival; below 0: it was not known yet */
    int32_t status;      /* 0: none was sent */
    uint16_t calls_n, dropped_n;
    uint8_t err, priority, route;
    uint8_t result; /* RESULT_N: it is not over */
    bool stream;
};

/* What is packed. */
struct why_source {
    struct why_facts facts;
    struct slice id, key, model;       /* key, model: empty when not known */
    const struct why *why;             /* NULL: there are no notes */
    const struct config *cfg;          /* that the targets of notes belong to */
    const struct config_model *target; /* whose targets they are; NULL with why NULL */
};

/* What lies in a record; slices show it. */
struct why_record {
    struct why_facts facts;
    struct slice id, key, model, notes, names;
};

/* Into `out`, which has room for WHY_RECORD_MAX bytes and is aligned as an int64_t is; returns how many were
 * used. */
size_t why_pack(const struct why_source *s, char *out);
/* False: these bytes are no record. */
bool why_unpack(struct slice bytes, struct why_record *out);
/* The name of a target, or SLICE_NONE. */
struct slice why_target_name(const struct why_record *r, int target);

#endif
