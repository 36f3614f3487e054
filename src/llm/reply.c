/* SPDX-License-Identifier: MIT */
/* Writes what the gateway itself says to clients, in the shapes that their SDKs unwrap. */
#include "llm/reply.h"

#include <ctype.h>
#include <string.h>

#include "base/assert.h"

/* The row to show: a code that is only for our own use has no words for clients, and that it got here is
 * our fault. */
static const struct err_row *row_shown(enum err e)
{
    const struct err_row *row = err_row(e);

    return row->status != 0 ? row : err_row(ERR_INTERNAL);
}

/* Providers' words often lack their full stop. */
static bool is_open(struct slice text)
{
    unsigned char last = text.n > 0 ? (unsigned char)text.p[text.n - 1] : '.';

    return isalnum(last) || strchr(")]}'\"`", last) != NULL;
}

/* One JSON string of two sentences: the closing quote of the first becomes its full stop or goes, the opening
 * one of the second becomes the space between them. */
static enum err add_message(struct buf *out, struct slice text, struct slice advice)
{
    enum err e = buf_add_json_string(out, text);
    size_t joint;

    if (e != ERR_OK || advice.n == 0)
        return e;
    if (is_open(text))
        out->p[out->n - 1] = '.';
    else
        out->n--;
    joint = out->n;
    e = buf_add_json_string(out, advice);
    if (e == ERR_OK)
        out->p[joint] = ' ';
    return e;
}

static enum err add_string_or_null(struct buf *out, struct slice s)
{
    return s.p ? buf_add_json_string(out, s) : buf_add(out, SLICE("null"));
}

static enum err add_text(struct buf *out, const struct reply_error *r)
{
    const struct err_row *row = row_shown(r->err);

    return add_message(out, r->detail.n > 0 ? r->detail : slice_of(row->text), slice_of(row->advice));
}

static enum err add_code(struct buf *out, const struct reply_error *r)
{
    return buf_add_json_string(out, r->code.p ? r->code : slice_of(row_shown(r->err)->code));
}

/* "error": and OpenAI's object. */
static enum err add_openai(struct buf *out, const struct reply_error *r)
{
    enum err e = buf_add(out, SLICE("\"error\":{\"message\":"));

    if (e == ERR_OK)
        e = add_text(out, r);
    if (e == ERR_OK)
        e = buf_add(out, SLICE(",\"type\":"));
    if (e == ERR_OK)
        e = buf_add_json_string(out, slice_of(row_shown(r->err)->type));
    if (e == ERR_OK)
        e = buf_add(out, SLICE(",\"param\":"));
    if (e == ERR_OK)
        e = add_string_or_null(out, r->param);
    if (e == ERR_OK)
        e = buf_add(out, SLICE(",\"code\":"));
    if (e == ERR_OK)
        e = add_code(out, r);
    return e == ERR_OK ? buf_add(out, SLICE("}")) : e;
}

/* Anthropic's types say little more than the status. */
static const char *anthropic_type(int status)
{
    static const struct {
        int status;
        const char *type;
    } rows[] = {
        {401, "authentication_error"}, {402, "billing_error"},     {403, "permission_error"},
        {404, "not_found_error"},      {413, "request_too_large"}, {429, "rate_limit_error"},
        {504, "timeout_error"},        {529, "overloaded_error"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].status == status)
            return rows[i].type;
    }
    return status < 500 ? "invalid_request_error" : "api_error";
}

int reply_status(enum surface_errors shape, int status)
{
    return shape == ERRORS_ANTHROPIC && status == 503 ? 529 : status;
}

static enum err add_anthropic(struct buf *out, const struct reply_error *r)
{
    int status = reply_status(r->shape, r->status != 0 ? r->status : row_shown(r->err)->status);
    enum err e =
        buf_printf(out, "\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", anthropic_type(status));

    if (e == ERR_OK)
        e = add_text(out, r);
    if (e == ERR_OK)
        e = buf_add(out, SLICE(",\"code\":"));
    if (e == ERR_OK)
        e = add_code(out, r);
    if (e == ERR_OK)
        e = buf_add(out, SLICE("},\"request_id\":"));
    return e == ERR_OK ? add_string_or_null(out, r->request_id) : e;
}

/* The official SDKs raise for an `error` member, Codex reads the failed response. */
static enum err add_failed_response(struct buf *out, const struct reply_error *r)
{
    enum err e = buf_add(out, SLICE("\"type\":\"response.failed\",\"response\":{\"object\":\"response\","
                                    "\"status\":\"failed\",\"error\":{\"code\":"));

    if (e == ERR_OK)
        e = add_code(out, r);
    if (e == ERR_OK)
        e = buf_add(out, SLICE(",\"message\":"));
    if (e == ERR_OK)
        e = add_text(out, r);
    if (e == ERR_OK)
        e = buf_add(out, SLICE("}},"));
    return e == ERR_OK ? add_openai(out, r) : e;
}

typedef enum err (*add_cb)(struct buf *out, const struct reply_error *r);

static const struct {
    add_cb body, event;
    const char *event_name; /* the line before the data, or "" */
} shapes[] = {
    [ERRORS_OPENAI] = {add_openai, add_openai, ""},
    [ERRORS_RESPONSES] = {add_openai, add_failed_response, "event: response.failed\n"},
    [ERRORS_ANTHROPIC] = {add_anthropic, add_anthropic, "event: error\n"},
};

static enum err add_object(struct buf *out, const struct reply_error *r, add_cb add)
{
    enum err e = buf_add(out, SLICE("{"));

    if (e == ERR_OK)
        e = add(out, r);
    return e == ERR_OK ? buf_add(out, SLICE("}")) : e;
}

/* All or nothing: a reply that did not fit leaves nothing behind that could be sent by mistake. */
static enum err settle(struct buf *out, size_t before_n, enum err e)
{
    if (e != ERR_OK)
        out->n = before_n;
    return e;
}

enum err reply_error_body(struct buf *out, const struct reply_error *r)
{
    size_t before_n = out->n;

    return settle(out, before_n, add_object(out, r, shapes[r->shape].body));
}

enum err reply_error_event(struct buf *out, const struct reply_error *r)
{
    size_t before_n = out->n;
    enum err e = buf_printf(out, "%sdata: ", shapes[r->shape].event_name);

    if (e == ERR_OK)
        e = add_object(out, r, shapes[r->shape].event);
    if (e == ERR_OK)
        e = buf_add(out, SLICE("\n\n"));
    return settle(out, before_n, e);
}

enum err reply_models_begin(struct buf *out)
{
    return buf_add(out, SLICE("{\"object\":\"list\",\"data\":["));
}

static enum err add_model(struct buf *out, struct slice id, int64_t created_s, struct slice owned_by)
{
    enum err e = buf_add(out, SLICE("{\"id\":"));

    if (e == ERR_OK)
        e = buf_add_json_string(out, id);
    if (e == ERR_OK)
        e = buf_printf(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":", (long long)created_s);
    if (e == ERR_OK)
        e = buf_add_json_string(out, owned_by);
    return e == ERR_OK ? buf_add(out, SLICE("}")) : e;
}

enum err reply_model(struct buf *out, struct slice id, int64_t created_s, struct slice owned_by)
{
    size_t before_n = out->n;

    return settle(out, before_n, add_model(out, id, created_s, owned_by));
}

enum err reply_models_add(struct buf *out, struct slice id, int64_t created_s, struct slice owned_by)
{
    size_t before_n = out->n;
    bool first = before_n > 0 && out->p[before_n - 1] == '[';
    enum err e = buf_add(out, first ? SLICE("") : SLICE(","));

    if (e == ERR_OK)
        e = add_model(out, id, created_s, owned_by);
    return settle(out, before_n, e);
}

enum err reply_models_end(struct buf *out)
{
    return buf_add(out, SLICE("]}"));
}
