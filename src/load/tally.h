/* SPDX-License-Identifier: MIT */
/* What a run has found so far: counts, reasons, times; in all and by class. */
#ifndef LOAD_TALLY_H
#define LOAD_TALLY_H

#include "base/hist.h"
#include "load/judge.h"
#include "load/source.h"

#define TALLY_REASONS_MAX 32

/* Times in us (of a preview: tokens) and their exact largest. */
struct tally_times {
    struct hist hist;
    int64_t max_us;
};

struct tally_reason {
    char code[JUDGE_CODE_BYTES];
    int status; /* 0: no response */
    uint64_t n;
};

struct tally_group {
    uint64_t intended_n; /* arrivals whose time has come */
    uint64_t sent_n;     /* of which some attempt was sent */
    uint64_t held_n;     /* of which so many had to wait for a connection */
    uint64_t attempts_n;
    uint64_t ended_n[END_N];
    uint64_t tokens_n, usage_tokens, bytes;
    struct tally_times first, gap, total; /* to the first token, between tokens, to the end of an answer */
    struct tally_times late;              /* from the intended time to the sending */
    struct tally_reason reasons[TALLY_REASONS_MAX]; /* of what failed or was refused; by first appearance */
    size_t reasons_n;
    uint64_t other_reasons_n; /* when there are more kinds */
};

struct tally {
    struct tally_group all, of_class[SOURCE_CLASSES_MAX];
    struct hist recent_first; /* to the first token, since tally_forget_recent */
};

struct tally *tally_new(void);
void tally_free(struct tally **t);
void tally_forget_recent(struct tally *t);

void tally_add(struct tally_times *t, int64_t us);
/* At most the exact largest; 0 when empty. */
int64_t tally_quantile(const struct tally_times *t, double q);
void tally_reason(struct tally_group *g, const char *code, int status);

/* How many of those that count were answered: those that count are all that ended, less what was refused or
 * cancelled; answered is full, degraded or deferred. -1: none counts. */
double tally_answered_rate(const struct tally_group *g);

#endif
