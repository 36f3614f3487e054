/* SPDX-License-Identifier: MIT */
/* Writes what the gateway itself says to clients, in the shape that OpenAI's SDKs unwrap. */
#include "llm/reply.h"

#include <ctype.h>
#include <string.h>

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

static enum err add_error(struct buf *out, const struct reply_error *r)
{
    const struct err_row *row = row_shown(r->err);
    struct slice text = r->detail.n > 0 ? r->detail : slice_of(row->text);
    enum err e = buf_add(out, SLICE("{\"error\":{\"message\":"));

    if (e == ERR_OK)
        e = add_message(out, text, slice_of(row->advice));
    if (e == ERR_OK)
        e = buf_add(out, SLICE(",\"type\":"));
    if (e == ERR_OK)
        e = buf_add_json_string(out, slice_of(row->type));
    if (e == ERR_OK)
        e = buf_add(out, SLICE(",\"param\":"));
    if (e == ERR_OK)
        e = add_string_or_null(out, r->param);
    if (e == ERR_OK)
        e = buf_add(out, SLICE(",\"code\":"));
    if (e == ERR_OK)
        e = buf_add_json_string(out, r->code.p ? r->code : slice_of(row->code));
    return e == ERR_OK ? buf_add(out, SLICE("}}")) : e;
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

    return settle(out, before_n, add_error(out, r));
}

enum err reply_error_event(struct buf *out, const struct reply_error *r)
{
    size_t before_n = out->n;
    enum err e = buf_add(out, SLICE("data: "));

    if (e == ERR_OK)
        e = add_error(out, r);
    if (e == ERR_OK)
        e = buf_add(out, SLICE("\n\n"));
    return settle(out, before_n, e);
}

enum err reply_models_begin(struct buf *out)
{
    return buf_add(out, SLICE("{\"object\":\"list\",\"data\":["));
}

enum err reply_models_add(struct buf *out, struct slice id, int64_t created_s, struct slice owned_by)
{
    size_t before_n = out->n;
    bool first = before_n > 0 && out->p[before_n - 1] == '[';
    enum err e = buf_add(out, first ? SLICE("{\"id\":") : SLICE(",{\"id\":"));

    if (e == ERR_OK)
        e = buf_add_json_string(out, id);
    if (e == ERR_OK)
        e = buf_printf(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":", (long long)created_s);
    if (e == ERR_OK)
        e = buf_add_json_string(out, owned_by);
    if (e == ERR_OK)
        e = buf_add(out, SLICE("}"));
    return settle(out, before_n, e);
}

enum err reply_models_end(struct buf *out)
{
    return buf_add(out, SLICE("]}"));
}
