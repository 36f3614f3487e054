/* SPDX-License-Identifier: MIT */
/* What a source would send, looked at without sending anything. */
#ifndef LOAD_PREVIEW_H
#define LOAD_PREVIEW_H

#include "load/tally.h"

struct preview {
    uint64_t requests_n, streams_n, shared_n, leave_n;
    uint64_t of_class[SOURCE_CLASSES_MAX];
    int64_t first_us, last_us;         /* of the first and the last arrival */
    uint64_t busiest_n;                /* arrivals in the fullest second */
    int64_t busiest_us;                /* when that second begins */
    double gap_mean_us, gap_cv;        /* between arrivals; 0 with fewer than three */
    struct tally_times prompt, answer; /* tokens; requests whose answer is not bounded are not in `answer` */
    uint64_t blocks_n, blocks_old_n;   /* of a trace that tells blocks: all, and those seen before */
    bool cut;                          /* there are more requests than were looked at */
};

/* Takes everything that the source has, at most max_n. Needs memory for one bit for each block id. */
void preview_look(struct preview *p, struct source *s, uint64_t max_n);

#endif
