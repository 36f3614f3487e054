/* SPDX-License-Identifier: MIT */
/* Smooth weighted round robin: everybody usable earns his weight, the richest is picked and pays what all
 * earned.
 *
 * A peer that cannot be used for a while neither earns nor pays, so that it comes back without a burst. */
#include "policy/balance.h"

#include "base/assert.h"

int balance_pick(struct balance_peer *peers, size_t peers_n, uint64_t usable)
{
    int64_t total = 0;
    int best = -1;

    ASSERT(peers_n <= BALANCE_PEERS_MAX);
    for (size_t i = 0; i < peers_n; i++) {
        if (!(usable >> i & 1))
            continue;
        peers[i].current += peers[i].weight;
        total += peers[i].weight;
        if (best < 0 || peers[i].current > peers[best].current)
            best = (int)i;
    }
    if (best >= 0)
        peers[best].current -= total;
    return best;
}
