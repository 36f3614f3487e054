/* SPDX-License-Identifier: MIT */
/* Answers whose bytes are written by hand: slowly, or with sizes that are wrong.
 *
 * A response that is to be played is composed whole, with a head and framing of its own, and says that the
 * connection ends with it. Each byte goes out in a turn of its own, so that it is a write of its own. */
#include <stdio.h>

#include "base/clock.h"
#include "sim/work_private.h"

#define PLAYED_MAX ((size_t)256 * 1024 * 1024)
#define SLOW_HEAD_US (10 * CLOCK_SECOND_US)

void work_send_chunk_wrong(struct sim_work *w, struct slice bytes, int by)
{
    conn_raw(w->conn,
             arena_printf(&w->sim->loop->turn, "%llx\r\n", (unsigned long long)((long long)bytes.n + by)));
    conn_raw(w->conn, bytes);
    conn_raw(w->conn, SLICE("\r\n"));
}

/* -- composing ------------------------------------------------------------------------------------------ */

static enum err add_chunk(struct sim_work *w, struct slice bytes)
{
    enum err e;

    if (bytes.n == 0)
        return ERR_OK; /* an empty chunk would be the end mark */
    e = buf_printf(&w->body, "%zx\r\n", bytes.n);
    if (e == ERR_OK)
        e = buf_add(&w->body, bytes);
    return e == ERR_OK ? buf_add(&w->body, SLICE("\r\n")) : e;
}

/* The events of a stream take memory of the turn; 64 KiB of them at a time would do as well. */
static enum err add_stream(struct sim_work *w)
{
    struct arena *turn = &w->sim->loop->turn;
    enum err e;

    w->form->prepare(&w->script, w->arena);
    e = add_chunk(w, w->form->first(&w->script, turn));
    for (uint32_t i = 0; e == ERR_OK && i < w->script.tokens_n; i++)
        e = add_chunk(w, w->form->token(&w->script, sim_script_take(&w->script), turn));
    if (e == ERR_OK)
        e = add_chunk(w, w->form->end(&w->script, true, turn));
    return e == ERR_OK ? buf_add(&w->body, SLICE("0\r\n\r\n")) : e;
}

static enum err add_head(struct sim_work *w, size_t length)
{
    struct slice id = sim_request_id(w->sim).value;
    char framing[64] = "Transfer-Encoding: chunked";

    if (!w->ask.stream)
        snprintf(framing, sizeof framing, "Content-Length: %zu", length);
    return buf_printf(&w->body,
                      "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nX-Request-Id: %.*s\r\n%s\r\nConnection: "
                      "close\r\n\r\n",
                      w->ask.stream ? "text/event-stream" : "application/json", SLICE_ARG(id), framing);
}

static enum err add_plain(struct sim_work *w, struct slice body, bool chunked)
{
    enum err e = chunked ? add_chunk(w, body) : buf_add(&w->body, body);

    return e == ERR_OK && chunked ? buf_add(&w->body, SLICE("0\r\n\r\n")) : e;
}

/* Only what is left of it where keep-alives have taken the head along. */
static enum err compose(struct sim_work *w)
{
    bool has_head = !conn_head_sent(w->conn);
    struct slice plain = SLICE_NONE;
    enum err e = ERR_OK;

    buf_init(&w->body, PLAYED_MAX, w->sim->opts.budget);
    if (!w->ask.stream)
        plain = w->form->plain(&w->script, 0, NULL, &w->sim->loop->turn);
    if (has_head)
        e = add_head(w, plain.n);
    w->slow_n = w->body.n;
    if (e == ERR_OK)
        e = w->ask.stream ? add_stream(w) : add_plain(w, plain, !has_head);
    return e;
}

/* -- playing -------------------------------------------------------------------------------------------- */

void work_play(struct sim_work *w)
{
    int64_t us = w->plan.fault_us;

    if (compose(w) != ERR_OK) {
        work_cut(w);
        return;
    }
    w->sim->stats.tokens_n += w->script.tokens_n;
    if (w->plan.fault == SIM_SLOW_HEAD) {
        w->step_us = (us >= 0 ? us : SLOW_HEAD_US) / (int64_t)w->slow_n;
    } else {
        w->slow_n = w->body.n;
        w->step_us = us >= 0 ? us : 0;
    }
    work_set_state(w, PLAYING);
    work_play_on(w);
}

void work_play_on(struct sim_work *w)
{
    struct loop *l = w->sim->loop;
    size_t left_n = w->body.n - w->played_n, n = w->played_n < w->slow_n ? 1 : left_n;
    char *copy;

    if (work_is_blocked(w))
        return;
    copy = arena_bytes(&l->turn, n);
    memcpy(copy, w->body.p + w->played_n, n);
    conn_raw(w->conn, (struct slice){copy, n});
    w->played_n += n;
    if (w->played_n == w->body.n) {
        w->sim->stats.answered_n++;
        w->sim->stats.cut_n--; /* work_cut counts it */
        work_cut(w);
        return;
    }
    w->due_us = clock_add(w->due_us, w->step_us);
    timer_set(&l->wheel, &w->timer, w->step_us > 0 ? w->due_us : 0);
}
