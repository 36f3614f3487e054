/* SPDX-License-Identifier: MIT */
/* Reads requests from a parsed document, which is dropped at once, and judges what they hold. */
#include "llm/request.h"

#include "llm/request_fields.h"

#define MODEL_MAX_BYTES 256
#define N_MAX 1024 /* n is only a hint for estimates here; the provider has the say over what it takes */

static const char *const control_names[CONTROL_N] = {"model", "stream", "stream_options"};

enum request_control request_control_of_name(struct slice name)
{
    for (size_t i = 0; i < CONTROL_N; i++) {
        if (slice_eq(name, slice_of(control_names[i])))
            return (enum request_control)i;
    }
    return CONTROL_N;
}

enum request_control request_control_of(const struct member *m)
{
    for (size_t i = 0; i < CONTROL_N; i++) {
        if (member_is(m, slice_of(control_names[i])))
            return (enum request_control)i;
    }
    return CONTROL_N;
}

/* -- judging --------------------------------------------------------------------------------------------- */

enum err request_complain(struct request_fault *to, enum err e, const char *param, const char *why)
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
        return request_complain(to, ERR_MODEL_MISSING, "model", "The request names no model.");
    if (!json_is_string(v))
        return request_complain(to, ERR_BAD_FIELD, "model", "\"model\" must be a string.");
    if (name.n > MODEL_MAX_BYTES)
        return request_complain(to, ERR_BAD_FIELD, "model", "\"model\" must not be longer than 256 bytes.");
    if (has_control(name))
        return request_complain(to, ERR_BAD_FIELD, "model", "\"model\" must not hold control characters.");
    return ERR_OK;
}

static enum err check_input(const struct surface *f, enum request_shape v, struct arena *arena,
                            struct request_fault *to)
{
    const char *form =
        f->input_may_be_text ? "a text or an array, and not empty" : "an array of at least one message";

    if (v == SHAPE_LIST || (f->input_may_be_text && v == SHAPE_TEXT))
        return ERR_OK;
    if (f->input_is_optional &&
        (v == SHAPE_ABSENT || v == SHAPE_NULL || v == SHAPE_NO_TEXT || v == SHAPE_TEXT))
        return ERR_OK; /* an empty prompt is one to a model */
    return request_complain(to, ERR_BAD_FIELD, f->input,
                            arena_printf(arena, "\"%s\" must be %s.", f->input, form).p);
}

static enum err check_stream(const struct request_fields *f, struct request_fault *to)
{
    struct json_value options = f->control[CONTROL_STREAM_OPTIONS];
    struct json_value usage = json_get(options, "include_usage");

    if (is_given(f->control[CONTROL_STREAM]) && !json_is_bool(f->control[CONTROL_STREAM]))
        return request_complain(to, ERR_BAD_FIELD, "stream", "\"stream\" must be true, false or null.");
    if (is_given(options) && !json_is_object(options))
        return request_complain(to, ERR_BAD_FIELD, "stream_options",
                                "\"stream_options\" must be an object or null.");
    if (is_given(usage) && !json_is_bool(usage))
        return request_complain(to, ERR_BAD_FIELD, "stream_options.include_usage",
                                "\"stream_options.include_usage\" must be true or false.");
    return ERR_OK;
}

static int choices_asked(struct json_value n)
{
    int64_t asked = json_int(n, 1);

    return asked < 1 ? 1 : asked > N_MAX ? N_MAX : (int)asked;
}

enum err request_fields_read(const struct request_fields *f, struct arena *arena, struct request *out,
                             struct request_fault *fault)
{
    const struct surface *surface = out->surface;
    enum err e = check_model(f->control[CONTROL_MODEL], fault);

    if (e == ERR_OK)
        e = check_input(surface, f->input, arena, fault);
    if (e == ERR_OK && surface->streams)
        e = check_stream(f, fault);
    if (e != ERR_OK)
        return e;
    out->model = arena_dup(arena, json_string(f->control[CONTROL_MODEL]));
    out->stream = surface->streams && json_true(f->control[CONTROL_STREAM]);
    out->include_usage =
        !surface->asks_usage || json_true(json_get(f->control[CONTROL_STREAM_OPTIONS], "include_usage"));
    out->has_tools = f->tools == SHAPE_LIST || f->functions == SHAPE_LIST;
    out->doubled = f->doubled;
    out->n = choices_asked(f->n);
    return ERR_OK;
}

/* -- reading a document ---------------------------------------------------------------------------------- */

static enum request_shape shape_of(struct json_value v)
{
    if (json_is_absent(v))
        return SHAPE_ABSENT;
    if (json_is_null(v))
        return SHAPE_NULL;
    if (json_is_string(v))
        return json_string(v).n > 0 ? SHAPE_TEXT : SHAPE_NO_TEXT;
    if (json_is_array(v))
        return json_count(v) > 0 ? SHAPE_LIST : SHAPE_NO_LIST;
    return SHAPE_OTHER;
}

struct reading {
    struct slice input_name;
    struct json_value input;
    int64_t answer_max; /* the largest, as estimate_request has it */
    struct request_fields fields;
};

static void note_bound(struct reading *r, struct json_value v)
{
    int64_t n = json_int(v, -1);

    n = n < ESTIMATE_NUMBER_MAX ? n : ESTIMATE_NUMBER_MAX;
    r->answer_max = n > r->answer_max ? n : r->answer_max;
}

static bool on_field(void *ud, struct slice key, struct json_value v)
{
    struct reading *r = ud;
    struct request_fields *f = &r->fields;
    enum request_control c = request_control_of_name(key);

    if (c < CONTROL_N) {
        f->doubled = f->doubled || !json_is_absent(f->control[c]);
        f->control[c] = v;
    } else if (slice_eq(key, r->input_name)) {
        r->input = v;
        f->input = shape_of(v);
    } else if (slice_eq(key, SLICE("tools"))) {
        f->tools = shape_of(v);
    } else if (slice_eq(key, SLICE("functions"))) {
        f->functions = shape_of(v);
    } else if (slice_eq(key, SLICE("n"))) {
        f->n = v;
    } else if (estimate_bounds_answer(key)) {
        note_bound(r, v);
    }
    return true;
}

static bool on_message(void *ud, struct json_value message)
{
    bool *developer = ud;

    *developer = slice_eq(json_string(json_get(message, "role")), SLICE("developer"));
    return !*developer;
}

static enum err read_root(struct json_value root, struct arena *arena, struct request *out,
                          struct request_fault *fault)
{
    struct reading r = {.input_name = slice_of(out->surface->input), .answer_max = -1};
    enum err e;

    if (!json_is_object(root))
        return request_complain(fault, ERR_BAD_JSON, NULL, "The request body is not a JSON object.");
    json_each(root, on_field, &r);
    e = request_fields_read(&r.fields, arena, out, fault);
    out->answer_max = r.answer_max;
    if (e == ERR_OK && out->surface->id == SURFACE_CHAT)
        json_each_element(r.input, on_message, &out->has_developer);
    return e;
}

enum err request_parse(const struct surface *surface, struct slice body, struct json_pool *pool,
                       struct arena *arena, struct request *out, struct request_fault *fault)
{
    const char *syntax = "it does not parse";
    struct json_doc *doc;
    enum err e;

    *out = (struct request){.surface = surface, .body = body, .n = 1, .answer_max = -1};
    *fault = (struct request_fault){NULL, NULL};
    if (body.n == 0)
        return request_complain(fault, ERR_BAD_JSON, NULL, "The request body is empty.");
    e = json_parse(body, pool, &doc, &syntax);
    if (e == ERR_EXHAUSTED)
        return e;
    if (e != ERR_OK)
        return request_complain(fault, ERR_BAD_JSON, NULL,
                                arena_printf(arena, "The request body is not valid JSON: %s.", syntax).p);
    e = read_root(json_root(doc), arena, out, fault);
    json_free(&doc);
    return e;
}
