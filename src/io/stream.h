/* SPDX-License-Identifier: MIT */
/* A byte stream with back-pressure: TCP, TLS over TCP, or in memory (virtual io).
 *
 * Two-phase: what the kernel had for a whole batch of streams is read first, then on_data runs for each, then
 * everything queued by stream_send goes out (cost.md: saves 0.5 to 0.8 us an event). So:
 *
 * Lifetime of bytes: what on_data shows, and what loop_scratch returns, stays valid until the end of the
 * turn; so does what is given to stream_send (or it is static). What the kernel does not take is copied,
 * bounded by `pending_max`.
 *
 * Ownership: a stream belongs to whoever opened or accepted it until stream_close or stream_finish, which
 * null the caller's pointer; no callback comes after that. The memory goes at the end of the turn, so closing
 * inside any callback is safe.
 *
 * Threads: everything on the loop's thread. */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/chunks.h"
#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "io/timer.h"

struct acks_record;
struct warm;
struct loop;
struct stream;

struct stream_cb {
    void (*on_open)(void *ud); /* a stream that was being opened is ready (never for accepted ones) */
    void (*on_data)(void *ud, struct slice bytes);
    void (*on_drain)(void *ud); /* pending output has fallen to nothing after stream_pending was > 0 */
    void (*on_close)(void *ud, enum err why); /* once: ERR_EOF, ERR_RESET, ERR_REFUSED, ERR_TLS, ERR_SYSTEM,
                                                 ...; the owner still has to call stream_close */
};

struct stream_piece; /* queued output of this turn */

/* The implementation's side of the seam. */
struct stream_ops {
    void (*flush)(struct stream *s); /* send what is queued; called once per turn for a dirty stream */
    void (*pause)(struct stream *s, bool paused); /* stop or go on reading */
    void (*close)(struct stream *s, bool graceful);
};

struct stream {
    const struct stream_ops *ops;
    struct loop *loop;
    const struct stream_cb *cb;
    void *ud;
    struct list dirty_node;                   /* in loop->dirty while output is queued */
    struct stream_piece *out_head, *out_tail; /* this turn's output, in the turn's memory */
    size_t out_n;
    struct chunks pending;    /* what did not go out */
    struct acks_record *acks; /* TCP to an endpoint: may acknowledgements wait (io/acks.h)? NULL: no */
    struct warm *warm;        /* what its next bytes will touch (base/warm.h); NULL: not fetched ahead */
    struct stream *below;     /* what carries this one (TLS over TCP): its pending output is ours too */
    bool open, closed, paused, draining, ended; /* ended: on_close was delivered */
    bool reset;                                 /* closed by stream_reset */
    bool under_way;  /* its next bytes may wait for a rest of the loop (io/moderation.h) */
    bool loop_bound; /* opened with the loop's pending_max: when a reload raises that, this one follows */
};

void stream_init(struct stream *s, struct loop *loop, const struct stream_ops *ops, size_t pending_max);

void stream_set_cb(struct stream *s, const struct stream_cb *cb, void *ud);
/* Until its callbacks are set anew: its next bytes will touch these of an object (base/warm.h). */
void stream_touches(struct stream *s, const void *object, size_t from, size_t n);
/* ... and lead to output on that stream. */
void stream_leads_to(struct stream *s, const struct stream *other);
/* Until its callbacks are set anew: it brings one event after the other, and 0.3 ms are nothing
 * to them (io/moderation.h). */
void stream_is_under_way(struct stream *s);
/* Queues bytes (see lifetime above). Small pieces that follow each other in memory are joined. */
void stream_send(struct stream *s, struct slice bytes);
/* Bytes that are queued or wait in user memory: back-pressure is when this stays above zero. */
size_t stream_pending(const struct stream *s);
/* Whether some of them were queued in this turn, so that the kernel has not been asked to take them yet. */
static inline bool stream_is_dirty(const struct stream *s)
{
    return s->out_n > 0;
}
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* Drops everything at once: queued output is lost, the peer sees a reset if it still sends. */
void stream_close(struct stream **s);
/* The same, and the peer sees a reset whatever it does, never an orderly end: for what must not be taken for
 * whole and has no other mark. */
void stream_reset(struct stream **s);
/* Sends what is queued, then ends the stream and waits, bounded, until the peer has seen it. */
void stream_finish(struct stream **s);

/* For implementations: takes the queued pieces (at most `max`) as iovecs; stream_sent says how many bytes
 * went out (the rest is copied to pending; ERR when that is past its bound: the stream then ends with
 * ERR_TOO_LARGE). */
struct iovec;
size_t stream_gather(struct stream *s, struct iovec *iov, size_t max, size_t *total);
enum err stream_sent(struct stream *s, size_t n);
/* For implementations: delivers a callback unless the stream is closed. */
void stream_deliver(struct stream *s, struct slice bytes);
void stream_opened(struct stream *s);
void stream_drained(struct stream *s);
void stream_ended(struct stream *s, enum err why);

#endif
