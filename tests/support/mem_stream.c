/* SPDX-License-Identifier: MIT */
/* The in-memory stream. Pieces that the owner pauses away are still delivered: a test that feeds a paused
 * stream plays bytes that had been read already. */
#include "support/mem_stream.h"

#include <sys/uio.h>

#include "base/assert.h"

#define OUT_MAX ((size_t)1 << 30)

static void flush(struct stream *s)
{
    struct mem_stream *m = (struct mem_stream *)s;
    struct iovec iov[64];
    size_t waited = s->pending.n, taken = 0, total, n;

    n = stream_gather(s, iov, COUNT_OF(iov), &total);
    if (n == 0)
        return;
    m->sends_n++;
    m->pieces_n += n;
    for (size_t i = 0; i < n; i++) {
        size_t take = iov[i].iov_len < m->room_n ? iov[i].iov_len : m->room_n;

        if (m->room_n != SIZE_MAX)
            m->room_n -= take;
        taken += take;
        ASSERT(buf_add(&m->out, (struct slice){iov[i].iov_base, take}) == ERR_OK);
    }
    if (stream_sent(s, taken) != ERR_OK) {
        stream_ended(s, ERR_TOO_LARGE);
        return;
    }
    if (waited > 0 && stream_pending(s) == 0)
        stream_drained(s);
}

static void pause_reading(struct stream *s, bool paused)
{
    ((struct mem_stream *)s)->paused = paused;
}

static void close_stream(struct stream *s, bool graceful)
{
    struct mem_stream *m = (struct mem_stream *)s;

    m->closed = !graceful;
    m->finished = graceful;
}

static const struct stream_ops STREAM_OPS = {flush, pause_reading, close_stream};

static void wake_nobody(struct loop *l)
{
    (void)l;
}

static const struct loop_ops LOOP_OPS = {.wake = wake_nobody};

void mem_loop_init(struct loop *l)
{
    loop_init(l, &LOOP_OPS, 1, INT64_C(1000000000), INT64_C(1795335330000000)); /* 2026-11-22T08:15:30Z */
}

void mem_loop_fini(struct loop *l)
{
    loop_fini(l);
}

void mem_stream_init(struct mem_stream *m, struct loop *l, size_t pending_max)
{
    memset(m, 0, sizeof *m);
    stream_init(&m->stream, l, &STREAM_OPS, pending_max);
    m->stream.open = true;
    m->room_n = SIZE_MAX;
    buf_init(&m->out, OUT_MAX, NULL);
}

void mem_stream_fini(struct mem_stream *m)
{
    chunks_fini(&m->stream.pending);
    buf_fini(&m->out);
}

/* What the peer did not take waits for room; a turn begins with asking again. */
static void begin(struct mem_stream *m, int64_t advance_us)
{
    struct loop *l = m->stream.loop;

    if (m->stream.pending.n > 0 && m->room_n > 0 && !m->closed)
        flush(&m->stream);
    loop_begin_turn(l, l->now_us + advance_us, l->wall_us + advance_us);
}

void mem_turn(struct mem_stream *m, int64_t advance_us, struct slice bytes)
{
    begin(m, advance_us);
    if (bytes.n > 0)
        stream_deliver(&m->stream, bytes);
    loop_end_turn(m->stream.loop);
}

void mem_turn_close(struct mem_stream *m, enum err why)
{
    begin(m, 0);
    stream_ended(&m->stream, why);
    loop_end_turn(m->stream.loop);
}

const char *mem_stream_text(struct mem_stream *m)
{
    ASSERT(buf_add(&m->out, (struct slice){"", 1}) == ERR_OK);
    m->out.n--;
    return m->out.p;
}

void mem_stream_forget(struct mem_stream *m)
{
    m->out.n = 0;
}
