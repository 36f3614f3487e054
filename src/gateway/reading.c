/* SPDX-License-Identifier: MIT */
/* Why a task and not a thread for each request: what may wait is bounded by the memory budget, and the
 * helpers are few, so that a flood of large bodies slows large bodies and nothing else. */
#include "gateway/reading.h"

#include "base/id.h"
#include "base/mem.h"
#include "gateway/discard.h"
#include "io/helpers.h"
#include "shared/storms.h"

#define BLOCK_BYTES 4096

struct reading {
    struct task task;
    struct exchange *ex; /* the worker's; NULL: it is over */
    struct worker *w;
    const struct surface *surface;
    struct buf body;
    struct arena arena; /* holds what was read */
    struct request request;
    struct request_fault fault;
    enum err err;
    uint64_t seed, hash; /* of the body: a hash that takes milliseconds is no work for a loop */
};

static void on_work(struct task *t)
{
    struct reading *r = CONTAINER_OF(t, struct reading, task);

    uint64_t short_n = mem_short_n(); /* of the helper's thread */

    r->err = request_parse_large(r->surface, buf_slice(&r->body), &r->arena, &r->request, &r->fault);
    if (r->err == ERR_OK)
        r->hash = id_hash(buf_slice(&r->body), r->seed);
    if (mem_short_n() != short_n) {
        r->err = ERR_EXHAUSTED;
        r->fault = (struct request_fault){NULL, NULL};
    }
}

/* Body and results go to the exchange. */
static void hand_over(struct reading *r)
{
    struct exchange *ex = r->ex;
    struct request_fault fault = {NULL, r->fault.param};

    ex->reading = NULL;
    ex->body = r->body;
    ex->body_hash = r->hash;
    buf_init(&r->body, 0, NULL);
    if (r->fault.why != NULL)
        fault.why = arena_strdup(ex->arena, r->fault.why);
    if (r->err == ERR_OK)
        request_move(&ex->request, &r->request, buf_slice(&ex->body), ex->arena);
    else
        ex->request = (struct request){.surface = r->surface, .n = 1};
    exchange_was_read(ex, r->err, &fault);
}

static void on_done(struct task *t)
{
    struct reading *r = CONTAINER_OF(t, struct reading, task);
    struct worker *w = r->w;

    if (r->ex != NULL)
        hand_over(r);
    discard(w, &r->body);
    arena_fini(&r->arena);
    mem_free(r);
    w->readings_n--;
    worker_note_idle(w);
}

void reading_start(struct exchange *ex, const struct surface *surface)
{
    struct reading *r = MEM_NEW(struct reading);

    r->task = (struct task){.work = on_work, .done = on_done};
    r->ex = ex;
    r->w = ex->w;
    r->surface = surface;
    r->seed = storms_seed(ex->desk->edition->storms);
    r->body = ex->body;
    buf_init(&ex->body, r->body.max, r->body.budget);
    arena_init(&r->arena, NULL, 0, BLOCK_BYTES);
    ex->reading = r;
    ex->w->readings_n++;
    loop_offload(ex->w->loop, &r->task);
}

void reading_forget(struct reading **rp)
{
    struct reading *r = *rp;

    *rp = NULL;
    if (r != NULL)
        r->ex = NULL;
}
