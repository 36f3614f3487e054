/* SPDX-License-Identifier: MIT */
/* Asking all workers and waiting for them. A question stays until every message of it is home again, even if
 * nobody waits for the answer any more. */
#include "gateway/explain.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "gateway/app.h"
#include "gateway/control.h"
#include "gateway/pages.h"
#include "gateway/why_exchange.h"

#define ANSWER_BYTES_MAX (1024 * 1024) /* of one worker */
#define PAGE_BYTES_MAX (16 * 1024 * 1024)
#define ASKED_MAX 64 /* questions at a time; as many as connections (sides.c) */

/* What one worker is asked. */
struct question {
    struct message message;
    struct explain *x;
    struct worker *w;
    struct buf out; /* elements of a JSON array */
    size_t records_n;
    bool home;
};

struct explain {
    struct list node; /* in explains->asked */
    struct explains *all;
    struct conn *conn; /* NULL: nobody waits any more */
    struct timer patience;
    size_t away_n;
    char id[WHY_ID_MAX + 1];
    size_t questions_n;
    struct question questions[];
};

struct explains {
    struct app *app;
    struct loop *loop;
    struct list asked;
    size_t asked_n;
};

/* -- answering ------------------------------------------------------------------------------------------- */

static enum err write_page(const struct explain *x, size_t *records_n, struct buf *out)
{
    enum err e = buf_add(out, SLICE("{\"request_id\":"));

    if (e == ERR_OK)
        e = buf_add_json_string(out, slice_of(x->id));
    if (e == ERR_OK)
        e = buf_printf(out, ",\"silent_workers\":%zu,\"records\":[", x->away_n);
    for (size_t i = 0; i < x->questions_n && e == ERR_OK; i++) {
        const struct question *q = &x->questions[i];

        if (!q->home || q->records_n == 0)
            continue;
        if (*records_n > 0)
            e = buf_add(out, SLICE(","));
        if (e == ERR_OK)
            e = buf_add(out, buf_slice(&q->out));
        *records_n += q->records_n;
    }
    return e == ERR_OK ? buf_add(out, SLICE("]}\n")) : e;
}

static void respond(struct explain *x)
{
    struct conn *c = x->conn;
    size_t records_n = 0;
    struct buf out;
    enum err e;

    x->conn = NULL;
    timer_stop(&x->all->loop->wheel, &x->patience);
    if (c == NULL)
        return;
    buf_init(&out, PAGE_BYTES_MAX, NULL);
    e = write_page(x, &records_n, &out);
    if (e == ERR_OK && records_n > 0)
        pages_respond(c, 200, SLICE("application/json"), buf_slice(&out));
    else
        pages_refuse(c, e == ERR_OK ? ERR_REQUEST_UNKNOWN : ERR_INTERNAL);
    buf_fini(&out);
}

static void forget(struct explain *x)
{
    for (size_t i = 0; i < x->questions_n; i++)
        buf_fini(&x->questions[i].out);
    list_remove(&x->node);
    x->all->asked_n--;
    mem_free(x);
}

static void on_home(struct message *m)
{
    struct question *q = CONTAINER_OF(m, struct question, message);
    struct explain *x = q->x;

    q->home = true;
    if (--x->away_n > 0)
        return;
    respond(x);
    forget(x);
}

static void on_patience(struct timer *t)
{
    respond(CONTAINER_OF(t, struct explain, patience));
}

/* -- asking ---------------------------------------------------------------------------------------------- */

/* Thread: the worker's. */
static void on_asked(struct message *m)
{
    struct question *q = CONTAINER_OF(m, struct question, message);

    q->records_n = why_answer(q->w, slice_of(q->x->id), &q->out);
    message_init(&q->message, on_home);
    mailbox_send(&q->x->all->loop->mailbox, &q->message);
}

static struct explain *explain_new(struct explains *e, struct conn *c, struct slice id)
{
    const struct app *app = e->app;
    struct explain *x = mem_zalloc(sizeof *x + app->workers_n * sizeof x->questions[0]);

    x->all = e;
    x->conn = c;
    memcpy(x->id, id.p, id.n);
    timer_init(&x->patience, on_patience);
    x->questions_n = x->away_n = app->workers_n;
    for (size_t i = 0; i < app->workers_n; i++) {
        struct question *q = &x->questions[i];

        q->x = x;
        q->w = app->workers[i];
        buf_init(&q->out, ANSWER_BYTES_MAX, NULL);
        message_init(&q->message, on_asked);
    }
    list_init(&x->node);
    list_push_back(&e->asked, &x->node);
    e->asked_n++;
    return x;
}

struct explain *explain_ask(struct explains *e, struct conn *c, struct slice id)
{
    struct explain *x;

    e->loop = conn_loop(c);
    if (!id_is_safe(id) || e->app->workers_n == 0 || e->asked_n == ASKED_MAX) {
        pages_refuse(c, e->asked_n == ASKED_MAX ? ERR_EXHAUSTED : ERR_REQUEST_UNKNOWN);
        return NULL;
    }
    x = explain_new(e, c, id);
    timer_set(&e->loop->wheel, &x->patience, e->loop->now_us + EXPLAIN_PATIENCE_US);
    for (size_t i = 0; i < x->questions_n; i++)
        mailbox_send(&x->questions[i].w->loop->mailbox, &x->questions[i].message);
    return x;
}

void explain_gone(struct explain *x)
{
    x->conn = NULL;
    timer_stop(&x->all->loop->wheel, &x->patience);
}

struct explains *explains_new(struct app *app)
{
    struct explains *e = MEM_NEW(struct explains);

    e->app = app;
    list_init(&e->asked);
    return e;
}

void explains_free(struct explains **ep)
{
    struct explains *e = *ep;

    *ep = NULL;
    if (e == NULL)
        return;
    LIST_EACH_SAFE (node, next, &e->asked) {
        struct explain *x = CONTAINER_OF(node, struct explain, node);

        ASSERT(x->conn == NULL);
        timer_stop(&e->loop->wheel, &x->patience);
        for (size_t i = 0; i < x->questions_n; i++) {
            struct question *q = &x->questions[i];

            if (!q->home && !mailbox_withdraw(&q->w->loop->mailbox, &q->message))
                mailbox_withdraw(&e->loop->mailbox, &q->message);
        }
        forget(x);
    }
    mem_free(e);
}
