/* SPDX-License-Identifier: MIT */
/* What every stream does the same way: queueing a turn's output, keeping what did not go out, telling its
 * owner. */
#include "io/stream.h"

#include <sys/uio.h>

#include "base/assert.h"
#include "base/warm.h"
#include "io/loop.h"

struct stream_piece {
    struct stream_piece *next;
    struct slice bytes;
};

void stream_init(struct stream *s, struct loop *loop, const struct stream_ops *ops, size_t pending_max)
{
    memset(s, 0, sizeof *s);
    s->ops = ops;
    s->loop = loop;
    list_init(&s->dirty_node);
    chunks_init(&s->pending, pending_max, loop->budget);
    s->loop_bound = pending_max == loop->pending_max;
}

/* The one that is read from the kernel. */
static struct stream *lowest(struct stream *s)
{
    while (s->below != NULL)
        s = s->below;
    return s;
}

void stream_set_cb(struct stream *s, const struct stream_cb *cb, void *ud)
{
    struct stream *low = lowest(s);

    s->cb = cb;
    s->ud = ud;
    low->under_way = false;
    if (low->warm != NULL)
        low->warm->n = 0;
}

void stream_is_under_way(struct stream *s)
{
    lowest(s)->under_way = true;
}

void stream_touches(struct stream *s, const void *object, size_t from, size_t n)
{
    struct warm *w = lowest(s)->warm;

    if (w != NULL)
        warm_add(w, object, from, n);
}

#define OUTPUT_BYTES 256 /* of a stream with its implementation's part: what sending looks at */

void stream_leads_to(struct stream *s, const struct stream *other)
{
    for (; other != NULL; other = other->below)
        stream_touches(s, other, 0, OUTPUT_BYTES);
}

void stream_send(struct stream *s, struct slice bytes)
{
    struct stream_piece *tail = s->out_tail, *piece;

    if (bytes.n == 0 || s->closed || s->ended)
        return;
    s->out_n += bytes.n;
    if (tail != NULL && tail->bytes.p + tail->bytes.n == bytes.p) {
        tail->bytes.n += bytes.n;
        return;
    }
    piece = arena_alloc(&s->loop->turn, sizeof *piece);
    *piece = (struct stream_piece){NULL, bytes};
    if (tail != NULL)
        tail->next = piece;
    else
        s->out_head = piece;
    s->out_tail = piece;
    if (list_empty(&s->dirty_node))
        list_push_back(&s->loop->dirty, &s->dirty_node);
}

size_t stream_pending(const struct stream *s)
{
    return s->out_n + s->pending.n + (s->below != NULL ? stream_pending(s->below) : 0);
}

void stream_pause(struct stream *s)
{
    if (s->paused || s->closed)
        return;
    s->paused = true;
    if (!s->ended)
        s->ops->pause(s, true);
}

void stream_resume(struct stream *s)
{
    if (!s->paused || s->closed)
        return;
    s->paused = false;
    if (!s->ended)
        s->ops->pause(s, false);
}

static void detach(struct stream *s)
{
    s->closed = true;
    s->cb = NULL;
    s->ud = NULL;
}

void stream_close(struct stream **sp)
{
    struct stream *s = *sp;

    *sp = NULL;
    if (s == NULL)
        return;
    ASSERT(!s->closed);
    list_remove(&s->dirty_node);
    s->out_head = s->out_tail = NULL;
    s->out_n = 0;
    detach(s);
    s->ops->close(s, false);
}

void stream_reset(struct stream **sp)
{
    if (*sp != NULL)
        (*sp)->reset = true;
    stream_close(sp);
}

void stream_finish(struct stream **sp)
{
    struct stream *s = *sp;

    if (s == NULL || s->ended || !s->open) {
        stream_close(sp);
        return;
    }
    *sp = NULL;
    ASSERT(!s->closed);
    detach(s);
    s->ops->close(s, true);
}

size_t stream_gather(struct stream *s, struct iovec *iov, size_t max, size_t *total)
{
    size_t n = chunks_peek(&s->pending, iov, max), bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += iov[i].iov_len;
    if (bytes == s->pending.n) { /* this turn's output only behind everything that waits */
        for (struct stream_piece *p = s->out_head; p != NULL && n < max; p = p->next) {
            iov[n++] = (struct iovec){(void *)(uintptr_t)p->bytes.p, p->bytes.n};
            bytes += p->bytes.n;
        }
    }
    *total = bytes;
    return n;
}

enum err stream_sent(struct stream *s, size_t n)
{
    struct stream_piece *p = s->out_head;
    size_t from_pending = n < s->pending.n ? n : s->pending.n;
    enum err e = ERR_OK;

    if (s->loop_bound && s->pending.max < s->loop->pending_max)
        s->pending.max = s->loop->pending_max;
    chunks_drop(&s->pending, from_pending);
    n -= from_pending;
    for (; p != NULL && e == ERR_OK; p = p->next) {
        size_t cut = n < p->bytes.n ? n : p->bytes.n;

        n -= cut;
        if (cut < p->bytes.n)
            e = chunks_add(&s->pending, slice_from(p->bytes, cut));
    }
    s->out_head = s->out_tail = NULL;
    s->out_n = 0;
    return e;
}

void stream_deliver(struct stream *s, struct slice bytes)
{
    s->loop->spent.events += s->under_way;
    if (!s->closed && !s->ended && s->cb->on_data != NULL)
        s->cb->on_data(s->ud, bytes);
}

void stream_opened(struct stream *s)
{
    s->open = true;
    if (!s->closed && s->cb->on_open != NULL)
        s->cb->on_open(s->ud);
}

void stream_drained(struct stream *s)
{
    if (!s->closed && !s->ended && s->cb->on_drain != NULL)
        s->cb->on_drain(s->ud);
}

void stream_ended(struct stream *s, enum err why)
{
    if (s->closed || s->ended)
        return;
    s->ended = true;
    list_remove(&s->dirty_node);
    s->out_head = s->out_tail = NULL;
    s->out_n = 0;
    if (s->cb->on_close != NULL)
        s->cb->on_close(s->ud, why);
}
