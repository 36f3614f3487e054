/* SPDX-License-Identifier: MIT */
/* Parses streamed events and whole answers, once, for the readers of their surface (readers.h). The document
 * lives in the worker's pool. */
#include "llm/answer.h"

#include "llm/failure.h"
#include "llm/readers.h"
#include "llm/redact.h"
#include "llm/splice.h"

#define ERROR_TEXT_BYTES 300

static void update(int64_t *n, int64_t later)
{
    if (later > 0)
        *n = later;
}

void usage_update(struct usage *u, const struct usage *later)
{
    update(&u->prompt_tokens, later->prompt_tokens);
    update(&u->completion_tokens, later->completion_tokens);
    update(&u->cached_tokens, later->cached_tokens);
    update(&u->reasoning_tokens, later->reasoning_tokens);
    u->known = u->known || later->known;
}

void answer_event(const struct answer_opts *o, struct slice data, struct json_pool *pool, struct event *out)
{
    struct json_doc *doc;

    /* Field by field: zeroing error_text as well would cost a tenth of the whole function. */
    out->kind = EVENT_MALFORMED;
    out->has_text = out->finished = out->plain_stop = out->has_usage = out->usage_member = false;
    out->usage_behind = 0;
    out->usage = (struct usage){0};
    out->error_status = 0;
    out->refusal = REFUSAL_PLAIN;
    out->error_text[0] = '\0';
    if (data.n > 0 && data.p[0] != '{' && slice_eq(slice_trim(data), SLICE("[DONE]"))) {
        out->kind = o->surface->names_events ? EVENT_MALFORMED : EVENT_DONE;
        return;
    }
    if (json_parse(data, pool, &doc, NULL) != ERR_OK)
        return;
    if (json_is_object(json_root(doc)))
        o->surface->read_event(o->dialect, json_root(doc), out);
    json_free(&doc);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* False: it stands elsewhere. *out is SLICE_NONE when there is no memory.
 * Every event of a stream whose usage was asked for has `"usage":null` somewhere, with another member in
 * front of it: the one place where it stands is known from the parse, and cut out. Checked, because the
 * parser promises nothing of where it keeps its strings. */
static bool cut_null(struct slice data, size_t behind, struct arena *arena, struct slice *out)
{
    static const char MEMBER[] = ",\"usage\":null";
    const char *first = behind > 0 ? memchr(data.p, '"', data.n) : NULL;
    size_t from = first != NULL ? (size_t)(first - data.p) + behind - 1 : data.n;
    size_t to = from + sizeof MEMBER - 1;
    char *copy;

    if (from >= data.n || to >= data.n || memcmp(data.p + from, MEMBER, sizeof MEMBER - 1) != 0)
        return false;
    if (is_blank(data.p[from - 1])) /* which goes with what it stands before, as splice_drop has it */
        return false;
    *out = SLICE_NONE;
    copy = arena_try_bytes(arena, data.n);
    if (copy == NULL)
        return true;
    memcpy(copy, data.p, from);
    memcpy(copy + from, data.p + to, data.n - to);
    *out = (struct slice){copy, data.n - (sizeof MEMBER - 1)};
    return true;
}

struct slice answer_strip_usage(struct slice data, size_t behind, struct arena *arena)
{
    struct slice piece = data; /* the text as it is; the first cut needs a second piece, and so a copy */
    struct slice result;
    struct splice s;
    struct member m;

    if (cut_null(data, behind, arena, &result))
        return result;
    splice_init(&s, data, arena, data.n);
    s.pieces = &piece;
    s.max = 1;
    while (splice_next(&s, &m)) {
        if (member_is(&m, SLICE("usage")))
            splice_drop(&s, &m);
        else
            splice_keep(&s, &m);
    }
    result = splice_end(&s);
    return result.p != NULL || s.failed ? result : piece;
}

static enum err judge(const struct answer_opts *o, struct json_value root, struct answer *out)
{
    if (json_is_object(root))
        return o->surface->judge(o->dialect, root, out);
    return readers_failed(o->dialect, root, out);
}

void answer_body(const struct answer_opts *o, struct slice body, struct json_pool *pool, struct answer *out)
{
    struct slice text = slice_trim(body);
    struct json_doc *doc;

    *out = (struct answer){.err = ERR_UPSTREAM_EMPTY};
    out->skip = text.n > 0 ? (size_t)(text.p - body.p) : body.n;
    if (text.n == 0)
        return;
    out->err = json_parse(text, pool, &doc, NULL);
    if (out->err != ERR_OK && out->err != ERR_EXHAUSTED)
        out->err = ERR_UPSTREAM_MALFORMED;
    if (out->err != ERR_OK)
        return;
    out->err = judge(o, json_root(doc), out);
    json_free(&doc);
}

static struct slice shown(struct slice text, struct arena *arena)
{
    char out[ERROR_TEXT_BYTES + 1];
    size_t n = redact_text(text, out, sizeof out);

    return n > 0 ? arena_dup(arena, (struct slice){out, n}) : SLICE_NONE;
}

/* Codes are strings at OpenAI. The number of others only repeats the status: what went wrong then stands in
 * `type` (llama.cpp: exceed_context_size_error). */
static struct slice shown_code(const struct failure *f, struct arena *arena)
{
    struct slice type = json_string(f->type);

    if (!json_is_number(f->code))
        return shown(json_string(f->code), arena);
    if (type.n > 0)
        return shown(type, arena);
    return arena_printf(arena, "%lld", (long long)json_int(f->code, 0));
}

struct slice answer_error_text(struct slice body, struct json_pool *pool, struct arena *arena,
                               struct slice *param, struct slice *code)
{
    struct json_doc *doc;
    struct failure f;
    struct slice text;

    *param = *code = SLICE_NONE;
    if (json_parse(body, pool, &doc, NULL) != ERR_OK)
        return SLICE_NONE;
    f = failure_read(json_root(doc));
    text = shown(f.message, arena);
    *param = shown(json_string(f.param), arena);
    *code = shown_code(&f, arena);
    json_free(&doc);
    return text;
}
