/* SPDX-License-Identifier: MIT */
/* One address at which the simulator listens, with the faults that come before a request is read.
 *
 * A listener that refuses or is deaf does so for everybody, so a probability of `refuse` or `connect_hang` is
 * one of time: in each slice of SIM_SLICE_US the dice say whether the fault holds. TLS faults are drawn for
 * each connection. A rule of the listener comes before the timeline, and that before the options. */
#ifndef SIM_DOOR_H
#define SIM_DOOR_H

#include "io/loop.h"
#include "sim/rule.h"
#include "sim/sim.h"

#define SIM_SLICE_US (100 * INT64_C(1000))

struct sim_door {
    struct sim *sim;
    struct sim_rule rule;
    struct slice name;
    struct tls_config *tls, *wrong; /* borrowed */
    struct addr at;                 /* with the real port */
    struct listener *listener;      /* while it takes connections */
    struct mute *mute;              /* while it does not */
    enum sim_fault now;             /* SIM_NONE, SIM_REFUSE or SIM_CONNECT_HANG */
    struct timer timer;             /* looks again */
    struct rng dice;
    struct list held; /* connections whose handshake does not go on */
};

enum err sim_door_open(struct sim *s, const struct addr *at, const struct sim_listen_opts *o,
                       struct sim_door **out);
void sim_door_close(struct sim_door **d);

#endif
