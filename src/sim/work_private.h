/* SPDX-License-Identifier: MIT */
/* What work.c (states, slots, waiting), work_answer.c (plain answers and streams), work_head.c (faults
 * instead of an answer) and work_wire.c (answers byte by byte) share.
 *
 *     READING -> (refused) | HANGING | BREAKING | HELD -> WAITING -> WORKING -> over
 *                                                  |        |          |------> STALLED, BREAKING
 *                                                  `--------+          `------> PLAYING -> over
 *                                            head sent, keep-alives flow
 *
 * One timer serves them all: the next keep-alive, the end of ~queue, the next token, the next byte, or the
 * reset that follows what was sent in the turn before. */
#ifndef SIM_WORK_PRIVATE_H
#define SIM_WORK_PRIVATE_H

#include "base/buf.h"
#include "base/list.h"
#include "sim/work.h"

#define WORK_PENDING_MAX (256 * 1024)

enum work_state { READING, HELD, WAITING, WORKING, STALLED, HANGING, BREAKING, PLAYING, OVER };

struct sim_work {
    struct sim *sim;
    struct sim_door *door;
    struct conn *conn;
    const struct sim_form *form;
    struct arena *arena;
    struct buf body;    /* of the request; then, while PLAYING, what is played */
    struct slice whole; /* the request's body when it came in one piece */
    int64_t content_length;
    struct list node; /* in sim->line while WAITING, in sim->busy with a slot */
    struct timer timer;
    struct sim_ask ask;
    struct sim_plan plan;
    struct sim_script script;
    struct rng dice;
    enum work_state state;
    int64_t due_us; /* HELD: the end of it; WORKING: the next token, or the plain answer; PLAYING: a byte */
    int64_t keepalive_us; /* HELD, WAITING: the next one */
    uint32_t next;        /* token */
    uint32_t events_n;    /* sent with comments */
    size_t played_n;      /* bytes */
    size_t slow_n;        /* bytes that come one by one */
    int64_t step_us;      /* between them */
    bool has_v1, is_beta; /* the path had the prefix */
    bool begun;           /* the first event is out */
    bool blocked;         /* waits for the caller to read */
    bool has_slot;
};

/* -- work.c -- */
void work_set_state(struct sim_work *w, enum work_state state);
void work_refuse(struct sim_work *w, const struct sim_error *error);
void work_send_head(struct sim_work *w, int64_t length);
/* The ends: complete for HTTP; broken off in an orderly way; with a reset, in the next turn, so that what was
 * sent in this one arrives. */
void work_finish(struct sim_work *w);
void work_cut(struct sim_work *w);
void work_reset(struct sim_work *w);
void work_stall(struct sim_work *w);
/* Whether the caller has so much to read that nothing more is made; the work goes on by itself then. */
bool work_is_blocked(struct sim_work *w);

/* -- work_answer.c -- */
/* Goes on with an answer whose time has come. */
void work_go_on(struct sim_work *w);
/* Tokens behind which a fault shows. */
uint32_t work_fault_at(const struct sim_work *w);

/* -- work_comments.c -- */
/* Events of a stream as they go out: with the comments that the plan asks for. */
struct slice work_with_comments(struct sim_work *w, struct slice events);

/* -- work_head.c -- */
/* Refuses or breaks off when the plan says so; false: the call is to be answered. */
bool work_fail_early(struct sim_work *w);

/* -- work_wire.c -- */
/* Composes the whole response and begins to send it byte by byte. */
void work_play(struct sim_work *w);
void work_play_on(struct sim_work *w);
/* A chunk whose size says `by` more (or less) than its bytes are. */
void work_send_chunk_wrong(struct sim_work *w, struct slice bytes, int by);

#endif
