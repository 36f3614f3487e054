/* SPDX-License-Identifier: MIT */
/* One direction of a virtual stream: packets in the order of their arrival.
 *
 * Packets are of one size and go back to the network's store, so that a steady state allocates nothing. */
#include "base/mem.h"
#include "io/virtual_net.h"

void vpipe_init(struct vpipe *p, struct vnet *v)
{
    p->net = v;
    p->n = 0;
    list_init(&p->packets);
}

struct packet *vpipe_first(const struct vpipe *p)
{
    return list_empty(&p->packets) ? NULL : CONTAINER_OF(p->packets.next, struct packet, node);
}

struct packet *vpipe_last(const struct vpipe *p)
{
    return list_empty(&p->packets) ? NULL : CONTAINER_OF(p->packets.prev, struct packet, node);
}

bool vpipe_has_arrived(const struct vpipe *p, const struct packet *k)
{
    return k != NULL && k->at_us <= p->net->now_us;
}

struct packet *vpipe_add(struct vpipe *p, enum packet_kind kind, int64_t at_us)
{
    struct list *node = list_pop_front(&p->net->spare);
    struct packet *k;

    if (node != NULL) {
        k = CONTAINER_OF(node, struct packet, node);
    } else {
        k = mem_alloc(sizeof *k);
        list_init(&k->node);
    }
    k->at_us = at_us;
    k->kind = kind;
    k->from = k->to = 0;
    list_push_back(&p->packets, &k->node);
    return k;
}

void vpipe_drop_first(struct vpipe *p)
{
    struct packet *k = vpipe_first(p);

    p->n -= k->to - k->from;
    list_remove(&k->node);
    list_push_front(&p->net->spare, &k->node);
}

void vpipe_clear(struct vpipe *p)
{
    while (!list_empty(&p->packets))
        vpipe_drop_first(p);
}

/* Whether the last packet can take more bytes that arrive at that time. */
static bool has_room(const struct vpipe *p, int64_t at_us)
{
    const struct packet *k = CONTAINER_OF(p->packets.prev, struct packet, node);

    return !list_empty(&p->packets) && k->kind == PACKET_DATA && k->at_us == at_us && k->to < PACKET_BYTES;
}

void vpipe_append(struct vpipe *p, struct slice bytes, int64_t at_us)
{
    while (bytes.n > 0) {
        struct packet *k = has_room(p, at_us) ? vpipe_last(p) : vpipe_add(p, PACKET_DATA, at_us);
        size_t n = bytes.n < PACKET_BYTES - k->to ? bytes.n : PACKET_BYTES - k->to;

        memcpy(k->bytes + k->to, bytes.p, n);
        k->to += n;
        p->n += n;
        bytes = slice_from(bytes, n);
    }
}

size_t vpipe_readable(const struct vpipe *p)
{
    size_t n = 0, most = SIZE_MAX;

    if (p->net->opts.segment_max > 0)
        most = 1 + (size_t)rng_below(&p->net->dice, p->net->opts.segment_max);
    LIST_EACH (node, &p->packets) {
        const struct packet *k = CONTAINER_OF(node, struct packet, node);

        if (k->kind != PACKET_DATA || !vpipe_has_arrived(p, k) || n >= most)
            break;
        n += k->to - k->from;
    }
    return n < most ? n : most;
}

void vpipe_read(struct vpipe *p, char *out, size_t n)
{
    while (n > 0) {
        struct packet *k = vpipe_first(p);
        size_t piece = n < k->to - k->from ? n : k->to - k->from;

        memcpy(out, k->bytes + k->from, piece);
        out += piece;
        n -= piece;
        k->from += piece;
        p->n -= piece;
        if (k->from == k->to)
            vpipe_drop_first(p);
    }
}

void vpipe_free_spare(struct vnet *v)
{
    struct list *node;

    while ((node = list_pop_front(&v->spare)) != NULL)
        mem_free(CONTAINER_OF(node, struct packet, node));
}
