/* SPDX-License-Identifier: MIT */
/* Smooth weighted round robin: splits choices exactly by weight over every cycle and spreads them inside it
 * (70/30 gives 7 and 3 in ten, never seven in a row). The algorithm of nginx's ngx_http_upstream_get_peer
 * (2012). Pure. */
#ifndef POLICY_BALANCE_H
#define POLICY_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#define BALANCE_PEERS_MAX 64

struct balance_peer {
    int64_t current; /* 0 at the start; the sum over all peers stays 0 */
    int64_t weight;  /* at least 1 */
};

/* Picks one of the peers whose bit in `usable` (bit i: peers[i]) is set and moves the state
 * on; -1 if none is. */
int balance_pick(struct balance_peer *peers, size_t peers_n, uint64_t usable);

#endif
