/* SPDX-License-Identifier: MIT */
/* Cutting server-sent events out of a byte stream.
 *
 *     : comment LF   data: x LF LF   LF   event: y LF data: z | LF LF
 *     skipped        an event        skipped   kept           ^ end of the bytes fed
 *
 * Empty lines and comments between events are skipped as they come, so a provider that says nothing else
 * for an hour costs no memory. What begins with any other line is an event up to its empty line; when the
 * bytes end before that, they are kept, and every byte is searched once. LF is looked for first, CR only in
 * what stands before it: streams that use CR are rare, but must not cost more than linear time either. */
#include "http/sse.h"

#include "base/assert.h"

/* A search for line ends that never looks at a byte twice. */
struct search {
    const char *end; /* of the bytes */
    const char *lf;  /* the first LF not before the last place asked about, `end` if there is none */
};

static struct search search_of(struct slice bytes)
{
    return (struct search){bytes.p + bytes.n, NULL};
}

/* The first CR or LF at or behind `at`; NULL: none. */
static const char *line_end(struct search *f, const char *at)
{
    const char *cr;

    if (f->lf == NULL || f->lf < at) {
        f->lf = memchr(at, '\n', (size_t)(f->end - at));
        if (f->lf == NULL)
            f->lf = f->end;
    }
    cr = memchr(at, '\r', (size_t)(f->lf - at));
    if (cr != NULL)
        return cr;
    return f->lf < f->end ? f->lf : NULL;
}

static bool is_eol(char c)
{
    return c == '\n' || c == '\r';
}

void sse_init(struct sse *s, size_t max_bytes, struct budget *budget)
{
    *s = (struct sse){.max_bytes = max_bytes, .shown_max = SIZE_MAX};
    /* Twice: the data lines of an event that was kept are joined behind it. */
    buf_init(&s->kept, 2 * max_bytes, budget);
}

void sse_fini(struct sse *s)
{
    buf_fini(&s->kept);
}

size_t sse_unfinished(const struct sse *s)
{
    return s->kept.n + (s->started ? 0 : s->bom_n);
}

/* -- one event ------------------------------------------------------------------------------------------ */

/* Takes the first line off *rest, without its end. */
static struct slice take_line(struct slice *rest, struct search *f)
{
    const char *e = line_end(f, rest->p);
    struct slice line;

    ASSERT(e != NULL);
    line = (struct slice){rest->p, (size_t)(e - rest->p)};
    *rest = slice_from(*rest, line.n + 1);
    if (*e == '\r' && rest->n > 0 && rest->p[0] == '\n')
        *rest = slice_from(*rest, 1);
    return line;
}

static struct slice take_value(struct slice line, struct slice *name)
{
    struct slice value;

    *name = slice_cut(line, ':', &value);
    if (value.p == NULL)
        return (struct slice){line.p + line.n, 0}; /* a field without a colon is empty */
    return value.n > 0 && value.p[0] == ' ' ? slice_from(value, 1) : value;
}

/* Fills in *ev from ev->raw; *data_n: number of data lines, of which ev->data is the last. */
static void read_fields(struct sse_event *ev, size_t *data_n, size_t *data_bytes)
{
    struct slice rest = ev->raw;
    struct search f = search_of(rest);
    size_t lines = 0;

    *data_n = *data_bytes = 0;
    for (;; lines++) {
        struct slice line = take_line(&rest, &f), name, value;

        if (line.n == 0)
            break;
        value = take_value(line, &name);
        if (slice_eq(name, SLICE("data"))) {
            ev->data = value;
            ++*data_n;
            *data_bytes += value.n + 1;
        } else if (slice_eq(name, SLICE("event"))) {
            ev->event = value;
        } else if (slice_eq(name, SLICE("id")) && (value.n == 0 || memchr(value.p, 0, value.n) == NULL)) {
            ev->id = value;
        }
    }
    ev->plain = lines == 1 && slice_starts(ev->raw, SLICE("data: "));
}

/* Joins the data lines of ev->raw with LF behind what `kept` holds. */
static enum err join_data(struct buf *kept, struct sse_event *ev, size_t data_bytes)
{
    size_t start = kept->n;
    bool inside = start > 0; /* raw is `kept` itself, which may move */
    ptrdiff_t event = inside && ev->event.p != NULL ? ev->event.p - ev->raw.p : -1;
    ptrdiff_t id = inside && ev->id.p != NULL ? ev->id.p - ev->raw.p : -1;
    enum err e = buf_reserve(kept, data_bytes);
    struct slice rest;
    struct search f;
    char *at;

    if (e != ERR_OK)
        return e;
    if (inside)
        ev->raw.p = kept->p;
    if (event >= 0)
        ev->event.p = ev->raw.p + event;
    if (id >= 0)
        ev->id.p = ev->raw.p + id;
    rest = ev->raw;
    f = search_of(rest);
    at = kept->p + start;
    for (;;) {
        struct slice line = take_line(&rest, &f), name, value;

        if (line.n == 0)
            break;
        value = take_value(line, &name);
        if (!slice_eq(name, SLICE("data")))
            continue;
        if (value.n > 0)
            memcpy(at, value.p, value.n);
        at += value.n;
        *at++ = '\n';
    }
    ev->data = (struct slice){kept->p + start, data_bytes - 1};
    return ERR_OK;
}

/* ev->raw: a whole event. It is in `kept` or `kept` is empty. */
static enum err read_event(struct buf *kept, struct sse_event *ev)
{
    size_t data_n, data_bytes;

    read_fields(ev, &data_n, &data_bytes);
    return data_n > 1 ? join_data(kept, ev, data_bytes) : ERR_OK;
}

enum err sse_read(struct buf *whole, struct sse_event *ev)
{
    *ev = (struct sse_event){.raw = buf_slice(whole)};
    return read_event(whole, ev);
}

size_t sse_comment_bytes(const struct sse_event *ev)
{
    if (ev->data.p != NULL || ev->event.p != NULL || ev->id.p != NULL)
        return 0;
    /* The LF of a last CRLF may come later and is then dropped: it never counts. */
    return ev->raw.n - slice_ends(ev->raw, SLICE("\r\n"));
}

static enum err show(struct sse *s, struct slice raw, sse_cb cb, void *ud)
{
    struct sse_event ev = {.raw = raw};
    size_t comment_bytes;
    enum err e;

    if (raw.n > s->max_bytes)
        return ERR_TOO_LARGE;
    e = read_event(&s->kept, &ev);
    if (e != ERR_OK)
        return e;
    s->kept.n = 0; /* its bytes stay where they are until something else is kept */
    comment_bytes = sse_comment_bytes(&ev);
    s->comment_bytes += comment_bytes;
    return comment_bytes > 0 ? ERR_OK : cb(ud, &ev);
}

void sse_take(struct sse *s, struct buf *out)
{
    ASSERT(s->whole);
    s->whole = false;
    *out = s->kept;
    buf_init(&s->kept, out->max, out->budget);
}

/* -- the stream of bytes -------------------------------------------------------------------------------- */

/* How many of the bytes belong to the event they go on with (or begin), up to and with its empty line; 0:
 * it does not end here. `before` is the byte before them, 0 at the beginning of an event. */
static size_t event_end(struct sse *s, struct slice bytes, struct search *f, char before)
{
    const char *at = bytes.p, *e;

    while (at < f->end && (e = line_end(f, at)) != NULL) {
        char prev = e > bytes.p ? e[-1] : before;

        at = e + 1;
        if (*e == '\n' && prev == '\r')
            continue; /* the second half of a CRLF */
        if (!is_eol(prev))
            continue;
        if (*e == '\r') {
            if (at == f->end)
                s->skip_lf = true;
            else if (*at == '\n')
                at++;
        }
        return (size_t)(at - bytes.p);
    }
    return 0;
}

static size_t comment_end(struct slice bytes, struct search *f)
{
    const char *e = line_end(f, bytes.p);

    return e != NULL ? (size_t)(e - bytes.p) + 1 : 0;
}

static enum err keep(struct sse *s, struct slice bytes)
{
    if (bytes.n > s->max_bytes - s->kept.n)
        return ERR_TOO_LARGE;
    return buf_add(&s->kept, bytes);
}

/* The bytes of a BOM at the beginning of the stream; the question may need more bytes than there are. */
static size_t skip_bom(struct sse *s, struct slice bytes, enum err *e)
{
    static const char BOM[] = "\xEF\xBB\xBF";
    size_t i = 0;

    while (!s->started && i < bytes.n) {
        if (bytes.p[i] != BOM[s->bom_n]) {
            s->started = true;
            if (s->bom_n > i) /* these looked like a BOM, in an earlier feed: they are an event's */
                *e = keep(s, (struct slice){BOM, s->bom_n});
            return s->bom_n > i ? i : 0;
        }
        i++;
        s->started = ++s->bom_n == 3;
    }
    return i;
}

/* Takes one event, comment or empty line, or keeps what there is of it; returns how many bytes that took. */
static size_t step(struct sse *s, struct slice bytes, struct search *f, sse_cb cb, void *ud, enum err *e)
{
    bool fresh = s->kept.n == 0;
    char first = fresh ? bytes.p[0] : s->kept.p[0];
    size_t n;

    if (fresh && is_eol(first)) {
        s->comment_bytes++;
        return 1;
    }
    if (first == ':')
        n = comment_end(bytes, f);
    else
        n = event_end(s, bytes, f, fresh ? 0 : s->kept.p[s->kept.n - 1]);
    if (n == 0) {
        *e = keep(s, bytes);
        return bytes.n;
    }
    if (first == ':') {
        if (n > s->max_bytes - s->kept.n) /* wherever it was cut: kept bytes are bounded by keep() */
            *e = ERR_TOO_LARGE;
        s->comment_bytes += s->kept.n + n;
        s->kept.n = 0;
        return n;
    }
    if (fresh) {
        *e = show(s, (struct slice){bytes.p, n}, cb, ud);
        return n;
    }
    *e = keep(s, (struct slice){bytes.p, n});
    if (*e == ERR_OK && s->kept.n > s->shown_max) {
        s->whole = true;
        s->rest = slice_from(bytes, n);
        return bytes.n;
    }
    if (*e == ERR_OK)
        *e = show(s, buf_slice(&s->kept), cb, ud);
    return n;
}

enum err sse_feed(struct sse *s, struct slice bytes, sse_cb cb, void *ud)
{
    enum err e = ERR_OK;
    struct search f = search_of(bytes);

    if (!s->started)
        bytes = slice_from(bytes, skip_bom(s, bytes, &e));
    if (s->skip_lf && bytes.n > 0) {
        s->skip_lf = false;
        bytes = slice_from(bytes, bytes.p[0] == '\n');
    }
    while (e == ERR_OK && bytes.n > 0)
        bytes = slice_from(bytes, step(s, bytes, &f, cb, ud, &e));
    if (e != ERR_OK)
        return e; /* the callback may have let go of s */
    if (s->kept.n == 0)
        buf_fini(&s->kept); /* no buffer is held by an idle stream */
    return ERR_OK;
}
