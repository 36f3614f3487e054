/* SPDX-License-Identifier: MIT */
/* Virtual io: the clock, the scheduler, listeners and names; its streams are in virtual_stream.c.
 *
 * Why: a whole gateway with its simulator and clients runs in one thread, thousands of times faster than the
 * clock, and a seed repeats a run exactly. So nothing here may depend on real time or on where memory lies:
 * what is equal in time is ordered by when it was armed, and every free choice is a throw of the network's
 * dice.
 *
 * A step: fire the events that are due (they only make loops runnable), choose one runnable loop, run one
 * turn of it. When no loop is runnable the clock jumps to the next event or timer. Events sit in a binary
 * heap; loops are few and are scanned.
 *
 * The clock starts at one second: a time of zero means "not set" in more than one place, as it may on a real
 * machine. */
#include "io/virtual.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/virtual_net.h"

#define PIPE_BYTES_DEFAULT ((size_t)64 * 1024)
#define FIRST_PORT 20000

struct vname {
    struct list node;
    char *host;
    struct addr addr;
};

struct hole {
    struct list node;
    struct addr addr;
};

struct lookup {
    struct list node; /* in the loop's lookups, then in its answers */
    struct vloop *home;
    struct vevent event;
    struct addr addr;
    enum err result;
    lookup_cb cb;
    void *ud;
};

/* -- events ------------------------------------------------------------------------------------ */

static bool is_before(const struct vevent *a, const struct vevent *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void put_at(struct vnet *v, size_t i, struct vevent *e)
{
    v->heap[i] = e;
    e->place = i + 1;
}

/* Moves e from the hole at i to where it belongs. */
static void settle(struct vnet *v, size_t i, struct vevent *e)
{
    while (i > 0 && is_before(e, v->heap[(i - 1) / 2])) {
        put_at(v, i, v->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < v->heap_n && is_before(v->heap[child + 1], v->heap[child]))
            child++;
        if (child >= v->heap_n || !is_before(v->heap[child], e))
            break;
        put_at(v, i, v->heap[child]);
        i = child;
    }
    put_at(v, i, e);
}

void vnet_disarm(struct vnet *v, struct vevent *e)
{
    size_t i = e->place - 1;

    if (e->place == 0)
        return;
    e->place = 0;
    v->heap_n--;
    if (i < v->heap_n)
        settle(v, i, v->heap[v->heap_n]);
}

void vnet_arm(struct vnet *v, struct vevent *e, int64_t at_us)
{
    vnet_disarm(v, e);
    if (v->heap_n == v->heap_cap) {
        v->heap_cap = v->heap_cap > 0 ? v->heap_cap * 2 : 64;
        v->heap = mem_realloc(v->heap, v->heap_cap * sizeof *v->heap);
    }
    e->at_us = at_us > v->now_us ? at_us : v->now_us;
    e->order = v->armed_n++;
    v->heap_n++;
    settle(v, v->heap_n - 1, e);
}

/* -- listeners and names ----------------------------------------------------------------------- */

static bool is_any(const struct addr *a)
{
    struct addr any4, any6;

    addr_of_ip(SLICE("0.0.0.0"), addr_port(a), &any4);
    addr_of_ip(SLICE("::"), addr_port(a), &any6);
    return addr_eq(a, &any4) || addr_eq(a, &any6);
}

static bool takes(const struct listener *ls, const struct addr *to)
{
    return addr_eq(&ls->at, to) || (ls->at.ss.ss_family == to->ss.ss_family &&
                                    addr_port(&ls->at) == addr_port(to) && is_any(&ls->at));
}

struct listener *vnet_listener(struct vnet *v, const struct addr *to)
{
    struct listener *chosen = NULL;
    uint64_t n = 0;

    LIST_EACH (node, &v->listeners) {
        struct listener *ls = CONTAINER_OF(node, struct listener, node);

        if (takes(ls, to) && rng_below(&v->dice, ++n) == 0)
            chosen = ls;
    }
    return chosen;
}

/* Ports that nobody listens at, for listeners and for the client's side of connections. */
uint16_t vnet_free_port(struct vnet *v)
{
    for (;;) {
        bool taken = false;

        v->next_port = v->next_port == UINT16_MAX ? FIRST_PORT : (uint16_t)(v->next_port + 1);
        LIST_EACH (node, &v->listeners)
            taken |= addr_port(&CONTAINER_OF(node, struct listener, node)->at) == v->next_port;
        if (!taken)
            return v->next_port;
    }
}

static enum err listen_at(struct loop *l, const struct addr *at, accept_cb cb, void *ud,
                          struct listener **out, struct addr *bound)
{
    struct vloop *home = vloop_of(l);
    struct listener *ls = MEM_NEW(struct listener);

    ls->home = home;
    ls->at = *at;
    ls->cb = cb;
    ls->ud = ud;
    list_init(&ls->node);
    list_init(&ls->queue);
    if (addr_port(at) == 0)
        addr_set_port(&ls->at, vnet_free_port(home->net));
    list_push_back(&home->net->listeners, &ls->node);
    if (bound != NULL)
        *bound = ls->at;
    *out = ls;
    return ERR_OK;
}

static void free_listener(struct afterwards *a)
{
    mem_free(CONTAINER_OF(a, struct listener, afterwards));
}

static void unlisten(struct listener **lsp)
{
    struct listener *ls = *lsp;

    *lsp = NULL;
    if (ls == NULL)
        return;
    vend_drop_queue(ls);
    list_remove(&ls->node);
    loop_defer(&ls->home->loop, &ls->afterwards, free_listener);
}

void vnet_name(struct vnet *v, const char *host, const char *ip)
{
    struct vname *n = MEM_NEW(struct vname);

    ASSERT(addr_of_ip(slice_of(ip), 0, &n->addr));
    n->host = mem_strdup(host);
    list_init(&n->node);
    list_push_front(&v->names, &n->node); /* a newer entry hides an older one */
}

void vnet_blackhole(struct vnet *v, const struct addr *a, bool on)
{
    struct hole *h;

    LIST_EACH_SAFE (node, next, &v->holes) {
        h = CONTAINER_OF(node, struct hole, node);
        if (!addr_eq(&h->addr, a))
            continue;
        if (on)
            return;
        list_remove(node);
        mem_free(h);
    }
    if (!on)
        return;
    h = MEM_NEW(struct hole);
    h->addr = *a;
    list_init(&h->node);
    list_push_back(&v->holes, &h->node);
}

bool vnet_is_blackhole(const struct vnet *v, const struct addr *to)
{
    LIST_EACH (node, &v->holes) {
        if (addr_eq(&CONTAINER_OF(node, struct hole, node)->addr, to))
            return true;
    }
    return false;
}

static void on_answer(struct vevent *e)
{
    struct lookup *k = CONTAINER_OF(e, struct lookup, event);

    list_remove(&k->node);
    list_push_back(&k->home->answers, &k->node);
}

static enum err find_name(const struct vnet *v, const char *host, struct addr *out)
{
    if (addr_of_ip(slice_of(host), 0, out))
        return ERR_OK;
    LIST_EACH (node, &v->names) {
        const struct vname *n = CONTAINER_OF(node, struct vname, node);

        if (slice_ieq(slice_of(n->host), slice_of(host))) {
            *out = n->addr;
            return ERR_OK;
        }
    }
    return ERR_DNS;
}

static struct lookup *resolve(struct loop *l, const char *host, uint16_t port, lookup_cb cb, void *ud)
{
    struct lookup *k = MEM_NEW(struct lookup);
    struct vnet *v = vloop_of(l)->net;

    k->home = vloop_of(l);
    k->event.fire = on_answer;
    k->cb = cb;
    k->ud = ud;
    k->result = find_name(v, host, &k->addr);
    if (k->result == ERR_OK)
        addr_set_port(&k->addr, port);
    list_init(&k->node);
    list_push_back(&k->home->lookups, &k->node);
    vnet_arm(v, &k->event, clock_add(v->now_us, v->opts.latency_us));
    return k;
}

static void lookup_cancel(struct lookup **kp)
{
    struct lookup *k = *kp;

    *kp = NULL;
    if (k == NULL)
        return;
    vnet_disarm(k->home->net, &k->event);
    list_remove(&k->node);
    mem_free(k);
}

static void deliver_answers(struct vloop *l)
{
    struct list due, *node;

    list_init(&due);
    list_move(&due, &l->answers);
    while ((node = list_pop_front(&due)) != NULL) {
        struct lookup *k = CONTAINER_OF(node, struct lookup, node);
        struct lookup done = *k;

        mem_free(k);
        done.cb(done.ud, done.result, &done.addr, done.result == ERR_OK ? 1 : 0);
    }
}

/* -- loops ------------------------------------------------------------------------------------- */

static void wake(struct loop *l)
{
    vloop_of(l)->woken = true;
}

static void on_mail(void *ud)
{
    wake(ud);
}

static void free_loop(struct loop *l)
{
    struct vloop *vl = vloop_of(l);

    ASSERT(list_empty(&vl->lookups) && list_empty(&vl->answers));
    LIST_EACH (node, &vl->net->listeners)
        ASSERT(CONTAINER_OF(node, struct listener, node)->home != vl);
    loop_end_turn(l);
    vend_drop_all(vl);
    loop_fini(l);
    list_remove(&vl->node);
    mem_free(vl);
}

static const struct loop_ops VIRTUAL_OPS = {
    .connect = vend_connect,
    .listen = listen_at,
    .unlisten = unlisten,
    .resolve = resolve,
    .lookup_cancel = lookup_cancel,
    .offload = vtask_offload,
    .wake = wake,
    .free = free_loop,
};

struct loop *vnet_loop(struct vnet *v, struct budget *budget, size_t pending_max)
{
    struct vloop *vl = MEM_NEW(struct vloop);

    loop_init(&vl->loop, &VIRTUAL_OPS, rng_u64(&v->dice), v->now_us, vnet_wall_us(v));
    vl->loop.budget = budget;
    vl->loop.pending_max = pending_max;
    vl->loop.mailbox.wake = on_mail;
    vl->loop.mailbox.ud = &vl->loop;
    vl->net = v;
    list_init(&vl->node);
    list_init(&vl->ready);
    list_init(&vl->answers);
    list_init(&vl->lookups);
    list_init(&vl->ends);
    list_push_back(&v->loops, &vl->node);
    return &vl->loop;
}

struct vnet *vnet_new(const struct vnet_opts *o)
{
    struct vnet *v = MEM_NEW(struct vnet);

    v->opts = *o;
    if (v->opts.pipe_bytes == 0)
        v->opts.pipe_bytes = PIPE_BYTES_DEFAULT;
    v->opts.wall_us -= CLOCK_SECOND_US;
    v->now_us = CLOCK_SECOND_US;
    v->next_port = FIRST_PORT;
    rng_seed(&v->dice, o->seed);
    list_init(&v->loops);
    list_init(&v->listeners);
    list_init(&v->names);
    list_init(&v->holes);
    list_init(&v->spare);
    vnet_name(v, "localhost", "127.0.0.1");
    return v;
}

void vnet_free(struct vnet **vp)
{
    struct vnet *v = *vp;
    struct list *node;

    *vp = NULL;
    if (v == NULL)
        return;
    ASSERT(list_empty(&v->loops) && v->heap_n == 0);
    while ((node = list_pop_front(&v->names)) != NULL) {
        struct vname *n = CONTAINER_OF(node, struct vname, node);

        mem_free(n->host);
        mem_free(n);
    }
    while ((node = list_pop_front(&v->holes)) != NULL)
        mem_free(CONTAINER_OF(node, struct hole, node));
    vpipe_free_spare(v);
    mem_free(v->heap);
    mem_free(v);
}

/* -- the scheduler ----------------------------------------------------------------------------- */

static bool is_runnable(const struct vloop *l, int64_t now_us)
{
    return l->woken || !list_empty(&l->ready) || !list_empty(&l->answers) || !list_empty(&l->loop.dirty) ||
           !list_empty(&l->loop.afterwards) || wheel_next_us(&l->loop.wheel) <= now_us;
}

static void fire_due(struct vnet *v)
{
    while (v->heap_n > 0 && v->heap[0]->at_us <= v->now_us) {
        struct vevent *e = v->heap[0];

        vnet_disarm(v, e);
        e->fire(e);
    }
}

static struct vloop *choose(struct vnet *v)
{
    struct vloop *chosen = NULL;
    uint64_t n = 0;

    LIST_EACH (node, &v->loops) {
        struct vloop *l = CONTAINER_OF(node, struct vloop, node);

        if (is_runnable(l, v->now_us) && (++n == 1 || rng_below(&v->dice, n) == 0))
            chosen = l;
    }
    return chosen;
}

static int64_t next_us(const struct vnet *v)
{
    int64_t next = v->heap_n > 0 ? v->heap[0]->at_us : CLOCK_NEVER_US;

    LIST_EACH (node, &v->loops) {
        int64_t t = wheel_next_us(&CONTAINER_OF(node, struct vloop, node)->loop.wheel);

        if (t < next)
            next = t;
    }
    return next;
}

static void run_turn(struct vloop *l)
{
    struct vnet *v = l->net;

    l->woken = false;
    loop_begin_turn(&l->loop, v->now_us, vnet_wall_us(v));
    vend_turn(l);
    deliver_answers(l);
    loop_end_turn(&l->loop);
}

uint64_t vnet_run(struct vnet *v, int64_t until_us, const bool *stop)
{
    uint64_t turns = 0;

    while (stop == NULL || !*stop) {
        struct vloop *l;
        int64_t next;

        fire_due(v);
        l = choose(v);
        if (l != NULL) {
            run_turn(l);
            turns++;
            continue;
        }
        next = next_us(v);
        if (next == CLOCK_NEVER_US)
            break;
        if (next > until_us) {
            if (until_us > v->now_us)
                v->now_us = until_us;
            break;
        }
        v->now_us = next;
    }
    return turns;
}

int64_t vnet_now_us(const struct vnet *v)
{
    return v->now_us;
}

size_t vnet_streams(const struct vnet *v)
{
    return v->streams_n;
}
