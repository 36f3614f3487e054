/* SPDX-License-Identifier: MIT */
#include "gateway/judging.h"

#include "base/mem.h"
#include "gateway/discard.h"
#include "gateway/render.h"

#define BLOCK_BYTES 4096

struct judging *judging_new(const struct relay_opts *o, bool is_event)
{
    uint64_t short_n = mem_short_n();
    struct judging *j = MEM_NEW(struct judging);

    if (mem_short_n() != short_n)
        j->err = ERR_EXHAUSTED;
    j->is_event = is_event;
    j->answer = o->answer;
    j->include_usage = o->include_usage;
    arena_init(&j->arena, NULL, 0, BLOCK_BYTES);
    return j;
}

void judging_free(struct judging **jp)
{
    struct judging *j = *jp;

    *jp = NULL;
    if (j->w != NULL)
        discard(j->w, &j->text);
    buf_fini(&j->text);
    arena_fini(&j->arena);
    mem_free(j);
}

static void judge_event(struct judging *j)
{
    struct relay_opts o = {.include_usage = j->include_usage};
    struct slice data;

    j->err = sse_read(&j->text, &j->ev);
    if (j->err != ERR_OK || j->ev.data.p == NULL)
        return;
    answer_event(&j->answer, j->ev.data, NULL, &j->event);
    data = j->ev.data;
    if (j->event.kind == EVENT_PAYLOAD && relay_must_strip(&o, &j->event))
        data = answer_strip_usage(data, j->event.usage_behind, &j->arena);
    if (data.p != NULL)
        j->rendered = render_event(j->answer.surface, &j->ev, data, &j->arena);
}

static void judge_answer(struct judging *j)
{
    answer_body(&j->answer, buf_slice(&j->text), NULL, &j->verdict);
    if (j->verdict.err == ERR_UPSTREAM_ERROR)
        j->words = answer_error_text(buf_slice(&j->text), NULL, &j->arena, &j->param, &j->code);
}

void judging_work(struct judging *j)
{
    uint64_t short_n = mem_short_n(); /* of the helper's thread */

    if (j->err != ERR_OK) /* it came out of the reserve */
        return;
    if (j->is_event)
        judge_event(j);
    else
        judge_answer(j);
    if (mem_short_n() != short_n)
        j->err = ERR_EXHAUSTED;
}

static void on_work(struct task *t)
{
    judging_work(CONTAINER_OF(t, struct judging, task));
}

static void let_go(struct afterwards *a)
{
    struct judging *j = CONTAINER_OF(a, struct judging, afterwards);
    struct worker *w = j->w;

    judging_free(&j);
    w->readings_n--;
    worker_note_idle(w);
}

static void on_done(struct task *t)
{
    struct judging *j = CONTAINER_OF(t, struct judging, task);

    if (j->owner != NULL)
        j->done(j->owner, j);
    loop_defer(j->w->loop, &j->afterwards, let_go);
}

void judging_start(struct judging *j, struct worker *w, void *owner,
                   void (*done)(void *owner, struct judging *j))
{
    j->task = (struct task){.work = on_work, .done = on_done};
    j->w = w;
    j->owner = owner;
    j->done = done;
    w->readings_n++;
    loop_offload(w->loop, &j->task);
}

void judging_forget(struct judging **jp)
{
    struct judging *j = *jp;

    *jp = NULL;
    if (j != NULL)
        j->owner = NULL;
}
