/* SPDX-License-Identifier: MIT */
/* A stream in memory on a loop without io: the test feeds input, reads output and decides how much the peer
 * takes. */
#ifndef TESTS_SUPPORT_MEM_STREAM_H
#define TESTS_SUPPORT_MEM_STREAM_H

#include "base/buf.h"
#include "io/loop.h"

struct mem_stream {
    struct stream stream;  /* first member */
    struct buf out;        /* everything the peer took */
    size_t room_n;         /* bytes that the peer still takes; SIZE_MAX: everything */
    size_t sends_n;        /* flushes that had something to send */
    size_t pieces_n;       /* pieces they were made of */
    bool paused;           /* the owner asked not to be given more */
    bool closed, finished; /* the owner let go: at once, or gracefully */
};

/* A loop without any io; nothing but streams, timers and the turn's memory work on it. */
void mem_loop_init(struct loop *l);
void mem_loop_fini(struct loop *l);

void mem_stream_init(struct mem_stream *m, struct loop *l, size_t pending_max);
void mem_stream_fini(struct mem_stream *m);

/* One turn at the loop's present time plus advance_us, in which these bytes arrive (n 0: none do). */
void mem_turn(struct mem_stream *m, int64_t advance_us, struct slice bytes);
/* One turn in which the peer ends. */
void mem_turn_close(struct mem_stream *m, enum err why);
/* What the peer has got, NUL-terminated. */
const char *mem_stream_text(struct mem_stream *m);
void mem_stream_forget(struct mem_stream *m);

#endif
