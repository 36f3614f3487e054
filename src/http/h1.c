/* SPDX-License-Identifier: MIT */
/* Reading the fields and bodies of HTTP/1.1 messages.
 *
 * Spans: llhttp shows a name or value in as many pieces as the network cut it into. Each piece is copied
 * behind the one before; as long as the arena's block has room that is the same place, so that nothing
 * moves.
 *
 * Bounds: the bytes given to llhttp while it reads a head are capped by what head_max still allows, which
 * also counts what never shows up in a span (blanks around a value). In a chunked body everything between
 * two pieces of content beyond an ordinary chunk's own size line counts against the same bound: extensions,
 * leading zeros, trailers.
 *
 * llhttp stops (HPE_PAUSED) at the end of the head and of the message, so that no callback of the owner of
 * a head runs inside it. */
#include "http/h1.h"

#include "base/assert.h"

#define HEADERS_FIRST 16
#define CHUNK_OVERHEAD_BYTES 20 /* CRLF behind content, 16 digits, CRLF */

/* -- spans ---------------------------------------------------------------------------------------------- */

void h1_text_add(struct h1_text *t, struct arena *arena, struct slice piece)
{
    if (piece.n == 0)
        return;
    if (piece.n > t->room_n - t->n) {
        char *more = arena_bytes(arena, piece.n);

        if (t->n == 0 || more != t->p + t->room_n) {
            /* Twice what is needed, so that a text that comes byte by byte does not move with every byte. */
            size_t room_n = t->n == 0 ? piece.n : 2 * (t->n + piece.n);
            char *moved = t->n == 0 ? more : arena_bytes(arena, room_n);

            if (t->n > 0)
                memcpy(moved, t->p, t->n);
            t->p = moved;
            t->room_n = room_n;
        } else {
            t->room_n += piece.n;
        }
    }
    memcpy(t->p + t->n, piece.p, piece.n);
    t->n += piece.n;
}

static int on_field(llhttp_t *parser, const char *at, size_t n)
{
    struct h1 *h = parser->data;

    if (h->phase == H1_HEAD)
        h1_text_add(&h->name, h->arena, (struct slice){at, n});
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t n)
{
    struct h1 *h = parser->data;

    if (h->phase == H1_HEAD)
        h1_text_add(&h->value, h->arena, (struct slice){at, n});
    return 0;
}

static bool grow_headers(struct h1 *h)
{
    size_t cap = h->headers_cap ? h->headers_cap * 2 : HEADERS_FIRST;
    struct header *more;

    if (h->headers_n == H1_HEADERS_MAX)
        return false;
    more = arena_alloc(h->arena, cap * sizeof *more);
    if (h->headers_n > 0)
        memcpy(more, h->headers, h->headers_n * sizeof *more);
    h->headers = more;
    h->headers_cap = cap;
    return true;
}

static int on_value_complete(llhttp_t *parser)
{
    struct h1 *h = parser->data;

    if (h->phase != H1_HEAD)
        return 0;
    if ((h->headers_n == h->headers_cap || h->headers_n == H1_HEADERS_MAX) && !grow_headers(h)) {
        h->err = ERR_HEAD_TOO_LARGE;
        return HPE_USER;
    }
    h->headers[h->headers_n++] = (struct header){
        .name = {h->name.p, h->name.n},
        .value = h->value.n > 0 ? slice_trim((struct slice){h->value.p, h->value.n}) : SLICE(""),
    };
    memset(&h->name, 0, sizeof h->name);
    memset(&h->value, 0, sizeof h->value);
    return 0;
}

/* -- the head ------------------------------------------------------------------------------------------- */

static int on_headers_complete(llhttp_t *parser)
{
    struct h1 *h = parser->data;

    parser->upgrade = 0; /* we never change protocols: RFC 9110 7.8 lets us ignore the wish */
    h->phase = H1_HEAD_DONE;
    return HPE_PAUSED;
}

static enum err error_of(const struct h1 *h, llhttp_errno_t e)
{
    if (h->err != ERR_OK)
        return h->err;
    switch (e) {
    case HPE_INVALID_METHOD:
        return ERR_METHOD_NOT_ALLOWED;
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
        return ERR_HTTP_VERSION;
    default:
        return ERR_BAD_REQUEST;
    }
}

static int on_body_span(llhttp_t *parser, const char *at, size_t n);
static int on_message_complete(llhttp_t *parser);

static const llhttp_settings_t SETTINGS = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body_span,
    .on_message_complete = on_message_complete,
};

void h1_init(struct h1 *h, llhttp_type_t type, struct arena *arena, size_t head_max)
{
    memset(h, 0, sizeof *h);
    llhttp_init(&h->parser, type, &SETTINGS);
    h->parser.data = h;
    h->arena = arena;
    h->head_max = head_max;
}

enum err h1_head(struct h1 *h, struct slice bytes, size_t *used)
{
    size_t room = h->head_max - h->head_n, n = bytes.n < room ? bytes.n : room;
    llhttp_errno_t e;

    ASSERT(h->phase == H1_HEAD);
    *used = 0;
    if (n == 0)
        return bytes.n == 0 ? ERR_OK : ERR_HEAD_TOO_LARGE;
    e = llhttp_execute(&h->parser, bytes.p, n);
    if (e != HPE_OK && h->phase != H1_HEAD_DONE)
        return error_of(h, e);
    *used = e == HPE_OK ? n : (size_t)(llhttp_get_error_pos(&h->parser) - bytes.p);
    h->head_n += *used;
    if (h->phase == H1_HEAD && n < bytes.n)
        return ERR_HEAD_TOO_LARGE;
    return ERR_OK;
}

static int64_t plain_number(struct slice s)
{
    uint64_t n;

    return s.n <= 18 && slice_to_u64(s, INT64_MAX, &n) ? (int64_t)n : -1;
}

struct h1_facts h1_facts(const struct h1 *h)
{
    struct h1_facts f = {.length = -1};

    for (size_t i = 0; i < h->headers_n; i++) {
        const struct header *x = &h->headers[i];

        if (x->name.n == 4 && slice_ieq(x->name, SLICE("host"))) {
            f.host_n++;
            f.host = x->value;
        } else if (x->name.n == 6 && slice_ieq(x->name, SLICE("expect"))) {
            f.expect = x->value;
        } else if (x->name.n == 14 && slice_ieq(x->name, SLICE("content-length"))) {
            f.length_n++;
            f.length = plain_number(x->value);
        } else if (x->name.n == 17 && slice_ieq(x->name, SLICE("transfer-encoding"))) {
            f.coding_n++;
            f.chunked = slice_ieq(x->value, SLICE("chunked"));
        }
    }
    return f;
}

enum err h1_begin_body(struct h1 *h, enum h1_framing framing, int64_t length)
{
    bool chunked = (h->parser.flags & F_CHUNKED) != 0;

    ASSERT(h->phase == H1_HEAD_DONE);
    if (framing != H1_NONE && chunked != (framing == H1_CHUNKED))
        return ERR_BAD_REQUEST;
    if (framing == H1_SIZED && h->parser.content_length != (uint64_t)length)
        return ERR_BAD_REQUEST;
    h->framing = framing;
    h->left = length;
    h->phase = framing == H1_NONE || (framing == H1_SIZED && length == 0) ? H1_DONE : H1_BODY;
    if (framing == H1_CHUNKED)
        llhttp_resume(&h->parser);
    return ERR_OK;
}

/* -- the body ------------------------------------------------------------------------------------------- */

/* What stood between two pieces of content, as far as it is more than a chunk needs. */
static size_t excess(const struct h1 *h, const char *to)
{
    size_t n = h->gap_n + (size_t)(to - h->mark);

    return n > CHUNK_OVERHEAD_BYTES ? n - CHUNK_OVERHEAD_BYTES : 0;
}

static int on_body_span(llhttp_t *parser, const char *at, size_t n)
{
    struct h1 *h = parser->data;

    h->head_n += excess(h, at);
    h->gap_n = 0;
    h->mark = at + n;
    if (h->head_n > h->head_max)
        h->err = ERR_HEAD_TOO_LARGE;
    else
        h->err = h->on_body(h->ud, (struct slice){at, n});
    return h->err == ERR_OK ? 0 : HPE_USER;
}

static int on_message_complete(llhttp_t *parser)
{
    struct h1 *h = parser->data;

    h->phase = H1_DONE;
    return HPE_PAUSED;
}

static enum err chunked_body(struct h1 *h, struct slice bytes, size_t *used)
{
    size_t read_n;
    llhttp_errno_t e;

    h->mark = bytes.p;
    e = llhttp_execute(&h->parser, bytes.p, bytes.n);
    if (h->err != ERR_OK)
        return h->err;
    read_n = e == HPE_OK ? bytes.n : (size_t)(llhttp_get_error_pos(&h->parser) - bytes.p);
    /* Before what is wrong behind it, which is not here yet when the bytes are cut. */
    if (h->head_n + excess(h, bytes.p + read_n) > h->head_max)
        return ERR_HEAD_TOO_LARGE;
    if (e != HPE_OK && h->phase != H1_DONE)
        return ERR_BAD_REQUEST;
    *used = read_n;
    h->gap_n += (size_t)(bytes.p + read_n - h->mark);
    return ERR_OK;
}

enum err h1_body(struct h1 *h, struct slice bytes, size_t *used, h1_body_cb on_body, void *ud)
{
    size_t n = bytes.n;

    ASSERT(h->phase == H1_BODY);
    *used = 0;
    if (n == 0)
        return ERR_OK;
    h->on_body = on_body;
    h->ud = ud;
    if (h->framing == H1_CHUNKED)
        return chunked_body(h, bytes, used);
    if (h->framing == H1_SIZED) {
        if ((int64_t)n >= h->left) {
            n = (size_t)h->left;
            h->phase = H1_DONE;
        }
        h->left -= (int64_t)n;
    }
    *used = n;
    return on_body(ud, (struct slice){bytes.p, n});
}
