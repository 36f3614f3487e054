/* SPDX-License-Identifier: MIT */
/* Notes: their bytes.
 *
 *     length | step | at | value + 1 ... | looks, and left out | { target | look | value + 1 ... } ...
 *
 * Everything but length, step, target and look is a varint (seven bits a byte, the lowest first); 0 stands
 * for a value that is not known. The length is that of the rest. */
#include "gateway/why.h"

#include "base/assert.h"

#define VARINT_MAX 5 /* bytes of WHY_VALUE_MAX + 1 */
#define NOTE_MAX 255

#define F(name, type) {name, WHY_##type},
static const struct why_row STEPS[] = {
#define STEP(name, label, fields) {label, {fields}},
#include "gateway/why.def"
#undef STEP
};

static const struct why_row LOOKS[] = {
#define LOOK(name, label, fields) {label, {fields}},
#include "policy/look.def"
#undef LOOK
};
#undef F

const struct why_row *why_step_row(enum why_step s)
{
    return &STEPS[s];
}

const struct why_row *why_look_row(enum look_is l)
{
    return &LOOKS[l];
}

/* -- writing --------------------------------------------------------------------------------------------- */

void why_init(struct why *w, struct arena *arena, int64_t since_us)
{
    w->p = w->first;
    w->n = w->dropped_n = 0;
    w->cap = WHY_FIRST_BYTES;
    w->named = 0;
    w->since_us = since_us;
    w->arena = arena;
}

static inline uint8_t *put(uint8_t *at, int64_t v)
{
    uint64_t rest = v < 0 ? 0 : (uint64_t)(v > WHY_VALUE_MAX ? WHY_VALUE_MAX : v) + 1;

    if (rest < 0x80) { /* most are */
        *at++ = (uint8_t)rest;
        return at;
    }
    while (rest >= 0x80) {
        *at++ = (uint8_t)(rest | 0x80);
        rest >>= 7;
    }
    *at++ = (uint8_t)rest;
    return at;
}

static uint8_t *put_values(struct why *w, uint8_t *at, const struct why_row *row, const int64_t *v)
{
    for (size_t i = 0; row->fields[i].name != NULL; i++) {
        at = put(at, v[i]);
        if (row->fields[i].type == WHY_TARGET && v[i] >= 0)
            w->named |= UINT64_C(1) << v[i];
    }
    return at;
}

static uint8_t *put_look(struct why *w, uint8_t *at, const struct look *k)
{
    const struct why_row *row = &LOOKS[k->is];

    w->named |= UINT64_C(1) << k->target;
    *at++ = k->target;
    *at++ = k->is;
    for (size_t i = 0; row->fields[i].name != NULL; i++)
        at = put(at, k->v[i]);
    return at;
}

/* Room for n bytes more: with the notes moved to the arena, then without the oldest but the first. */
static void make_room(struct why *w, size_t n)
{
    if (w->cap == WHY_FIRST_BYTES) {
        w->p = (uint8_t *)arena_bytes(w->arena, WHY_BYTES_MAX);
        memcpy(w->p, w->first, w->n);
        w->cap = WHY_BYTES_MAX;
    }
    while (w->n + n > w->cap) {
        size_t second = (size_t)w->p[0] + 1, third = second + w->p[second] + 1;

        memmove(w->p + second, w->p + third, w->n - third);
        w->n = (uint16_t)(w->n - (third - second));
        w->dropped_n++;
    }
}

void why_note(struct why *w, enum why_step step, int64_t now_us, const int64_t *v, const struct looks *looks)
{
    uint8_t note[NOTE_MAX + 1], *at = note + 1;
    size_t n;

    *at++ = (uint8_t)step;
    at = put_values(w, put(at, now_us - w->since_us), &STEPS[step], v);
    *at++ = looks != NULL ? looks->n : 0;
    *at++ = looks != NULL ? looks->out_n : 0;
    for (size_t i = 0; looks != NULL && i < looks->n; i++)
        at = put_look(w, at, &looks->at[i]);
    n = (size_t)(at - note);
    note[0] = (uint8_t)(n - 1);
    if (w->n + n > w->cap)
        make_room(w, n);
    memcpy(w->p + w->n, note, n);
    w->n = (uint16_t)(w->n + n);
}

_Static_assert(3 + VARINT_MAX * (1 + WHY_FIELDS_MAX) + LOOKS_MAX * (2 + VARINT_MAX * LOOK_FIELDS_MAX) <=
                   NOTE_MAX,
               "a note's length is one byte");
_Static_assert(WHY_BYTES_MAX >= 2 * (NOTE_MAX + 1), "the first and the latest have room");

/* -- reading --------------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static uint8_t get_byte(struct reader *r)
{
    if (r->at == r->end) {
        r->bad = true;
        return 0;
    }
    return *r->at++;
}

static int64_t get(struct reader *r)
{
    uint64_t v = 0;
    uint8_t b;
    int shift = 0;

    do {
        b = get_byte(r);
        v |= (uint64_t)(b & 0x7F) << shift;
        shift += 7;
    } while (b >= 0x80 && shift < 7 * VARINT_MAX);
    r->bad |= b >= 0x80;
    return (int64_t)v - 1;
}

static void get_values(struct reader *r, const struct why_row *row, int64_t *v)
{
    for (size_t i = 0; row->fields[i].name != NULL; i++)
        v[i] = get(r);
}

static void get_look(struct reader *r, struct look *k)
{
    k->target = get_byte(r);
    k->is = get_byte(r);
    if (k->is >= LOOK_N || k->target >= 64) {
        r->bad = true;
        return;
    }
    for (size_t i = 0; LOOKS[k->is].fields[i].name != NULL; i++)
        look_set(k, i, get(r));
}

bool why_read(struct slice notes, size_t *at, struct why_note *out)
{
    const uint8_t *p = (const uint8_t *)notes.p;
    struct reader r;
    unsigned step;

    if (*at >= notes.n || notes.n - *at < (size_t)p[*at] + 1)
        return false;
    r = (struct reader){p + *at + 1, p + *at + 1 + p[*at], false};
    *at += (size_t)p[*at] + 1;
    step = get_byte(&r);
    if (step >= WHY_STEPS_N)
        return false;
    out->step = (enum why_step)step;
    out->at_us = get(&r);
    get_values(&r, &STEPS[step], out->v);
    out->looks_n = get_byte(&r);
    out->out_n = get_byte(&r);
    if (out->looks_n > LOOKS_MAX)
        return false;
    for (size_t i = 0; i < out->looks_n && !r.bad; i++)
        get_look(&r, &out->looks[i]);
    return !r.bad;
}
