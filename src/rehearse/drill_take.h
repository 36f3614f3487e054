/* SPDX-License-Identifier: MIT */
/* The clients of a drill: every crowd is a load generator of its own (load/load.h), on any loop, real or
 * virtual. What became of each request is kept as a record. */
#ifndef REHEARSE_DRILL_TAKE_H
#define REHEARSE_DRILL_TAKE_H

#include "load/load.h"
#include "policy/outcome.h"
#include "rehearse/drill.h"

struct drill_take;

/* One request of a client. Times in us since the take began. */
struct drill_record {
    int64_t at_us, first_us, ended_us; /* first_us 0: no token came */
    uint32_t prompt_tokens, answer_tokens;
    uint8_t crowd, ending, attempts_n;
};

/* What is seen of one provider at a moment; counts since the gateway began. */
struct drill_sight {
    int64_t failed_n, refused_n; /* calls that ended badly; of them those that its account refused (429) */
    int limit;                   /* slots that the gateway believes in; -1: not known */
};

/* Whether a call that ended so went badly, through no fault of its request. */
bool drill_is_bad(enum outcome o);

/* Fills in one for each provider. Called every DRILL_LOOK_US. */
typedef void (*drill_look_cb)(void *ud, struct drill_sight *sights);

#define DRILL_LOOK_US (20 * INT64_C(1000))

/* What the looks have added up to. */
struct drill_watch {
    int64_t detected_us;                   /* the first bad call in the trouble; -1: none */
    int64_t failed_before, refused_before; /* counts when the trouble, and what is measured, began */
    int64_t refused_n;                     /* within what is measured */
    int64_t looks_n;
    int64_t limit_looks_n, limit_sum[DRILL_PROVIDERS_MAX];
    bool began, measures;
};

/* What use, goodput and refusals are measured in, since the take began. */
struct drill_span {
    int64_t from_us, to_us;
};

struct drill_span drill_measured(const struct drill_scenario *s);

struct drill_take_opts {
    struct load_target target;
    uint64_t seed;
    bool quiet;         /* without the crowds that flood */
    drill_look_cb look; /* or NULL */
    void (*on_done)(void *ud);
    void *ud;
};

/* Arrivals count from now; on_done comes once, when every request has ended. */
struct drill_take *drill_take_new(struct loop *l, const struct drill_scenario *s,
                                  const struct drill_take_opts *o);
void drill_take_stop(struct drill_take *t); /* cancels what is under way; on_done comes in a later turn */
void drill_take_free(struct drill_take **t);

const struct drill_record *drill_take_records(const struct drill_take *t, size_t *n);
const struct drill_watch *drill_take_watch(const struct drill_take *t);

#endif
