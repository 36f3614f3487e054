/* SPDX-License-Identifier: MIT */
/* Writing the access log.
 *
 * Lines are collected and written together, when 32 KiB have come or after FLUSH_US, so that a busy worker
 * pays few system calls for many lines. A reader that blocks (a full pipe) costs lines, not requests: nothing
 * waits for it (io/outlet.h), what it does not take is tried again every FLUSH_US, and past KEEP_BYTES
 * lines are dropped and counted in the next one that gets through. */
#include "gateway/access_log.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/app.h"
#include "io/outlet.h"

#define FLUSH_US (200 * CLOCK_MS_US)
#define FLUSH_BYTES (32 * 1024)
#define KEEP_BYTES (256 * 1024)
#define LAST_WAIT_MS 200 /* for the last lines of a program that ends */

struct access_log {
    struct loop *loop;
    int fd;
    struct buf lines;
    uint64_t lost_n;
    bool stuck; /* the last writing did not take everything */
    struct timer timer;
};

static void flush(struct access_log *a, int wait_ms)
{
    buf_drop_front(&a->lines, outlet_write(a->fd, buf_slice(&a->lines), wait_ms));
    a->stuck = a->lines.n > 0;
    if (a->stuck)
        timer_set(&a->loop->wheel, &a->timer, a->loop->now_us + FLUSH_US);
    else
        buf_fini(&a->lines);
}

static void on_timer(struct timer *t)
{
    flush(CONTAINER_OF(t, struct access_log, timer), 0);
}

struct access_log *access_log_new(struct loop *l, int fd)
{
    struct access_log *a = MEM_NEW(struct access_log);

    a->loop = l;
    a->fd = fd;
    buf_init(&a->lines, KEEP_BYTES, NULL);
    timer_init(&a->timer, on_timer);
    return a;
}

void access_log_free(struct access_log **ap)
{
    struct access_log *a = *ap;

    *ap = NULL;
    if (a == NULL)
        return;
    flush(a, LAST_WAIT_MS);
    timer_stop(&a->loop->wheel, &a->timer);
    buf_fini(&a->lines);
    mem_free(a);
}

/* -- one line: a writer into a fixed piece of memory, because a line's fields are all bounded ------------ */

struct line {
    char *p;
    size_t n, cap;
};

static void put(struct line *l, struct slice s)
{
    if (s.n > l->cap - l->n)
        s.n = l->cap - l->n;
    if (s.n > 0)
        memcpy(l->p + l->n, s.p, s.n);
    l->n += s.n;
}

static void put_number(struct line *l, struct slice name, int64_t v)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = v < 0 ? 0 : (uint64_t)v;

    do {
        *--at = (char)('0' + rest % 10);
    } while ((rest /= 10) > 0);
    put(l, name);
    put(l, (struct slice){at, (size_t)(digits + sizeof digits - at)});
}

/* Everything that is not plain printable ASCII becomes '?': names and paths need no more, and no line can be
 * forged. */
static void put_text(struct line *l, struct slice name, struct slice text, size_t max)
{
    size_t at;

    put(l, name);
    put(l, SLICE("\""));
    if (text.n > max)
        text.n = max;
    at = l->n;
    put(l, text);
    for (size_t i = at; i < l->n; i++) {
        char c = l->p[i];

        if (c < ' ' || c > '~' || c == '"' || c == '\\')
            l->p[i] = '?';
    }
    put(l, SLICE("\""));
}

static void put_who(struct line *l, const struct exchange *ex)
{
    char text[64], when[32];

    clock_format(ex->w->loop->wall_us, when);
    put_text(l, SLICE("{\"ts\":"), slice_of(when), 32);
    put_text(l, SLICE(",\"request_id\":"), ex->request_id, 128);
    addr_format(conn_peer(ex->conn), text, sizeof text);
    put_text(l, SLICE(",\"client\":"), slice_of(text), 64);
    if (ex->key != NULL)
        put_text(l, SLICE(",\"key\":"), slice_of(ex->key->name), 64);
    put_text(l, SLICE(",\"method\":"), ex->rq->method_text, 16);
    put_text(l, SLICE(",\"path\":"), ex->rq->path, 128);
}

static void put_flight(struct line *l, const struct exchange *ex)
{
    const struct config *cfg = desk_config(ex->desk);
    const struct flight_facts *f = &ex->facts;

    if (ex->match.model >= 0) {
        put_text(l, SLICE(",\"model\":"), cfg->models[ex->match.model].name, 128);
        put_text(l, SLICE(",\"asked\":"), ex->request.model, 128);
        put(l, ex->request.stream ? SLICE(",\"stream\":true") : SLICE(",\"stream\":false"));
    }
    if (f->endpoint >= 0)
        put_text(l, SLICE(",\"endpoint\":"), slice_of(cfg->endpoints[f->endpoint].name), 64);
    put_number(l, SLICE(",\"attempts\":"), f->calls_n);
    put_number(l, SLICE(",\"wait_ms\":"), f->wait_us / CLOCK_MS_US);
    if (f->first_us > 0)
        put_number(l, SLICE(",\"ttft_ms\":"), (f->first_us - ex->started_us) / CLOCK_MS_US);
    if (f->usage.known) {
        put_number(l, SLICE(",\"tokens_in\":"), f->usage.prompt_tokens);
        put_number(l, SLICE(",\"tokens_out\":"), f->usage.completion_tokens);
    }
}

void access_log_exchange(struct access_log *a, const struct exchange *ex)
{
    char memory[2048];
    struct line l = {memory, 0, sizeof memory - 2}; /* room for the end */

    if (a->fd < 0)
        return;
    put_who(&l, ex);
    put_number(&l, SLICE(",\"status\":"), ex->status);
    put_text(&l, SLICE(",\"result\":"), slice_of(stats_result_name(ex->result)), 16);
    if (ex->err != ERR_OK)
        put_text(&l, SLICE(",\"error\":"), slice_of(err_row(ex->err)->code), 48);
    if (ex->route->surface != SURFACE_N)
        put_flight(&l, ex);
    put_number(&l, SLICE(",\"bytes\":"), (int64_t)ex->bytes_out);
    put_number(&l, SLICE(",\"duration_ms\":"), (ex->w->loop->now_us - ex->started_us) / CLOCK_MS_US);
    if (a->lost_n > 0)
        put_number(&l, SLICE(",\"lines_lost_before\":"), (int64_t)a->lost_n);
    l.cap = sizeof memory;
    put(&l, SLICE("}\n"));
    if (buf_add(&a->lines, (struct slice){memory, l.n}) != ERR_OK) {
        a->lost_n++;
        return;
    }
    a->lost_n = 0;
    if (a->lines.n >= FLUSH_BYTES && !a->stuck)
        flush(a, 0);
    else if (!timer_is_set(&a->timer))
        timer_set(&a->loop->wheel, &a->timer, a->loop->now_us + FLUSH_US);
}
