/* SPDX-License-Identifier: MIT */
/* Virtual io: names, and addresses that are hard to reach. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/virtual_net.h"

#define ADDRS_MAX 16 /* of a name */

struct addrs {
    struct addr of[ADDRS_MAX];
    size_t n;
};

struct vname {
    struct list node;
    char *host;
    struct addrs addrs;
};

/* An address that connects reach late, or never. */
struct hole {
    struct list node;
    struct addr addr;
    int64_t late_us; /* CLOCK_NEVER_US: never */
};

struct lookup {
    struct list node; /* in the loop's lookups, then in its answers */
    struct vloop *home;
    struct vevent event;
    struct addrs found;
    enum err result;
    lookup_cb cb;
    void *ud;
};

/* -- what tests set up ------------------------------------------------------------------------- */

void vnet_name(struct vnet *v, const char *host, const char *ips)
{
    struct vname *n = MEM_NEW(struct vname);
    struct slice rest = slice_of(ips);

    while (rest.n > 0) {
        struct slice ip = slice_cut(rest, ' ', &rest);

        ASSERT(n->addrs.n < ADDRS_MAX && addr_of_ip(ip, 0, &n->addrs.of[n->addrs.n]));
        n->addrs.n++;
    }
    n->host = mem_strdup(host);
    list_init(&n->node);
    list_push_front(&v->names, &n->node); /* a newer entry hides an older one */
}

static struct hole *hole_at(const struct vnet *v, const struct addr *a)
{
    LIST_EACH (node, &v->holes) {
        struct hole *h = CONTAINER_OF(node, struct hole, node);

        if (addr_eq(&h->addr, a))
            return h;
    }
    return NULL;
}

static void set_late(struct vnet *v, const struct addr *a, int64_t us)
{
    struct hole *h = hole_at(v, a);

    if (h == NULL) {
        h = MEM_NEW(struct hole);
        h->addr = *a;
        list_init(&h->node);
        list_push_back(&v->holes, &h->node);
    }
    h->late_us = us;
}

void vnet_blackhole(struct vnet *v, const struct addr *a, bool on)
{
    set_late(v, a, on ? CLOCK_NEVER_US : 0);
}

void vnet_slow(struct vnet *v, const struct addr *a, int64_t us)
{
    set_late(v, a, us);
}

int64_t vnet_late_us(const struct vnet *v, const struct addr *to)
{
    const struct hole *h = hole_at(v, to);

    return h != NULL ? h->late_us : 0;
}

/* -- look-ups ---------------------------------------------------------------------------------- */

static void on_answer(struct vevent *e)
{
    struct lookup *k = CONTAINER_OF(e, struct lookup, event);

    list_remove(&k->node);
    list_push_back(&k->home->answers, &k->node);
}

static enum err find_name(const struct vnet *v, const char *host, struct addrs *out)
{
    out->n = 1;
    if (addr_of_ip(slice_of(host), 0, &out->of[0]))
        return ERR_OK;
    LIST_EACH (node, &v->names) {
        const struct vname *n = CONTAINER_OF(node, struct vname, node);

        if (slice_ieq(slice_of(n->host), slice_of(host))) {
            *out = n->addrs;
            return ERR_OK;
        }
    }
    out->n = 0;
    return ERR_DNS;
}

struct lookup *vnet_resolve(struct loop *l, const char *host, uint16_t port, lookup_cb cb, void *ud)
{
    struct lookup *k = MEM_NEW(struct lookup);
    struct vnet *v = vloop_of(l)->net;

    k->home = vloop_of(l);
    k->event.fire = on_answer;
    k->cb = cb;
    k->ud = ud;
    k->result = find_name(v, host, &k->found);
    for (size_t i = 0; i < k->found.n; i++)
        addr_set_port(&k->found.of[i], port);
    list_init(&k->node);
    list_push_back(&k->home->lookups, &k->node);
    vnet_arm(v, &k->event, clock_add(v->now_us, v->opts.latency_us));
    return k;
}

void vnet_lookup_cancel(struct lookup **kp)
{
    struct lookup *k = *kp;

    *kp = NULL;
    if (k == NULL)
        return;
    vnet_disarm(k->home->net, &k->event);
    list_remove(&k->node);
    mem_free(k);
}

void vnet_deliver_answers(struct vloop *l)
{
    struct list due, *node;

    list_init(&due);
    list_move(&due, &l->answers);
    while ((node = list_pop_front(&due)) != NULL) {
        struct lookup *k = CONTAINER_OF(node, struct lookup, node);
        struct lookup done = *k;

        mem_free(k);
        done.cb(done.ud, done.result, done.found.of, done.found.n);
    }
}

void vnet_init_names(struct vnet *v)
{
    list_init(&v->names);
    list_init(&v->holes);
    vnet_name(v, "localhost", "127.0.0.1");
}

void vnet_forget_names(struct vnet *v)
{
    struct list *node;

    while ((node = list_pop_front(&v->names)) != NULL) {
        struct vname *n = CONTAINER_OF(node, struct vname, node);

        mem_free(n->host);
        mem_free(n);
    }
    while ((node = list_pop_front(&v->holes)) != NULL)
        mem_free(CONTAINER_OF(node, struct hole, node));
}
