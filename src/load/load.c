/* SPDX-License-Identifier: MIT */
/* The open loop: a timer for the next arrival, a line for those that the bound holds back. */
#include "load/load.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "load/shot.h"

#define JSON_POOL_BYTES (64 * 1024)
#define IDLE_US (30 * CLOCK_SECOND_US)

/* -- the end --------------------------------------------------------------------------------------------- */

static void on_done(struct timer *t)
{
    struct load *l = CONTAINER_OF(t, struct load, done);

    if (l->told || l->shots_n > 0)
        return;
    l->told = true;
    l->opts.on_done(l->opts.ud);
}

static struct shot *shot_of(struct list *n)
{
    return CONTAINER_OF(n, struct shot, node);
}

/* What it starts may end at once and look again: that is left to the loop here. */
void load_look(struct load *l)
{
    if (l->looking)
        return;
    l->looking = true;
    while (!l->stopped && l->calling_n < l->opts.connections && !list_empty(&l->waiting))
        shot_go_on(shot_of(l->waiting.next));
    l->looking = false;
    if (l->exhausted && l->shots_n == 0 && !l->told)
        timer_set(&l->loop->wheel, &l->done, 0); /* in the next turn: whoever ended it is still at work */
}

/* -- arrivals -------------------------------------------------------------------------------------------- */

/* Intended times lie on the ticks of the timer, or every request would be late by up to a tick. */
static int64_t intended_us(const struct load *l)
{
    int64_t at = clock_add(l->start_us, l->next.at_us);

    return (at + CLOCK_MS_US - 1) / CLOCK_MS_US * CLOCK_MS_US;
}

static void take_next(struct load *l)
{
    l->exhausted = !source_next(l->opts.source, &l->next);
}

static void wait_for_next(struct load *l)
{
    if (!l->exhausted)
        timer_set(&l->loop->wheel, &l->arrive, intended_us(l));
    load_look(l);
}

static void on_arrive(struct timer *t)
{
    struct load *l = CONTAINER_OF(t, struct load, arrive);

    while (!l->exhausted && intended_us(l) <= l->loop->now_us) {
        shot_arrive(l, &l->next, intended_us(l));
        take_next(l);
    }
    wait_for_next(l);
}

/* -- making it ------------------------------------------------------------------------------------------- */

static void add_header(struct header *h, size_t *n, struct slice name, const char *value)
{
    if (value != NULL)
        h[(*n)++] = (struct header){name, slice_of(value)};
}

static void make_headers(struct load *l, unsigned class_no)
{
    static const char *const COUNTS[LOAD_RETRIES_MAX + 1] = {"0", "1", "2"};
    const struct load_opts *o = &l->opts;

    for (unsigned i = 0; i <= LOAD_RETRIES_MAX; i++) {
        struct header *h = l->headers[class_no][i];
        size_t n = 0;

        add_header(h, &n, SLICE("Content-Type"), "application/json");
        add_header(h, &n, SLICE("User-Agent"), "tidegate-load");
        add_header(h, &n, SLICE("Authorization"), o->authorization[class_no]);
        if (class_no != SOURCE_NO_CLASS)
            add_header(h, &n, SLICE("x-tidegate-priority"), o->class_names[class_no]);
        if (o->sdk)
            add_header(h, &n, SLICE("x-stainless-retry-count"), COUNTS[i]);
        for (size_t k = 0; k < o->headers_n; k++)
            h[n++] = o->headers[k];
        l->headers_n[class_no] = n;
    }
}

struct load *load_new(struct loop *loop, const struct load_opts *o)
{
    struct load *l = MEM_NEW(struct load);
    struct pool_opts po = {
        .host = o->target.host,
        .port = o->target.port,
        .tls = o->target.tls,
        .connect_us = o->connect_us,
        .idle_us = IDLE_US,
        .idle_max = o->connections,
    };

    ASSERT(o->connections > 0 && o->headers_n <= LOAD_HEADERS_MAX);
    l->loop = loop;
    l->opts = *o;
    pool_init(&l->pool, loop, &po);
    l->prompts = MEM_NEW(struct prompts);
    prompts_init(l->prompts, &o->prompts);
    l->json = json_pool_new(JSON_POOL_BYTES);
    l->tally = tally_new();
    rng_seed(&l->dice, o->seed);
    for (unsigned i = 0; i <= SOURCE_NO_CLASS; i++)
        make_headers(l, i);
    list_init(&l->waiting);
    list_init(&l->others);
    timer_init(&l->arrive, on_arrive);
    timer_init(&l->done, on_done);
    l->start_us = loop->now_us;
    take_next(l);
    wait_for_next(l);
    return l;
}

static void cancel_all(struct list *shots)
{
    while (!list_empty(shots))
        shot_cancel(shot_of(shots->next));
}

void load_stop(struct load *l)
{
    l->exhausted = l->stopped = true;
    timer_stop(&l->loop->wheel, &l->arrive);
    cancel_all(&l->waiting);
    cancel_all(&l->others);
    load_look(l);
}

void load_free(struct load **lp)
{
    struct load *l = *lp;

    *lp = NULL;
    if (l == NULL)
        return;
    ASSERT(l->exhausted && l->shots_n == 0);
    timer_stop(&l->loop->wheel, &l->done);
    pool_fini(&l->pool);
    prompts_fini(l->prompts);
    mem_free(l->prompts);
    json_pool_free(&l->json);
    tally_free(&l->tally);
    mem_free(l);
}

struct tally *load_tally(struct load *l)
{
    return l->tally;
}

size_t load_in_flight(const struct load *l)
{
    return l->shots_n - l->waiting_n;
}

size_t load_waiting(const struct load *l)
{
    return l->waiting_n;
}

uint64_t load_connects(const struct load *l)
{
    return l->pool.host.attempts_n;
}

const char *load_pool_why(const struct load *l)
{
    return l->pool.why;
}
