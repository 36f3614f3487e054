/* SPDX-License-Identifier: MIT */
/* Addresses of the virtual network that take no connections. */
#include "base/mem.h"
#include "io/virtual_net.h"

struct mute {
    struct vnet *net;
    struct addr at;
    bool deaf;
};

enum err vmute_open(struct loop *l, const struct addr *at, bool deaf, struct mute **out)
{
    struct mute *m = MEM_NEW(struct mute);

    *m = (struct mute){vloop_of(l)->net, *at, deaf};
    if (deaf)
        vnet_blackhole(m->net, at, true);
    *out = m;
    return ERR_OK;
}

void vmute_close(struct mute **mp)
{
    struct mute *m = *mp;

    *mp = NULL;
    if (m == NULL)
        return;
    if (m->deaf)
        vnet_blackhole(m->net, &m->at, false);
    mem_free(m);
}
