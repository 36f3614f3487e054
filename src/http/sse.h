/* SPDX-License-Identifier: MIT */
/* Server-sent events, incrementally (WHATWG HTML 9.2): bytes in, whole events out. Handles LF, CRLF and CR,
 * a BOM, several data lines, comments, fields split anywhere, an unterminated tail (discarded at the end).
 *
 * Cost: an event that lies whole in the bytes given is shown as slices of them, nothing is copied. */
#ifndef HTTP_SSE_H
#define HTTP_SSE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct sse_event {
    struct slice
        raw; /* every byte of the event including its blank line, as received (line ends untouched) */
    struct slice data;  /* data lines joined with LF; p NULL: the event has no data line */
    struct slice event; /* event type, may be empty */
    struct slice id;    /* p NULL: none */
    bool plain;         /* raw is exactly "data: " + data + two line ends: one data line and nothing else */
};

struct sse {
    struct buf kept;  /* the unfinished event */
    size_t max_bytes; /* of one event */
    uint8_t bom_n;    /* bytes at the beginning of the stream that look like a BOM */
    bool started;     /* the BOM question is settled */
    size_t
        shown_max; /* a larger event that came in several reads is not shown, but left in `kept`: `whole` */
    bool whole;    /* until sse_take */
    struct slice rest; /* whole: of the bytes fed, those behind the event */
    bool skip_lf;      /* the last byte was the CR that ended an event: an LF that follows belongs to it */
    uint64_t comment_bytes; /* comments and blank lines seen outside events: somebody's keep-alives */
};

typedef enum err (*sse_cb)(void *ud,
                           const struct sse_event *ev); /* other than ERR_OK stops and is returned */

/* An event larger than max_bytes, or a comment between events, ends with ERR_TOO_LARGE. */
void sse_init(struct sse *s, size_t max_bytes, struct budget *budget);
void sse_fini(struct sse *s);
/* Slices in `ev` are valid during the callback, and those that point into `bytes` as long as these. Events
 * with neither data nor event nor id lines are counted, not shown; so are comments and blank lines before
 * an event, which are not part of it. Several data lines are joined in `kept`. When the CR that ends an
 * event is the last byte fed, the event is shown at once, and an LF that follows is dropped. A callback
 * that returns an error may free s. */
enum err sse_feed(struct sse *s, struct slice bytes, sse_cb cb, void *ud) __attribute__((warn_unused_result));
/* Takes the event that was too large to be shown (s->whole): the parser can go on with s->rest. */
void sse_take(struct sse *s, struct buf *out);
/* Reads the whole event that sse_take gave; *ev points into it. Several data lines are joined behind it. */
enum err sse_read(struct buf *whole, struct sse_event *ev) __attribute__((warn_unused_result));
/* What a whole event without data, event and id lines adds to the comments. */
size_t sse_comment_bytes(const struct sse_event *ev);
/* Bytes of an event that has not ended: > 0 at the end of the body is a truncation. */
size_t sse_unfinished(const struct sse *s);

#endif
