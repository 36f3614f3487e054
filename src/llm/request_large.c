/* SPDX-License-Identifier: MIT */
/* Reads large requests without a document.
 *
 * The text is checked (base/json_check.h), the places of its members are noted, so that nobody walks over it
 * again, and of these only what the gateway acts on is parsed, member by member. */
#include "llm/request.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/json_check.h"
#include "llm/request_fields.h"

#define VALUE_MAX_BYTES ((size_t)64 * 1024)
#define MEMBERS_FIRST 64 /* more are rare */

/* What is parsed: the controls, then n. */
enum { PARSED_N = CONTROL_N + 1 };

struct large {
    struct request_fields fields;
    struct json_doc *docs[PARSED_N];
    const struct member *input; /* the last one, or NULL */
};

static enum err make_index(struct slice body, struct arena *arena, struct request *out,
                           struct request_fault *fault)
{
    struct member *members = arena_alloc(arena, MEMBERS_FIRST * sizeof *members);
    size_t found = members_find(body, members, MEMBERS_FIRST);

    if (found > MEMBERS_FIRST) {
        members = arena_alloc(arena, REQUEST_MEMBERS_MAX * sizeof *members);
        found = members_find(body, members, REQUEST_MEMBERS_MAX);
    }
    if (found > REQUEST_MEMBERS_MAX)
        return request_complain(fault, ERR_BAD_FIELD, NULL,
                                "The request has more than 4096 members at its top level.");
    out->index = (struct members_index){members, found};
    return ERR_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* `text` is a valid value without white space around it. */
static enum request_shape shape_of(struct slice text)
{
    size_t i = 1;

    switch (text.p[0]) {
    case 'n':
        return SHAPE_NULL;
    case '"':
        return text.n > 2 ? SHAPE_TEXT : SHAPE_NO_TEXT;
    case '[':
        while (is_blank(text.p[i]))
            i++;
        return text.p[i] == ']' ? SHAPE_NO_LIST : SHAPE_LIST;
    default:
        return SHAPE_OTHER;
    }
}

static enum err parse_value(struct large *l, int place, const struct member *m, struct request_fault *fault)
{
    static const char *const names[PARSED_N] = {"model", "stream", "stream_options", "n"};
    enum err e;

    json_free(&l->docs[place]);
    if (m->value.n > VALUE_MAX_BYTES)
        return request_complain(fault, ERR_BAD_FIELD, names[place], "This member is too large.");
    e = json_parse(m->value, NULL, &l->docs[place], NULL);
    if (e == ERR_OK || e == ERR_EXHAUSTED)
        return e;
    return request_complain(fault, ERR_BAD_JSON, NULL,
                            "The request body is not valid JSON: a number is too large.");
}

static enum err read_member(struct large *l, const struct member *m, struct slice input_name,
                            struct request_fault *fault)
{
    enum request_control c = request_control_of(m);
    enum err e = ERR_OK;

    if (c < CONTROL_N) {
        l->fields.doubled = l->fields.doubled || l->docs[c] != NULL;
        e = parse_value(l, (int)c, m, fault);
        if (e == ERR_OK)
            l->fields.control[c] = json_root(l->docs[c]);
    } else if (member_is(m, input_name)) {
        l->input = m;
        l->fields.input = shape_of(m->value);
    } else if (member_is(m, SLICE("tools"))) {
        l->fields.tools = shape_of(m->value);
    } else if (member_is(m, SLICE("functions"))) {
        l->fields.functions = shape_of(m->value);
    } else if (member_is(m, SLICE("n"))) {
        e = parse_value(l, CONTROL_N, m, fault);
        if (e == ERR_OK)
            l->fields.n = json_root(l->docs[CONTROL_N]);
    }
    return e;
}

/* Adds the places of the word to `found`; whether the messages have the role (of doubled ones the last
 * counts). */
static enum err find_developers(struct slice messages, struct buf *found, bool *has)
{
    struct members each, message;
    struct slice text;
    struct member m;
    enum err e = ERR_OK;

    *has = false;
    elements_init(&each, messages);
    while (e == ERR_OK && elements_next(&each, &text)) {
        bool developer = false;

        members_init(&message, text);
        while (e == ERR_OK && members_next(&message, &m)) {
            if (!member_is(&m, SLICE("role")))
                continue;
            developer = member_holds(&m, SLICE("developer"));
            if (developer)
                e = buf_add(found, (struct slice){(const char *)&m.value, sizeof m.value});
        }
        *has = *has || developer;
    }
    return e;
}

static enum err note_developers(struct request *out, struct arena *arena, struct request_fault *fault)
{
    struct buf found;
    enum err e = ERR_OK;

    buf_init(&found, REQUEST_DEVELOPERS_MAX * sizeof(struct slice), NULL);
    for (size_t i = 0; i < out->index.n && e == ERR_OK; i++) {
        if (member_is(&out->index.members[i], SLICE("messages")))
            e = find_developers(out->index.members[i].value, &found, &out->has_developer);
    }
    if (e == ERR_TOO_LARGE)
        e = request_complain(fault, ERR_BAD_FIELD, "messages",
                             "The request has more than 4096 messages of the role developer.");
    if (e == ERR_OK && found.n > 0) {
        out->developers = memcpy(arena_alloc(arena, found.n), found.p, found.n);
        out->developers_n = found.n / sizeof(struct slice);
    }
    buf_fini(&found);
    return e;
}

static enum err read_members(struct request *out, struct arena *arena, struct request_fault *fault)
{
    struct slice input_name = slice_of(out->surface->input);
    struct large l = {.input = NULL};
    enum err e = ERR_OK;

    for (size_t i = 0; i < out->index.n && e == ERR_OK; i++)
        e = read_member(&l, &out->index.members[i], input_name, fault);
    if (e == ERR_OK)
        e = request_fields_read(&l.fields, arena, out, fault);
    if (e == ERR_OK && l.input != NULL && out->surface->id == SURFACE_CHAT)
        e = note_developers(out, arena, fault);
    for (size_t i = 0; i < PARSED_N; i++)
        json_free(&l.docs[i]);
    return e;
}

enum err request_parse_large(const struct surface *surface, struct slice body, struct arena *arena,
                             struct request *out, struct request_fault *fault)
{
    const char *syntax;
    struct estimate *estimate = ARENA_NEW(arena, struct estimate);
    enum err e;

    *out = (struct request){.surface = surface, .body = body, .n = 1, .answer_max = -1};
    *fault = (struct request_fault){NULL, NULL};
    if (body.n == 0)
        return request_complain(fault, ERR_BAD_JSON, NULL, "The request body is empty.");
    if (json_check(body, &syntax) != ERR_OK)
        return request_complain(fault, ERR_BAD_JSON, NULL,
                                arena_printf(arena, "The request body is not valid JSON: %s.", syntax).p);
    if (slice_trim(body).p[0] != '{')
        return request_complain(fault, ERR_BAD_JSON, NULL, "The request body is not a JSON object.");
    e = make_index(body, arena, out, fault);
    if (e == ERR_OK)
        e = read_members(out, arena, fault);
    if (e == ERR_OK) {
        estimate_request(body, estimate);
        out->estimate = estimate;
        out->answer_max = estimate->answer_max;
    }
    return e;
}
