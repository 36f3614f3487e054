/* SPDX-License-Identifier: MIT */
/* Reads and rewrites requests.
 *
 * Reading uses a parsed document, which is dropped at once; rewriting walks the client's own text again
 * (splice.h), since a retry at another endpoint needs another rewriting long after the document is gone. */
#include "llm/request.h"

#include "base/assert.h"
#include "base/buf.h"
#include "llm/splice.h"

#define MODEL_MAX_BYTES 256
#define N_MAX 1024 /* n is only a hint for estimates here; the provider has the say over what it takes */

/* The members that the gateway itself acts on. */
enum control { MODEL, STREAM, STREAM_OPTIONS, CONTROL_N };

static const char *const control_names[CONTROL_N] = {"model", "stream", "stream_options"};

struct fields { /* the last member of each name */
    struct slice input_name;
    struct json_value control[CONTROL_N], input, tools, functions, n;
    bool doubled;
};

static bool on_field(void *ud, struct slice key, struct json_value v)
{
    struct fields *f = ud;

    for (size_t i = 0; i < CONTROL_N; i++) {
        if (!slice_eq(key, slice_of(control_names[i])))
            continue;
        f->doubled = f->doubled || !json_is_absent(f->control[i]);
        f->control[i] = v;
        return true;
    }
    if (slice_eq(key, f->input_name))
        f->input = v;
    else if (slice_eq(key, SLICE("tools")))
        f->tools = v;
    else if (slice_eq(key, SLICE("functions")))
        f->functions = v;
    else if (slice_eq(key, SLICE("n")))
        f->n = v;
    return true;
}

static enum err complain(struct request_fault *to, enum err e, const char *param, const char *why)
{
    *to = (struct request_fault){why, param};
    return e;
}

static bool is_given(struct json_value v)
{
    return !json_is_absent(v) && !json_is_null(v);
}

/* A model's name ends up in headers, metrics and log lines. */
static bool has_control(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c < 0x20 || c == 0x7f)
            return true;
    }
    return false;
}

static enum err check_model(struct json_value v, struct request_fault *to)
{
    struct slice name = json_string(v);

    if (!is_given(v) || (json_is_string(v) && name.n == 0))
        return complain(to, ERR_MODEL_MISSING, "model", "The request names no model.");
    if (!json_is_string(v))
        return complain(to, ERR_BAD_FIELD, "model", "\"model\" must be a string.");
    if (name.n > MODEL_MAX_BYTES)
        return complain(to, ERR_BAD_FIELD, "model", "\"model\" must not be longer than 256 bytes.");
    if (has_control(name))
        return complain(to, ERR_BAD_FIELD, "model", "\"model\" must not hold control characters.");
    return ERR_OK;
}

static enum err check_input(const struct surface *f, struct json_value v, struct arena *arena,
                            struct request_fault *to)
{
    const char *form =
        f->input_may_be_text ? "a text or an array, and not empty" : "an array of at least one message";

    if (f->input_is_optional && !is_given(v))
        return ERR_OK;
    if ((json_is_array(v) && json_count(v) > 0) || (f->input_may_be_text && json_string(v).n > 0))
        return ERR_OK;
    if (f->input_is_optional && json_is_string(v)) /* an empty prompt is one to a model */
        return ERR_OK;
    return complain(to, ERR_BAD_FIELD, f->input, arena_printf(arena, "\"%s\" must be %s.", f->input, form).p);
}

static enum err check_stream(const struct fields *f, struct request_fault *to)
{
    struct json_value options = f->control[STREAM_OPTIONS];
    struct json_value usage = json_get(options, "include_usage");

    if (is_given(f->control[STREAM]) && !json_is_bool(f->control[STREAM]))
        return complain(to, ERR_BAD_FIELD, "stream", "\"stream\" must be true, false or null.");
    if (is_given(options) && !json_is_object(options))
        return complain(to, ERR_BAD_FIELD, "stream_options", "\"stream_options\" must be an object or null.");
    if (is_given(usage) && !json_is_bool(usage))
        return complain(to, ERR_BAD_FIELD, "stream_options.include_usage",
                        "\"stream_options.include_usage\" must be true or false.");
    return ERR_OK;
}

static int choices_asked(struct json_value n)
{
    int64_t asked = json_int(n, 1);

    return asked < 1 ? 1 : asked > N_MAX ? N_MAX : (int)asked;
}

static bool on_message(void *ud, struct json_value message)
{
    bool *developer = ud;

    *developer = slice_eq(json_string(json_get(message, "role")), SLICE("developer"));
    return !*developer;
}

static enum err read_root(struct json_value root, struct arena *arena, struct request *out,
                          struct request_fault *to)
{
    const struct surface *surface = out->surface;
    struct fields f = {.input_name = slice_of(surface->input)};
    enum err e;

    if (!json_is_object(root))
        return complain(to, ERR_BAD_JSON, NULL, "The request body is not a JSON object.");
    json_each(root, on_field, &f);
    e = check_model(f.control[MODEL], to);
    if (e == ERR_OK)
        e = check_input(surface, f.input, arena, to);
    if (e == ERR_OK && surface->streams)
        e = check_stream(&f, to);
    if (e != ERR_OK)
        return e;
    out->model = arena_dup(arena, json_string(f.control[MODEL]));
    out->stream = surface->streams && json_true(f.control[STREAM]);
    out->include_usage =
        !surface->asks_usage || json_true(json_get(f.control[STREAM_OPTIONS], "include_usage"));
    out->has_tools = json_count(f.tools) > 0 || json_count(f.functions) > 0;
    if (surface->id == SURFACE_CHAT)
        json_each_element(f.input, on_message, &out->has_developer);
    out->doubled = f.doubled;
    out->n = choices_asked(f.n);
    return ERR_OK;
}

enum err request_parse(const struct surface *surface, struct slice body, struct json_pool *pool,
                       struct arena *arena, struct request *out, struct request_fault *fault)
{
    const char *syntax = "it does not parse";
    struct json_doc *doc;
    enum err e;

    *out = (struct request){.surface = surface, .body = body, .n = 1};
    *fault = (struct request_fault){NULL, NULL};
    if (body.n == 0)
        return complain(fault, ERR_BAD_JSON, NULL, "The request body is empty.");
    if (json_parse(body, pool, &doc, &syntax) != ERR_OK)
        return complain(fault, ERR_BAD_JSON, NULL,
                        arena_printf(arena, "The request body is not valid JSON: %s.", syntax).p);
    e = read_root(json_root(doc), arena, out, fault);
    json_free(&doc);
    return e;
}

/* -- rewriting ------------------------------------------------------------------------------------------- */

struct rewriting {
    const struct request *request;
    const struct request_edit *edit;
    struct arena *arena;
    struct splice splice;
    struct slice model; /* as JSON */
    bool *set_done;     /* of edit->sets: written already */
    bool asks;          /* stream_options.include_usage must become true */
    bool options_done;
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

static enum control control_of(const struct member *m)
{
    for (size_t i = 0; i < CONTROL_N; i++) {
        if (member_is(m, slice_of(control_names[i])))
            return (enum control)i;
    }
    return CONTROL_N;
}

static void find_last(struct rewriting *w)
{
    struct members walk;
    struct member m;

    members_init(&walk, w->request->body);
    while (members_next(&walk, &m)) {
        enum control c = control_of(&m);

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

static void edit_control(struct rewriting *w, enum control c, const struct member *m)
{
    if (w->request->doubled && m->start != w->last[c]) {
        splice_drop(&w->splice, m);
        return;
    }
    if (c == STREAM_OPTIONS)
        w->options_done = true;
    if (c == MODEL && !slice_eq(m->value, w->model))
        splice_value(&w->splice, m, w->model);
    else if (c == STREAM_OPTIONS && w->asks)
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

/* Everything but the one word stays as it is. */
static void rename_developer(struct rewriting *w, const struct member *messages)
{
    struct members each, message;
    struct slice text;
    struct member m;

    splice_keep(&w->splice, messages);
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
    if (member_resembles(m, slice_of(control_names[MODEL]))) {
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
    w.splice.pieces = pieces;
    w.splice.max = max;
    while (splice_next(&w.splice, &m)) {
        enum control which = control_of(&m);

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
