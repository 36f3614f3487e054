/* SPDX-License-Identifier: MIT */
/* For the tests of real io: a real loop with a listener on a free loopback port and the sides of connections
 * to it. The loop runs in the test's own thread until a counter has reached what the test waits for; the
 * deadline is there only so that a broken loop fails a test instead of hanging it. */
#ifndef TESTS_UNIT_IO_REAL_KIT_H
#define TESTS_UNIT_IO_REAL_KIT_H

#include "io/real.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

#define PATIENCE_US (60 * CLOCK_SECOND_US)
#define PENDING_MAX ((size_t)8 * 1024 * 1024)

/* One side of a connection and what it saw. */
struct side {
    struct kit *kit;
    struct stream *s;
    struct side *next;   /* of the accepted ones */
    struct slice expect; /* p not NULL: what comes must be this, and is not hashed */
    bool differs;
    uint64_t hash; /* of every byte, in order */
    size_t got_n, datas_n, opens_n, drains_n, closes_n;
    enum err why;
    bool echo;
    bool let_go;         /* closes when the peer has */
    bool finish_on_data; /* sends the data back and ends */
    struct slice greet;  /* sent when it is accepted or open */
};

struct kit {
    struct loop *l;
    struct listener *ls;
    struct addr at;
    struct side model;     /* what an accepted side starts as */
    struct side *accepted; /* newest first */
    size_t accepts_n;
    bool pause_accepted;
    const size_t *watched; /* the run ends when it is at least `want` */
    size_t want;
    struct timer deadline;
    bool late;
};

static inline void kit_look(struct kit *k)
{
    if (k->watched != NULL && *k->watched >= k->want)
        loop_real_stop(k->l);
}

static inline void kit_on_deadline(struct timer *t)
{
    struct kit *k = CONTAINER_OF(t, struct kit, deadline);

    k->late = true;
    loop_real_stop(k->l);
}

/* -- sides ---------------------------------------------------------------------------------------------- */

static inline void side_opened(void *ud)
{
    struct side *x = ud;

    x->opens_n++;
    stream_send(x->s, x->greet);
    kit_look(x->kit);
}

static inline void side_note(struct side *x, struct slice bytes)
{
    if (x->expect.p != NULL)
        x->differs = x->differs || bytes.n > x->expect.n - x->got_n ||
                     memcmp(bytes.p, x->expect.p + x->got_n, bytes.n) != 0;
    for (size_t i = 0; i < bytes.n && x->expect.p == NULL; i++)
        x->hash = x->hash * 1099511628211U + (unsigned char)bytes.p[i];
    x->got_n += bytes.n;
    x->datas_n++;
}

static inline void side_data(void *ud, struct slice bytes)
{
    struct side *x = ud;

    side_note(x, bytes);
    if (x->echo || x->finish_on_data)
        stream_send(x->s, bytes);
    if (x->finish_on_data)
        stream_finish(&x->s);
    kit_look(x->kit);
}

static inline void side_drained(void *ud)
{
    struct side *x = ud;

    x->drains_n++;
    kit_look(x->kit);
}

static inline void side_closed(void *ud, enum err why)
{
    struct side *x = ud;

    x->closes_n++;
    x->why = why;
    if (x->let_go)
        stream_close(&x->s);
    kit_look(x->kit);
}

static const struct stream_cb SIDE_CB = {side_opened, side_data, side_drained, side_closed};

static inline void kit_on_accept(void *ud, struct stream *s, const struct addr *peer)
{
    struct kit *k = ud;
    struct side *x = MEM_NEW(struct side);

    CHECK(addr_is_loopback(peer) && (addr_port(peer) != 0 || addr_is_unix(peer)));
    *x = k->model;
    x->kit = k;
    x->s = s;
    x->next = k->accepted;
    k->accepted = x;
    k->accepts_n++;
    stream_set_cb(s, &SIDE_CB, x);
    stream_send(s, x->greet);
    if (k->pause_accepted)
        stream_pause(s);
    kit_look(k);
}

static inline void kit_connect(struct kit *k, struct side *x)
{
    x->kit = k;
    x->s = k->l->ops->connect(k->l, &k->at, PENDING_MAX);
    stream_set_cb(x->s, &SIDE_CB, x);
}

/* -- the loop ------------------------------------------------------------------------------------------- */

static inline void kit_init_with(struct kit *k, const struct real_opts *o)
{
    memset(k, 0, sizeof *k);
    k->l = loop_real_new(o);
    CHECK(k->l != NULL);
    timer_init(&k->deadline, kit_on_deadline);
    CHECK_INT(addr_parse(SLICE("127.0.0.1:0"), &k->at), ERR_OK);
    CHECK_INT(k->l->ops->listen(k->l, &k->at, kit_on_accept, k, &k->ls, &k->at), ERR_OK);
    CHECK(addr_port(&k->at) != 0);
}

static inline void kit_init(struct kit *k)
{
    kit_init_with(k, &(struct real_opts){.seed = 1, .pending_max = PENDING_MAX});
}

/* Runs turns until *watched >= want (NULL: never) or `patience_us` has passed. */
static inline void kit_run(struct kit *k, const size_t *watched, size_t want, int64_t patience_us)
{
    k->watched = watched;
    k->want = want;
    k->late = false;
    if (watched != NULL && *watched >= want)
        return;
    timer_set(&k->l->wheel, &k->deadline, clock_mono_us() + patience_us);
    loop_real_run(k->l);
    real_of(k->l)->stop = 0; /* to run again */
    timer_stop(&k->l->wheel, &k->deadline);
    k->watched = NULL;
}

/* Runs until the counter has come that far; whether it did. */
static inline bool kit_until(struct kit *k, const size_t *watched, size_t want)
{
    kit_run(k, watched, want, PATIENCE_US);
    return CHECK(!k->late);
}

/* Runs for that long whatever happens; how many turns that took. An idle loop needs a few: for the timer that
 * ends this, and on its way down the wheel. */
#define IDLE_TURNS_MAX 12
static inline uint64_t kit_rest(struct kit *k, int64_t us)
{
    uint64_t before = k->l->turns;

    kit_run(k, NULL, 0, us);
    return k->l->turns - before;
}

/* A connected side and the accepted one that belongs to it. */
static inline struct side *kit_pair(struct kit *k, struct side *x)
{
    size_t before = k->accepts_n;

    kit_connect(k, x);
    kit_until(k, &k->accepts_n, before + 1);
    kit_until(k, &x->opens_n, 1);
    return k->accepted;
}

/* A connected side that is paused before it is open, behind an accepted one that sends `bytes`. */
static inline struct side *pair_that_waits(struct kit *k, struct side *x, struct slice bytes)
{
    k->model.greet = bytes;
    kit_connect(k, x);
    stream_pause(x->s);
    kit_until(k, &k->accepts_n, k->accepts_n + 1);
    kit_until(k, &x->opens_n, 1);
    return k->accepted;
}

static inline void kit_fini(struct kit *k)
{
    while (k->accepted != NULL) {
        struct side *x = k->accepted;

        k->accepted = x->next;
        stream_close(&x->s);
        mem_free(x);
    }
    if (k->ls != NULL)
        k->l->ops->unlisten(&k->ls);
    loop_free(&k->l); /* asserts that no stream is left */
}

/* n bytes that are nowhere equal; the caller frees them. */
static inline struct slice noise(size_t n, uint64_t seed)
{
    char *p = mem_alloc(n);
    struct rng r;

    rng_seed(&r, seed);
    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t word = rng_u64(&r);

        memcpy(p + i, &word, n - i < sizeof word ? n - i : sizeof word);
    }
    return (struct slice){p, n};
}

static inline void noise_free(struct slice s)
{
    mem_free((void *)(uintptr_t)s.p);
}

static inline uint64_t hash_of(struct slice s)
{
    struct side x = {0};

    side_note(&x, s);
    return x.hash;
}

#endif
