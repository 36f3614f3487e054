/* SPDX-License-Identifier: MIT */
/* How long a place in the line has to wait, reckoned from how fast places were served. Pure.
 *
 * The speed is grants by time in which somebody waited, both as decayed sums, whose ratio is right whether
 * one slot turns over once a minute, or a hundred at the same moment: the memory is counted in grants
 * (ETA_GRANTS, and ETA_TURNS for each slot in use), not in seconds, so that it spans some turns of all slots
 * whatever a turn takes. A memory in seconds shorter than a turn would see bursts and silences; one that is
 * longer would notice a change late where slots turn over quickly.
 *
 * Better classes are served first. Those that wait already are ahead and counted as such; those that still
 * come take their part of the speed, which is learned from how often they came of late. So do other tenants
 * of its own class, as far as their turns come before.
 *
 * Who may be promised nothing: before every slot has turned over once nobody knows; after a time in which
 * nobody waited what was known is forgotten. A silence of more than two turns of the slots is an outage and
 * not a speed: it is added to what is predicted (it may well last as long again), and teaches little. */
#ifndef POLICY_ETA_H
#define POLICY_ETA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define ETA_UNKNOWN INT64_C(-1)
#define ETA_GRANTS 16 /* remembered at least: the speed of one slot is known to a quarter */
#define ETA_TURNS 4   /* of every slot: a burst of all of them moves the speed by an eighth */
#define ETA_KNOWN 4   /* grants before anything is said, and one for each slot */
#define ETA_STALE_US (INT64_C(600) * 1000000)
#define ETA_ARRIVALS_US (INT64_C(30) * 1000000) /* memory of arrivals, at least */

struct eta {
    double grants, busy_us;  /* decayed: grants, and the time in which somebody waited for them */
    double slots;            /* in use at a grant, on average */
    double came[PRIORITY_N]; /* decayed: who came to wait, by class */
    size_t known_n;          /* grants since nothing was known */
    bool known;              /* they were enough */
    size_t waiting_n;
    int64_t since_us; /* somebody waits: since the last grant, or since then; nobody: until when */
    int64_t came_us;  /* when `came` was decayed */
};

/* Somebody waits from now on. */
void eta_came(struct eta *e, enum priority p, int64_t now_us);
/* Somebody has left without having been served. */
void eta_left(struct eta *e, int64_t now_us);
/* Somebody was served; `slots` of those that serve this line are in use. */
void eta_served(struct eta *e, size_t slots, int64_t now_us);
/* Goes on with what was learned elsewhere, for those who wait here. */
void eta_inherit(struct eta *e, const struct eta *from);

/* Where somebody stands. */
struct eta_place {
    enum priority priority;
    size_t ahead;  /* are served before it */
    size_t more;   /* of its class could still come before it */
    double others; /* of those who come in its class, the part that could */
};

/* The time until it is served; ETA_UNKNOWN; CLOCK_NEVER_US: better classes take everything. */
int64_t eta_us(const struct eta *e, const struct eta_place *at, int64_t now_us);
/* The same without what an outage adds: it may end at any moment, so nobody is refused for it. */
int64_t eta_place_us(const struct eta *e, const struct eta_place *at, int64_t now_us);

#endif
