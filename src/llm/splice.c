/* SPDX-License-Identifier: MIT */
/* Cuts and joins the text of a JSON object, keeping its commas right.
 *
 * Invariant: everything before `from` has been put or dropped. A dropped member goes together with the
 * comma before it; while no member has been kept yet there is none, and the comma behind goes instead. */
#include "llm/splice.h"

#include "base/assert.h"

static void append(struct splice *s, struct slice piece)
{
    memcpy(s->flat + s->total, piece.p, piece.n);
    s->total += piece.n;
}

/* The pieces do not suffice, or none were wanted: from here on the result is one run of bytes in the
 * arena. */
static void flatten(struct splice *s)
{
    s->flat = arena_try_bytes(s->arena, s->bound);
    s->failed = s->flat == NULL;
    s->total = 0;
    if (s->failed)
        s->n = 0;
    for (size_t i = 0; i < s->n; i++)
        append(s, s->pieces[i]);
    s->n = 0;
}

static void put(struct splice *s, struct slice piece)
{
    if (piece.n == 0)
        return;
    ASSERT(piece.n <= s->bound - s->total);
    if (!s->flat && s->n == s->max)
        flatten(s);
    if (s->failed)
        return;
    if (s->flat) {
        append(s, piece);
        return;
    }
    s->pieces[s->n++] = piece;
    s->total += piece.n;
}

static void put_text(struct splice *s, size_t to)
{
    if (to <= s->from)
        return;
    put(s, (struct slice){s->walk.text.p + s->from, to - s->from});
    s->from = to;
}

void splice_init(struct splice *s, struct slice text, struct arena *arena, size_t bound)
{
    *s = (struct splice){.arena = arena, .bound = bound};
    members_init(&s->walk, text);
    s->current_end = s->walk.at;
}

bool splice_next(struct splice *s, struct member *out)
{
    s->behind = s->current_end;
    if (!members_next(&s->walk, out))
        return false;
    s->current_end = out->end;
    return true;
}

void splice_keep(struct splice *s, const struct member *m)
{
    if (s->kept_n++ == 0 && s->from > 0)
        s->from = m->start; /* members before it were dropped, and the comma behind them goes as well */
}

void splice_drop(struct splice *s, const struct member *m)
{
    put_text(s, s->behind);
    s->from = m->end;
}

void splice_part(struct splice *s, struct slice part, struct slice value)
{
    size_t at = (size_t)(part.p - s->walk.text.p);

    put_text(s, at);
    put(s, value);
    s->from = at + part.n;
}

void splice_value(struct splice *s, const struct member *m, struct slice value)
{
    splice_keep(s, m);
    splice_part(s, m->value, value);
}

void splice_add(struct splice *s, struct slice name, struct slice value)
{
    struct slice comma = s->kept_n > 0 ? SLICE(",") : SLICE("");
    char *p = arena_bytes(s->arena, comma.n + name.n + value.n + 3), *at = p;

    memcpy(at, comma.p, comma.n);
    at += comma.n;
    *at++ = '"';
    memcpy(at, name.p, name.n);
    at += name.n;
    *at++ = '"';
    *at++ = ':';
    memcpy(at, value.p, value.n);
    at += value.n;
    put_text(s, s->behind);
    put(s, (struct slice){p, (size_t)(at - p)});
    s->kept_n++;
}

struct slice splice_end(struct splice *s)
{
    put_text(s, s->walk.text.n);
    if (!s->flat)
        return SLICE_NONE;
    if (s->max > 0) {
        s->pieces[0] = (struct slice){s->flat, s->total};
        s->n = 1;
    }
    return (struct slice){s->flat, s->total};
}
