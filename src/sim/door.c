/* SPDX-License-Identifier: MIT */
/* Listening, refusing, being deaf, and handshakes that fail. */
#include "sim/door.h"

#include "base/clock.h"
#include "base/mem.h"
#include "io/tls.h"
#include "sim/inside.h"
#include "sim/timeline.h"

#define HELD_US (600 * CLOCK_SECOND_US)

/* A connection whose handshake is not to succeed. */
struct held {
    struct sim_door *door;
    struct stream *stream;
    struct list node;
    struct timer timer;
    struct afterwards afterwards;
    bool closes; /* upon the ClientHello */
};

/* -- which fault ---------------------------------------------------------------------------------------- */

static bool is_of(enum sim_fault f, enum sim_phase phase)
{
    return f != SIM_NONE && sim_fault_row(f)->phase == phase;
}

static enum sim_fault of_timeline(struct sim_door *d, enum sim_phase phase)
{
    const struct sim_timeline *t = d->sim->opts.timeline;

    for (size_t i = 0; t != NULL && i < t->rows_n; i++) {
        const struct sim_timeline_row *row = &t->rows[i];

        if (is_of(row->rule.early, phase) && sim_timeline_holds(row, sim_age_us(d->sim), d->name) &&
            (row->p >= 1 || rng_unit(&d->dice) < row->p))
            return row->rule.early;
    }
    return SIM_NONE;
}

static enum sim_fault draw(struct sim_door *d, enum sim_phase phase)
{
    enum sim_fault f = is_of(d->rule.early, phase) ? d->rule.early : of_timeline(d, phase);
    double u;

    if (f != SIM_NONE)
        return f;
    u = rng_unit(&d->dice);
    for (int i = SIM_NONE + 1; i < SIM_FAULT_N; i++) {
        if (!is_of((enum sim_fault)i, phase))
            continue;
        u -= d->sim->opts.fault_p[i];
        if (u < 0)
            return (enum sim_fault)i;
    }
    return SIM_NONE;
}

/* -- handshakes ----------------------------------------------------------------------------------------- */

static void free_held(struct afterwards *a)
{
    mem_free(CONTAINER_OF(a, struct held, afterwards));
}

static void let_go(struct held *h, bool graceful)
{
    struct sim *s = h->door->sim;

    timer_stop(&s->loop->wheel, &h->timer);
    list_remove(&h->node);
    if (graceful)
        stream_finish(&h->stream);
    else
        stream_close(&h->stream);
    s->stats.conns_n--;
    loop_defer(s->loop, &h->afterwards, free_held);
}

static void on_hello(void *ud, struct slice bytes)
{
    struct held *h = ud;

    (void)bytes;
    if (h->closes)
        let_go(h, true);
}

static void on_held_close(void *ud, enum err why)
{
    (void)why;
    let_go(ud, false);
}

static void on_held_time(struct timer *t)
{
    let_go(CONTAINER_OF(t, struct held, timer), false);
}

static void hold(struct sim_door *d, struct stream *stream, bool closes)
{
    static const struct stream_cb CB = {NULL, on_hello, NULL, on_held_close};
    struct held *h = MEM_NEW(struct held);

    h->door = d;
    h->stream = stream;
    h->closes = closes;
    list_init(&h->node);
    list_push_back(&d->held, &h->node);
    timer_init(&h->timer, on_held_time);
    timer_set(&d->sim->loop->wheel, &h->timer, clock_add(d->sim->loop->now_us, HELD_US));
    d->sim->stats.conns_n++;
    stream_set_cb(stream, &CB, h);
}

static void on_accept(void *ud, struct stream *stream, const struct addr *peer)
{
    struct sim_door *d = ud;
    enum sim_fault f = d->tls != NULL ? draw(d, SIM_PHASE_TLS) : SIM_NONE;
    struct tls_config *tls = f == SIM_TLS_WRONG && d->wrong != NULL ? d->wrong : d->tls;

    if (f != SIM_NONE)
        d->sim->stats.faults_n[f]++;
    if (f == SIM_TLS_HANG || f == SIM_TLS_CLOSE) {
        hold(d, stream, f == SIM_TLS_CLOSE);
        return;
    }
    if (tls != NULL)
        stream = tls_wrap(&stream, tls, NULL);
    sim_accept(d, &stream, peer);
}

/* -- listening and not ---------------------------------------------------------------------------------- */

static void stop_all(struct sim_door *d)
{
    d->sim->loop->ops->unlisten(&d->listener);
    d->sim->loop->ops->unmute(&d->mute);
}

/* The address is held meanwhile, so that nobody else gets it. */
static enum err turn_to(struct sim_door *d, enum sim_fault f)
{
    struct loop *l = d->sim->loop;
    struct mute *held = NULL;
    enum err e = l->ops->mute(l, &d->at, false, &held);

    if (e != ERR_OK)
        return e;
    stop_all(d);
    if (f == SIM_NONE)
        e = l->ops->listen(l, &d->at, on_accept, d, &d->listener, NULL);
    else
        e = l->ops->mute(l, &d->at, f == SIM_CONNECT_HANG, &d->mute);
    l->ops->unmute(&held);
    if (e == ERR_OK) {
        d->now = f;
        d->sim->stats.faults_n[f] += f != SIM_NONE;
    }
    return e;
}

static bool is_undecided(double p)
{
    return p > 0 && p < 1;
}

/* When another fault may hold: a row begins or ends, or the dice are thrown again. */
static int64_t next_look_us(const struct sim_door *d)
{
    const struct sim_opts *o = &d->sim->opts;
    int64_t age_us = sim_age_us(d->sim), next_us = CLOCK_NEVER_US;
    bool slices = is_undecided(o->fault_p[SIM_REFUSE]) || is_undecided(o->fault_p[SIM_CONNECT_HANG]);

    for (size_t i = 0; o->timeline != NULL && i < o->timeline->rows_n; i++) {
        const struct sim_timeline_row *row = &o->timeline->rows[i];
        int64_t edge_us = row->at_us > age_us ? row->at_us : row->until_us;

        if (!is_of(row->rule.early, SIM_PHASE_CONNECT))
            continue;
        if (edge_us > age_us && edge_us < next_us)
            next_us = edge_us;
        slices |= is_undecided(row->p) && sim_timeline_holds(row, age_us, d->name);
    }
    if (slices && age_us + SIM_SLICE_US < next_us)
        next_us = age_us + SIM_SLICE_US;
    return clock_add(next_us, d->sim->began_us);
}

/* What cannot be changed now (no descriptor is left) is tried again a slice later. */
static void look(struct sim_door *d)
{
    struct loop *l = d->sim->loop;
    enum sim_fault f = draw(d, SIM_PHASE_CONNECT);
    bool settled = f == d->now || turn_to(d, f) == ERR_OK;

    timer_set(&l->wheel, &d->timer, settled ? next_look_us(d) : clock_add(l->now_us, SIM_SLICE_US));
}

static void on_look(struct timer *t)
{
    look(CONTAINER_OF(t, struct sim_door, timer));
}

/* -- life ----------------------------------------------------------------------------------------------- */

enum err sim_door_open(struct sim *s, const struct addr *at, const struct sim_listen_opts *o,
                       struct sim_door **out)
{
    struct sim_door *d = MEM_NEW(struct sim_door);
    enum err e = ERR_OK;

    *out = d;
    d->sim = s;
    d->name = slice_of(o->name);
    d->tls = o->tls;
    d->wrong = o->wrong;
    d->at = *at;
    list_init(&d->held);
    timer_init(&d->timer, on_look);
    rng_seed(&d->dice, s->opts.seed + 0x646f6f72 + s->doors_n);
    if (o->rule != NULL && !sim_rule_parse(slice_of(o->rule), &d->rule))
        e = ERR_MALFORMED;
    if (is_of(d->rule.early, SIM_PHASE_TLS) && o->tls == NULL)
        e = ERR_MALFORMED;
    if (e == ERR_OK)
        e = s->loop->ops->listen(s->loop, at, on_accept, d, &d->listener, &d->at);
    if (e != ERR_OK)
        sim_door_close(out);
    else
        look(d);
    return e;
}

void sim_door_close(struct sim_door **dp)
{
    struct sim_door *d = *dp;

    *dp = NULL;
    if (d == NULL)
        return;
    timer_stop(&d->sim->loop->wheel, &d->timer);
    while (!list_empty(&d->held))
        let_go(CONTAINER_OF(d->held.next, struct held, node), false);
    stop_all(d);
    mem_free(d);
}
