/* SPDX-License-Identifier: MIT */
/* Why a request went where it went: its decisions, noted while they are made (DESIGN 4.6).
 *
 * A note is a few bytes (why.def: a kind, a time, its numbers as varints), kept in the flight: the first
 * WHY_FIRST_BYTES in it, then, for those that are tried again and again, WHY_BYTES_MAX in its arena. Past
 * that the second oldest note makes room, so that the beginning and the latest remain. When the request is
 * over its notes become a record in its worker's ring (why_record.h, why_ring.h); they are made into words
 * only when somebody reads them.
 *
 * There are no texts in a note: no secret and no prompt can get in. */
#ifndef GATEWAY_WHY_H
#define GATEWAY_WHY_H

#include "base/arena.h"
#include "policy/look.h"

#define WHY_FIRST_BYTES 112
#define WHY_BYTES_MAX 512
#define WHY_FIELDS_MAX LOOK_FIELDS_MAX

enum why_step {
#define STEP(name, label, fields) WHY_##name,
#include "gateway/why.def"
#undef STEP
    WHY_STEPS_N
};

enum why_type { WHY_COUNT, WHY_TIME, WHY_TARGET, WHY_OUTCOME, WHY_ERROR, WHY_HOW };

struct why_field {
    const char *name;
    enum why_type type;
};

struct why_row {
    const char *label;
    struct why_field fields[WHY_FIELDS_MAX + 1]; /* the last one has no name */
};

const struct why_row *why_step_row(enum why_step s);
const struct why_row *why_look_row(enum look_is l);

struct why {
    uint8_t *p;
    uint16_t n, cap;
    uint16_t dropped_n;
    uint64_t named; /* targets that notes name, a bit each */
    int64_t since_us;
    struct arena *arena;
    uint8_t first[WHY_FIRST_BYTES];
};

/* since_us: when the request came; times are shown from then on. The arena outlives it. */
void why_init(struct why *w, struct arena *arena, int64_t since_us);
/* v: as many as the step's row has fields, below 0: not known. Values past WHY_VALUE_MAX are shown as that.
 * looks: what the decision saw; NULL: nothing. */
void why_note(struct why *w, enum why_step step, int64_t now_us, const int64_t *v, const struct looks *looks);

/* -- reading --------------------------------------------------------------------------------------------- */
#define WHY_VALUE_MAX ((INT64_C(1) << 35) - 2)

struct why_note {
    enum why_step step;
    int64_t at_us; /* since the request came */
    int64_t v[WHY_FIELDS_MAX];
    unsigned looks_n, out_n; /* out_n: more that are not told */
    struct look looks[LOOKS_MAX];
};

/* The next note of those that begin at *at; false: there is none, or what follows is no note. */
bool why_read(struct slice notes, size_t *at, struct why_note *out);

#endif
