/* SPDX-License-Identifier: MIT */
/* Letting connections in.
 *
 * The PROXY header is read here and not by a stream of its own: once it is over, a connection should cost
 * what every other one does. The bytes that came behind it are shown to whoever has the stream next. */
#include "gateway/door.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/proxy_header.h"
#include "io/tls.h"

#define TLS_HANDSHAKE_RECORD 0x16 /* the first byte of every TLS connection */

struct door {
    struct loop *loop;
    struct listener *listener;
    struct tls_config *certs;
    struct list incoming;
    bool proxy_protocol;
    const struct door_cb *cb;
    void *ud;
    char at[ADDR_TEXT_BYTES]; /* as the configuration writes it */
};

enum stage { STAGE_PROXY_HEADER, STAGE_FIRST_BYTE, STAGE_HANDSHAKE };

struct incoming {
    struct list node;
    struct door *door;
    struct stream *stream;
    struct addr peer;
    void *tag;
    enum stage stage;
    struct timer patience;
    struct afterwards afterwards;
    struct buf header; /* what has come of a PROXY header */
};

/* -- the end of one on its way in
 * ------------------------------------------------------------------------------- */

static void free_incoming(struct afterwards *a)
{
    mem_free(CONTAINER_OF(a, struct incoming, afterwards));
}

static void forget(struct incoming *a)
{
    struct loop *l = a->door->loop;

    timer_stop(&l->wheel, &a->patience);
    list_remove(&a->node);
    buf_fini(&a->header);
    loop_defer(l, &a->afterwards, free_incoming);
}

static void lose(struct incoming *a, enum door_loss why)
{
    struct door *d = a->door;
    char detail[160];

    snprintf(detail, sizeof detail, "%s", why == DOOR_HANDSHAKE ? tls_why(a->stream) : "");
    stream_close(&a->stream);
    forget(a);
    d->cb->lost(d->ud, &a->peer, a->tag, why, detail);
}

/* `bytes` were read already and are the owner's. */
static void let_in(struct incoming *a, bool astray, struct slice bytes)
{
    struct door *d = a->door;
    struct arrived in = {a->stream, a->peer, a->tag, astray};

    a->stream = NULL;
    forget(a);
    d->cb->enter(d->ud, &in);
    if (bytes.n > 0)
        stream_deliver(in.stream, bytes);
}

static void on_late(struct timer *t)
{
    lose(CONTAINER_OF(t, struct incoming, patience), DOOR_LATE);
}

/* -- TLS ------------------------------------------------------------------------------------------------- */

static void on_open(void *ud)
{
    let_in(ud, false, SLICE_NONE);
}

static void on_close(void *ud, enum err why)
{
    struct incoming *a = ud;
    enum door_loss loss = DOOR_LEFT;

    if (a->stage == STAGE_HANDSHAKE && why == ERR_TLS)
        loss = DOOR_HANDSHAKE;
    else if (a->stage == STAGE_PROXY_HEADER && a->header.n > 0)
        loss = DOOR_PROXY_HEADER;
    lose(a, loss);
}

static void on_data(void *ud, struct slice bytes);

static const struct stream_cb ARRIVAL_CB = {on_open, on_data, NULL, on_close};

static void shake_hands(struct incoming *a, struct slice bytes)
{
    struct door *d = a->door;
    struct stream *lower = a->stream;
    struct tls_config *certs = d->cb->certs(d->ud, d->at);

    a->stage = STAGE_HANDSHAKE;
    a->stream = tls_wrap(&a->stream, certs != NULL ? certs : d->certs, NULL);
    stream_set_cb(a->stream, &ARRIVAL_CB, a);
    stream_deliver(lower, bytes);
}

static void first_byte(struct incoming *a, struct slice bytes)
{
    if (bytes.p[0] == TLS_HANDSHAKE_RECORD)
        shake_hands(a, bytes);
    else
        let_in(a, true, bytes);
}

/* -- the PROXY header ------------------------------------------------------------------------------------ */

/* The client is known: may he have a connection? */
static bool admit(struct incoming *a)
{
    struct door *d = a->door;

    if (d->cb->admit(d->ud, &a->peer, &a->tag))
        return true;
    lose(a, DOOR_CROWDED);
    return false;
}

static void read_header(struct incoming *a, struct slice bytes)
{
    size_t before = a->header.n, room = PROXY_HEADER_MAX - before;
    struct slice piece = {bytes.p, bytes.n < room ? bytes.n : room};
    struct proxy_header h;
    enum proxy_verdict v;

    if (buf_add(&a->header, piece) != ERR_OK) {
        lose(a, DOOR_PROXY_HEADER);
        return;
    }
    v = proxy_header_parse(buf_slice(&a->header), &h);
    if (v == PROXY_MORE && a->header.n < PROXY_HEADER_MAX)
        return;
    if (v == PROXY_MORE || v == PROXY_MALFORMED) {
        lose(a, DOOR_PROXY_HEADER);
        return;
    }
    if (v == PROXY_ADDRESS)
        a->peer = h.from;
    if (!admit(a))
        return;
    bytes = slice_from(bytes, h.n - before);
    if (a->door->certs == NULL) {
        let_in(a, false, bytes);
        return;
    }
    a->stage = STAGE_FIRST_BYTE;
    if (bytes.n > 0)
        first_byte(a, bytes);
}

static void on_data(void *ud, struct slice bytes)
{
    struct incoming *a = ud;

    if (a->stage == STAGE_PROXY_HEADER)
        read_header(a, bytes);
    else
        first_byte(a, bytes);
}

/* -- accepting ------------------------------------------------------------------------------------------- */

static void begin_incoming(struct door *d, struct stream *s, const struct addr *peer)
{
    uint64_t short_n = mem_short_n();
    struct incoming *a = MEM_NEW(struct incoming);

    a->door = d;
    a->stream = s;
    a->peer = *peer;
    a->stage = d->proxy_protocol ? STAGE_PROXY_HEADER : STAGE_FIRST_BYTE;
    list_init(&a->node);
    list_push_back(&d->incoming, &a->node);
    buf_init(&a->header, PROXY_HEADER_MAX, d->loop->budget);
    timer_init(&a->patience, on_late);
    timer_set(&d->loop->wheel, &a->patience, clock_add(d->loop->now_us, d->cb->patience_us(d->ud)));
    stream_set_cb(s, &ARRIVAL_CB, a);
    if (mem_short_n() != short_n)
        lose(a, DOOR_FULL);
    else if (a->stage == STAGE_FIRST_BYTE)
        (void)admit(a);
}

static void on_accept(void *ud, struct stream *s, const struct addr *peer)
{
    struct door *d = ud;
    struct arrived in = {s, *peer, NULL, false};

    if (!d->cb->accept(d->ud)) {
        stream_close(&s);
        return;
    }
    if (d->proxy_protocol || d->certs != NULL) {
        begin_incoming(d, s, peer);
        return;
    }
    if (d->cb->admit(d->ud, peer, &in.tag)) {
        d->cb->enter(d->ud, &in);
        return;
    }
    stream_close(&s);
    d->cb->lost(d->ud, peer, NULL, DOOR_CROWDED, "");
}

struct door *door_open(struct loop *l, const struct door_opts *o, struct addr *bound)
{
    struct door *d = MEM_NEW(struct door);

    d->loop = l;
    d->certs = o->certs != NULL ? tls_config_ref(o->certs) : NULL;
    list_init(&d->incoming);
    d->proxy_protocol = o->listener->proxy_protocol;
    d->cb = o->cb;
    d->ud = o->ud;
    snprintf(d->at, sizeof d->at, "%s", o->listener->at);
    if (l->ops->listen(l, o->at, on_accept, d, &d->listener, bound) != ERR_OK)
        door_close(&d);
    return d;
}

void door_close(struct door **dp)
{
    struct door *d = *dp;

    *dp = NULL;
    if (d == NULL)
        return;
    d->loop->ops->unlisten(&d->listener);
    LIST_EACH_SAFE (n, next, &d->incoming)
        lose(CONTAINER_OF(n, struct incoming, node), DOOR_CLOSED);
    tls_config_free(&d->certs);
    mem_free(d);
}
