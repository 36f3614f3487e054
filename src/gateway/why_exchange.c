/* SPDX-License-Identifier: MIT */
/* Gathering what exchange and flight know, and finding them by their id. */
#include "gateway/why_exchange.h"

#include "base/assert.h"
#include "gateway/why_ring.h"
#include "gateway/why_text.h"

#define SHOWN_MAX 16 /* a client may use one id again and again */

void why_of_exchange(const struct exchange *ex, struct why_source *out)
{
    const struct config *cfg = desk_config(ex->desk);
    const struct config_model *model = ex->match.model >= 0 ? &cfg->models[ex->match.model] : NULL;
    const struct flight *flight = ex->subscriber.flight; /* NULL: it is over, or has not begun */
    const struct flight_facts *f = flight != NULL ? flight_facts(flight) : &ex->facts;
    int64_t age_us = ex->w->loop->now_us - ex->started_us;

    *out = (struct why_source){
        .facts = {.arrived_wall_us = ex->w->loop->wall_us - age_us,
                  .took_us = age_us,
                  .wait_us = flight != NULL ? flight_wait_us(flight) : ex->facts.wait_us,
                  .first_us = f->first_us > 0 ? f->first_us - ex->started_us : -1,
                  .deadline_us = ex->deadline_us > 0 ? ex->deadline_us - ex->started_us : -1,
                  .status = ex->status,
                  .calls_n = (uint16_t)f->calls_n,
                  .err = (uint8_t)ex->err,
                  .priority = (uint8_t)(ex->deadline_us > 0 ? ex->wishes.priority : PRIORITY_N),
                  .route = (uint8_t)ex->route->id,
                  .result = (uint8_t)(ex->state == EX_SETTLED ? ex->result : RESULT_N),
                  .stream = ex->request.stream},
        .id = ex->request_id,
        .key = ex->key != NULL ? slice_of(ex->key->name) : SLICE_NONE,
        .model = model != NULL ? model->name : SLICE_NONE,
        .why = flight != NULL ? flight_why(flight) : ex->why,
        .cfg = cfg,
        .target = model,
    };
}

static struct slice pack(const struct exchange *ex, struct arena *arena)
{
    char *bytes = arena_alloc(arena, WHY_RECORD_MAX);
    struct why_source s;

    why_of_exchange(ex, &s);
    return (struct slice){bytes, why_pack(&s, bytes)};
}

struct slice why_words(const struct exchange *ex)
{
    struct arena *turn = &ex->w->loop->turn;
    struct why_record r;
    struct slice words;
    struct buf out;

    if (!why_unpack(pack(ex, turn), &r))
        return SLICE_NONE;
    buf_init(&out, WHY_LINE_MAX * 2, NULL);
    words = why_line(&r, &out) == ERR_OK ? arena_dup(turn, buf_slice(&out)) : SLICE_NONE;
    buf_fini(&out);
    return words;
}

void why_keep(const struct exchange *ex)
{
    struct why_source s;

    if (ex->route->surface == SURFACE_N)
        return;
    why_of_exchange(ex, &s);
    why_rings_add(&ex->w->whys, &s);
}

/* -- for whoever asks ------------------------------------------------------------------------------------ */

struct shown {
    const struct worker *w;
    struct buf *out;
    size_t n;
};

static void show(void *ud, struct slice bytes)
{
    struct shown *a = ud;
    size_t before = a->out->n;
    struct why_record r;

    if (a->n == SHOWN_MAX || !why_unpack(bytes, &r))
        return;
    if ((a->n > 0 && buf_add(a->out, SLICE(",")) != ERR_OK) || why_json(&r, a->w->index, a->out) != ERR_OK)
        a->out->n = before; /* without the one for which there is no room */
    else
        a->n++;
}

size_t why_answer(const struct worker *w, struct slice id, struct buf *out)
{
    struct shown a = {w, out, 0};

    LIST_EACH (node, &w->exchanges) {
        const struct exchange *ex = CONTAINER_OF(node, struct exchange, node);

        if (slice_eq(ex->request_id, id) && ex->route->surface != SURFACE_N)
            show(&a, pack(ex, &w->loop->turn));
    }
    why_rings_find(&w->whys, id, show, &a);
    return a.n;
}
