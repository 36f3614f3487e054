/* SPDX-License-Identifier: MIT */
/* Records:
 *
 *     head | id | key | model | notes | { target | length | name } ...
 *
 * Lengths stand in the head. */
#include "gateway/why_record.h"

#include "base/assert.h"
#include "gateway/prepare.h"

struct head {
    struct why_facts facts;
    uint16_t notes_n, names_n;
    uint8_t id_n, key_n, model_n;
};

struct writer {
    char *p;
    size_t n;
};

static uint8_t put(struct writer *w, struct slice s, size_t max)
{
    if (s.n > max)
        s.n = max;
    if (s.n > 0)
        memcpy(w->p + w->n, s.p, s.n);
    w->n += s.n;
    return (uint8_t)s.n;
}

/* "one", or "one/other-name" where the target names its model itself. */
static void put_target(struct writer *w, const struct why_source *s, int index)
{
    const struct config_target *t = prepare_target(s->target, index);
    size_t at = w->n;

    if (w->n + 2 + 2 * WHY_NAME_MAX + 1 > WHY_RECORD_MAX)
        return;
    w->p[w->n++] = (char)index;
    w->n++;
    put(w, slice_of(s->cfg->endpoints[t->endpoint].name), WHY_NAME_MAX);
    if (t->model.p != NULL) {
        put(w, SLICE("/"), 1);
        put(w, t->model, WHY_NAME_MAX);
    }
    w->p[at + 1] = (char)(w->n - at - 2);
}

_Static_assert(sizeof(struct head) + WHY_ID_MAX + 2 * WHY_NAME_MAX + WHY_BYTES_MAX <= WHY_RECORD_MAX / 2,
               "all but the names of many targets has room");
_Static_assert(2 * WHY_NAME_MAX + 1 <= 255 && WHY_ID_MAX <= 255, "lengths are one byte");

size_t why_pack(const struct why_source *s, char *out)
{
    struct head *h = (struct head *)(void *)out;
    struct writer w = {out, sizeof *h};
    size_t at;

    *h = (struct head){.facts = s->facts};
    h->id_n = put(&w, s->id, WHY_ID_MAX);
    h->key_n = put(&w, s->key, WHY_NAME_MAX);
    h->model_n = put(&w, s->model, WHY_NAME_MAX);
    if (s->why == NULL)
        return w.n;
    h->facts.dropped_n = s->why->dropped_n;
    h->notes_n = s->why->n;
    memcpy(w.p + w.n, s->why->p, s->why->n);
    w.n += s->why->n;
    at = w.n;
    for (uint64_t left = s->why->named; left != 0; left &= left - 1)
        put_target(&w, s, __builtin_ctzll(left));
    h->names_n = (uint16_t)(w.n - at);
    return w.n;
}

static struct slice take(struct slice *rest, size_t n)
{
    struct slice s = {rest->p, n};

    *rest = slice_from(*rest, n);
    return s;
}

bool why_unpack(struct slice bytes, struct why_record *out)
{
    struct slice rest = slice_from(bytes, sizeof(struct head));
    struct head h;

    if (bytes.n < sizeof h)
        return false;
    memcpy(&h, bytes.p, sizeof h);
    if (rest.n < (size_t)h.id_n + h.key_n + h.model_n + h.notes_n + h.names_n)
        return false;
    out->facts = h.facts;
    out->id = take(&rest, h.id_n);
    out->key = take(&rest, h.key_n);
    out->model = take(&rest, h.model_n);
    out->notes = take(&rest, h.notes_n);
    out->names = take(&rest, h.names_n);
    return true;
}

struct slice why_target_name(const struct why_record *r, int target)
{
    struct slice rest = r->names;

    while (rest.n >= 2) {
        struct slice head = take(&rest, 2), name;
        size_t n = (unsigned char)head.p[1];

        if (n > rest.n)
            break;
        name = take(&rest, n);
        if (head.p[0] == target)
            return name;
    }
    return SLICE_NONE;
}
