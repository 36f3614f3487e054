/* SPDX-License-Identifier: MIT */
/* A task that outlives whoever had the buffer; the worker waits for it as for every other (readings_n). */
#include "gateway/discard.h"

#include "base/mem.h"
#include "base/shed.h"
#include "gateway/worker.h"
#include "io/helpers.h"

struct discarded {
    struct task task;
    struct worker *w;
    struct buf buf;
};

static void on_work(struct task *t)
{
    struct discarded *d = CONTAINER_OF(t, struct discarded, task);

    shed_pages(d->buf.p, d->buf.cap);
}

static void on_done(struct task *t)
{
    struct discarded *d = CONTAINER_OF(t, struct discarded, task);
    struct worker *w = d->w;

    buf_fini(&d->buf);
    mem_free(d);
    w->readings_n--;
    worker_note_idle(w);
}

void discard(struct worker *w, struct buf *b)
{
    struct discarded *d;

    if (b->cap < DISCARD_BYTES) {
        buf_fini(b);
        return;
    }
    d = MEM_NEW(struct discarded);
    d->task = (struct task){.work = on_work, .done = on_done};
    d->w = w;
    d->buf = *b;
    buf_init(b, b->max, b->budget);
    w->readings_n++;
    loop_offload(w->loop, &d->task);
}
