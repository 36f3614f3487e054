/* SPDX-License-Identifier: MIT */
/* Rewrites requests for endpoints.
 *
 * It walks the client's own text (splice.h), since a retry at another endpoint needs another rewriting long
 * after the document is gone that the request was read from (request_read.c). */
#include "llm/request.h"

#include "base/assert.h"
#include "base/buf.h"
#include "llm/request_fields.h"
#include "llm/splice.h"

struct rewriting {
    const struct request *request;
    const struct request_edit *edit;
    struct arena *arena;
    struct splice splice;
    struct slice model; /* as JSON */
    bool *set_done;     /* of edit->sets: written already */
    bool asks;          /* stream_options.include_usage must become true */
    bool options_done;
    size_t developers_n;    /* of the request's index, dealt with */
    size_t last[CONTROL_N]; /* with doubled members: where the one that counts starts */
};

/* Names need an escape so rarely that the escaping writer's detour over the heap does not matter. */
static struct slice json_of_string(struct slice s, struct arena *arena)
{
    bool plain = true;
    struct buf b;
    struct slice json;

    for (size_t i = 0; i < s.n && plain; i++)
        plain = s.p[i] >= 0x20 && s.p[i] < 0x7f && s.p[i] != '"' && s.p[i] != '\\';
    if (plain) {
        char *p = arena_bytes(arena, s.n + 2);

        p[0] = p[s.n + 1] = '"';
        memcpy(p + 1, s.p, s.n);
        return (struct slice){p, s.n + 2};
    }
    buf_init(&b, s.n * 6 + 2, NULL);
    ASSERT(buf_add_json_string(&b, s) == ERR_OK);
    json = arena_dup(arena, buf_slice(&b));
    buf_fini(&b);
    return json;
}

static void find_last(struct rewriting *w)
{
    struct members walk;
    struct member m;

    members_init_indexed(&walk, w->request->body, w->request->index);
    while (members_next(&walk, &m)) {
        enum request_control c = request_control_of(&m);

        if (c < CONTROL_N)
            w->last[c] = m.start;
    }
}

/* The object with include_usage true and its other members as they are. */
static struct slice options_asking(struct slice options, struct arena *arena)
{
    struct splice s;
    struct member m;
    bool done = false;

    if (options.p[0] != '{')
        return SLICE("{\"include_usage\":true}");
    splice_init(&s, options, arena, options.n + 32);
    while (splice_next(&s, &m)) {
        if (!member_is(&m, SLICE("include_usage")))
            splice_keep(&s, &m);
        else if (done)
            splice_drop(&s, &m);
        else
            splice_value(&s, &m, SLICE("true"));
        done = done || member_is(&m, SLICE("include_usage"));
    }
    if (!done)
        splice_add(&s, SLICE("include_usage"), SLICE("true"));
    return splice_end(&s);
}

static void edit_control(struct rewriting *w, enum request_control c, const struct member *m)
{
    if (w->request->doubled && m->start != w->last[c]) {
        splice_drop(&w->splice, m);
        return;
    }
    if (c == CONTROL_STREAM_OPTIONS)
        w->options_done = true;
    if (c == CONTROL_MODEL && !slice_eq(m->value, w->model))
        splice_value(&w->splice, m, w->model);
    else if (c == CONTROL_STREAM_OPTIONS && w->asks)
        splice_value(&w->splice, m, options_asking(m->value, w->arena));
    else
        splice_keep(&w->splice, m);
}

/* Whether the set must not be written: it names a control, or a later set of that name replaces it. */
static bool is_void(const struct request_edit *edit, size_t i)
{
    struct slice name = edit->sets[i].name;

    for (size_t k = i + 1; k < edit->sets_n; k++) {
        if (slice_eq(edit->sets[k].name, name))
            return true;
    }
    return slice_eq(name, slice_of("model")) || slice_eq(name, slice_of("stream")) ||
           slice_eq(name, slice_of("stream_options"));
}

/* Along the index: walking over a large body would hold the loop. */
static void rename_found(struct rewriting *w, const struct member *messages)
{
    const struct request *c = w->request;
    const char *end = messages->value.p + messages->value.n;

    for (; w->developers_n < c->developers_n && c->developers[w->developers_n].p < end; w->developers_n++)
        splice_part(&w->splice, c->developers[w->developers_n], SLICE("\"system\""));
}

/* Everything but the one word stays as it is. */
static void rename_developer(struct rewriting *w, const struct member *messages)
{
    struct members each, message;
    struct slice text;
    struct member m;

    splice_keep(&w->splice, messages);
    if (w->request->index.n > 0) {
        rename_found(w, messages);
        return;
    }
    elements_init(&each, messages->value);
    while (elements_next(&each, &text)) {
        members_init(&message, text);
        while (members_next(&message, &m)) {
            if (member_is(&m, SLICE("role")) && member_holds(&m, SLICE("developer")))
                splice_part(&w->splice, m.value, SLICE("\"system\""));
        }
    }
}

static void edit_other(struct rewriting *w, const struct member *m)
{
    const struct request_edit *edit = w->edit;

    if (edit->no_developer && w->request->has_developer && member_is(m, SLICE("messages"))) {
        rename_developer(w, m);
        return;
    }
    if (member_resembles(m, SLICE("model"))) {
        splice_drop(&w->splice, m);
        return;
    }
    for (size_t i = 0; i < edit->sets_n; i++) {
        if (!member_is(m, edit->sets[i].name) || is_void(edit, i))
            continue;
        if (w->set_done[i])
            splice_drop(&w->splice, m);
        else
            splice_value(&w->splice, m, edit->sets[i].json);
        w->set_done[i] = true;
        return;
    }
    splice_keep(&w->splice, m);
}

static size_t bound_of(const struct rewriting *w)
{
    size_t bound = w->request->body.n + w->model.n + sizeof ",\"stream_options\":{\"include_usage\":true}";

    for (size_t i = 0; i < w->edit->sets_n; i++)
        bound += w->edit->sets[i].name.n + w->edit->sets[i].json.n + sizeof ",\"\":";
    return bound + 32; /* include_usage inside options that are there already */
}

/* An edit ends the piece before it and may add one. */
size_t request_pieces_max(const struct request *c)
{
    return REQUEST_PIECES_MAX + 2 * (c->index.n + c->developers_n);
}

size_t request_rewrite(const struct request *c, const struct request_edit *edit, struct arena *arena,
                       struct slice *pieces, size_t max, size_t *total)
{
    struct rewriting w = {.request = c, .edit = edit, .arena = arena};
    struct member m;

    ASSERT(max > 0);
    w.model = json_of_string(edit->model.n > 0 ? edit->model : c->model, arena);
    w.asks = edit->ask_usage && c->stream && !c->include_usage; /* never where the surface tells unasked */
    if (edit->sets_n > 0)
        w.set_done = arena_zalloc(arena, edit->sets_n * sizeof *w.set_done);
    if (c->doubled)
        find_last(&w);
    splice_init(&w.splice, c->body, arena, bound_of(&w));
    w.splice.walk.rest = c->index;
    w.splice.pieces = pieces;
    w.splice.max = max;
    while (splice_next(&w.splice, &m)) {
        enum request_control which = request_control_of(&m);

        if (which < CONTROL_N)
            edit_control(&w, which, &m);
        else
            edit_other(&w, &m);
    }
    for (size_t i = 0; i < edit->sets_n; i++) {
        if (!w.set_done[i] && !is_void(edit, i))
            splice_add(&w.splice, edit->sets[i].name, edit->sets[i].json);
    }
    if (w.asks && !w.options_done)
        splice_add(&w.splice, SLICE("stream_options"), SLICE("{\"include_usage\":true}"));
    splice_end(&w.splice);
    *total = w.splice.total;
    return w.splice.n;
}

void request_move(struct request *to, const struct request *from, struct slice body, struct arena *arena)
{
    ASSERT(body.p == from->body.p && body.n == from->body.n);
    *to = *from;
    to->model = arena_dup(arena, from->model);
    if (from->index.n > 0) {
        struct member *members = arena_alloc(arena, from->index.n * sizeof *members);

        memcpy(members, from->index.members, from->index.n * sizeof *members);
        to->index.members = members;
    }
    if (from->developers_n > 0) {
        struct slice *developers = arena_alloc(arena, from->developers_n * sizeof *developers);

        memcpy(developers, from->developers, from->developers_n * sizeof *developers);
        to->developers = developers;
    }
    if (from->estimate != NULL) {
        struct estimate *estimate = ARENA_NEW(arena, struct estimate);

        *estimate = *from->estimate;
        to->estimate = estimate;
    }
}
