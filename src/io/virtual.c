/* SPDX-License-Identifier: MIT */
/* Virtual io: the clock, the scheduler and listeners; its streams are in virtual_stream.c, names and
 * unreachable addresses in virtual_names.c.
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

/* -- listeners --------------------------------------------------------------------------------- */

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
    .mute = vmute_open,
    .unmute = vmute_close,
    .resolve = vnet_resolve,
    .lookup_cancel = vnet_lookup_cancel,
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
    list_init(&v->spare);
    vnet_init_names(v);
    return v;
}

void vnet_free(struct vnet **vp)
{
    struct vnet *v = *vp;

    *vp = NULL;
    if (v == NULL)
        return;
    ASSERT(list_empty(&v->loops) && v->heap_n == 0);
    vnet_forget_names(v);
    vpipe_free_spare(v);
    mem_free(v->heap);
    mem_free(v);
}

/* -- the scheduler ----------------------------------------------------------------------------- */

static bool is_runnable(const struct vloop *l, int64_t now_us)
{
    return l->woken || !mailbox_is_empty((struct mailbox *)(uintptr_t)&l->loop.mailbox) ||
           !list_empty(&l->ready) || !list_empty(&l->answers) || !list_empty(&l->loop.dirty) ||
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

    if (v->opts.on_turn != NULL)
        v->opts.on_turn(v->opts.on_turn_ud, &l->loop);
    l->woken = false;
    loop_begin_turn(&l->loop, v->now_us, vnet_wall_us(v));
    vend_turn(l);
    vnet_deliver_answers(l);
    loop_end_turn(&l->loop);
    stint_end(&l->loop.stint, v->now_us + l->drag_us);
    l->drag_us = 0;
    if (v->opts.on_turn != NULL)
        v->opts.on_turn(v->opts.on_turn_ud, NULL);
}

void vnet_drag(struct loop *l, int64_t us)
{
    vloop_of(l)->drag_us += us;
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

void vnet_step_wall(struct vnet *v, int64_t us)
{
    v->opts.wall_us += us;
}

void vnet_sleep(struct vnet *v, int64_t us)
{
    v->now_us += us;
}

int64_t vnet_now_us(const struct vnet *v)
{
    return v->now_us;
}

size_t vnet_streams(const struct vnet *v)
{
    return v->streams_n;
}
