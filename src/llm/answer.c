/* SPDX-License-Identifier: MIT */
/* Reads streamed events and whole answers.
 *
 * Why one parse and callbacks: this runs for every event of every stream. The document lives in the
 * worker's pool, each object is walked once, and names are told apart by their length before any byte is
 * compared. */
#include "llm/answer.h"

#include "llm/failure.h"
#include "llm/redact.h"
#include "llm/refusal.h"
#include "llm/splice.h"

#define ERROR_TEXT_BYTES 300
#define TOKENS_MAX \
    INT64_C(1000000000000) /* no count of tokens is larger; keeps sums of them far from overflow */

/* What an answer's top level holds; of doubled members the last. */
struct top {
    struct json_value choices, usage, error, object;
};

/* What the choices say, all together. */
struct look {
    const struct dialect *dialect;
    bool text;      /* some part of an answer */
    bool finished;  /* a finish_reason */
    bool other_end; /* a finish_reason other than "stop" */
    bool busy;      /* a finish_reason by which the server gives up */
    bool failed;    /* finish_reason "error" (OpenRouter) */
    bool malformed;
};

static bool on_top(void *ud, struct slice key, struct json_value v)
{
    struct top *top = ud;

    if (slice_eq(key, SLICE("choices")))
        top->choices = v;
    else if (slice_eq(key, SLICE("usage")))
        top->usage = v;
    else if (slice_eq(key, SLICE("error")))
        top->error = v;
    else if (slice_eq(key, SLICE("object")))
        top->object = v;
    return true;
}

/* A delta and a message have the same members. Names as of conventions 1.3, 2.2, 3.8; images and
 * reasoning_details are OpenRouter's. */
static bool is_part(struct slice key)
{
    switch (key.n) {
    case 5:
        return slice_eq(key, SLICE("audio"));
    case 6:
        return slice_eq(key, SLICE("images"));
    case 7:
        return slice_eq(key, SLICE("content")) || slice_eq(key, SLICE("refusal"));
    case 9:
        return slice_eq(key, SLICE("reasoning"));
    case 10:
        return slice_eq(key, SLICE("tool_calls"));
    case 13:
        return slice_eq(key, SLICE("function_call"));
    case 17:
        return slice_eq(key, SLICE("reasoning_content")) || slice_eq(key, SLICE("reasoning_details"));
    default:
        return false;
    }
}

static bool on_part(void *ud, struct slice key, struct json_value v)
{
    struct look *look = ud;

    if (is_part(key) && (json_string(v).n > 0 || json_count(v) > 0))
        look->text = true;
    return !look->text;
}

/* "" stands for null at StepFun. */
static void read_finish(struct look *look, struct slice reason)
{
    if (reason.n == 0)
        return;
    look->finished = true;
    if (slice_eq(reason, SLICE("stop")))
        return;
    look->other_end = true;
    if (slice_eq(reason, SLICE("error")))
        look->failed = true;
    for (size_t i = 0; i < look->dialect->failed_finish_n; i++) {
        if (slice_eq(reason, look->dialect->failed_finish[i]))
            look->busy = true;
    }
}

static bool on_choice_member(void *ud, struct slice key, struct json_value v)
{
    struct look *look = ud;

    if (slice_eq(key, SLICE("delta")) || slice_eq(key, SLICE("message")))
        json_each(v, on_part, look);
    else if (slice_eq(key, SLICE("finish_reason")))
        read_finish(look, json_string(v));
    return true;
}

static bool on_choice(void *ud, struct json_value choice)
{
    struct look *look = ud;

    if (!json_is_object(choice))
        look->malformed = true;
    json_each(choice, on_choice_member, look);
    return !look->malformed;
}

static struct look look_at(const struct dialect *d, struct json_value choices)
{
    struct look look = {.dialect = d};

    look.malformed = !json_is_absent(choices) && !json_is_null(choices) && !json_is_array(choices);
    json_each_element(choices, on_choice, &look);
    return look;
}

static int64_t tokens(struct json_value v)
{
    int64_t n = json_int(v, 0);

    return n < 0 ? 0 : n > TOKENS_MAX ? TOKENS_MAX : n;
}

/* Cached tokens stand in OpenAI's details, at DeepSeek also beside them, at Moonshot only beside them. */
static void read_usage(struct json_value v, struct usage *out)
{
    struct json_value prompt = json_get(v, "prompt_tokens"), completion = json_get(v, "completion_tokens");
    struct json_value cached = json_get(json_get(v, "prompt_tokens_details"), "cached_tokens");
    struct json_value reasoning = json_get(json_get(v, "completion_tokens_details"), "reasoning_tokens");

    if (!json_is_number(cached))
        cached = json_get(v, "prompt_cache_hit_tokens");
    if (!json_is_number(cached))
        cached = json_get(v, "cached_tokens");
    out->prompt_tokens = tokens(prompt);
    out->completion_tokens = tokens(completion);
    out->cached_tokens = tokens(cached);
    out->reasoning_tokens = tokens(reasoning);
    out->known = json_is_number(prompt) || json_is_number(completion);
}

/* A success that is none: an error object where the answer should stand. */
static bool is_failure(const struct top *top, struct json_value root)
{
    if ((!json_is_absent(top->error) && failure_is_truthy(top->error)) ||
        slice_eq(json_string(top->object), SLICE("error")))
        return true;
    return json_is_absent(top->choices) && json_is_absent(top->usage) && failure_is_flat(root);
}

static void read_failure(const struct dialect *d, struct json_value root, struct event *out)
{
    struct failure f = failure_read(root);

    out->kind = EVENT_ERROR;
    out->error_status = failure_status(&f);
    out->refusal = refusal_of(d, out->error_status, &f);
    redact_text(f.message, out->error_text, sizeof out->error_text);
}

static void read_event(const struct dialect *d, struct json_value root, struct event *out)
{
    struct top top = {0};
    struct look look;

    json_each(root, on_top, &top);
    out->usage_member = !json_is_absent(top.usage);
    out->has_usage = json_is_object(top.usage);
    if (out->has_usage)
        read_usage(top.usage, &out->usage);
    look = look_at(d, top.choices);
    out->has_text = look.text;
    out->finished = look.finished;
    out->plain_stop = look.finished && !look.other_end;
    if (is_failure(&top, root))
        read_failure(d, root, out);
    else if (look.malformed)
        out->kind = EVENT_MALFORMED;
    else if (look.failed)
        out->kind = EVENT_ERROR;
    else if (look.busy)
        out->kind = EVENT_BUSY;
    else if (out->has_usage && json_count(top.choices) == 0)
        out->kind = EVENT_USAGE;
    else
        out->kind = EVENT_PAYLOAD;
}

void answer_event(const struct dialect *d, struct slice data, struct json_pool *pool, struct event *out)
{
    struct json_doc *doc;

    /* Field by field: zeroing error_text as well would cost a tenth of the whole function. */
    out->kind = EVENT_MALFORMED;
    out->has_text = out->finished = out->plain_stop = out->has_usage = out->usage_member = false;
    out->usage = (struct usage){0};
    out->error_status = 0;
    out->refusal = REFUSAL_PLAIN;
    out->error_text[0] = '\0';
    if (data.n > 0 && data.p[0] != '{' && slice_eq(slice_trim(data), SLICE("[DONE]"))) {
        out->kind = EVENT_DONE;
        return;
    }
    if (json_parse(data, pool, &doc, NULL) != ERR_OK)
        return;
    if (json_is_object(json_root(doc)))
        read_event(d, json_root(doc), out);
    json_free(&doc);
}

struct slice answer_strip_usage(struct slice data, struct arena *arena)
{
    struct slice piece = data; /* the text as it is; the first cut needs a second piece, and so a copy */
    struct slice result;
    struct splice s;
    struct member m;

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
    return result.p ? result : piece;
}

static enum err failed(const struct dialect *d, struct json_value root, struct answer *out)
{
    struct failure f = failure_read(root);

    out->error_status = failure_status(&f);
    out->refusal = refusal_of(d, out->error_status, &f);
    return json_is_object(root) || f.message.n > 0 ? ERR_UPSTREAM_ERROR : ERR_UPSTREAM_MALFORMED;
}

static enum err judge(const struct dialect *d, struct json_value root, struct answer *out)
{
    struct top top = {0};
    struct look look;

    if (!json_is_object(root))
        return failed(d, root, out);
    json_each(root, on_top, &top);
    if (json_is_object(top.usage))
        read_usage(top.usage, &out->usage);
    look = look_at(d, top.choices);
    if (is_failure(&top, root))
        return failed(d, root, out);
    if (look.failed)
        return ERR_UPSTREAM_ERROR;
    if (look.malformed)
        return ERR_UPSTREAM_MALFORMED;
    if (look.busy)
        return ERR_UPSTREAM_BUSY;
    return look.text || look.other_end ? ERR_OK : ERR_UPSTREAM_EMPTY;
}

void answer_body(const struct dialect *d, struct slice body, struct json_pool *pool, struct answer *out)
{
    struct slice text = slice_trim(body);
    struct json_doc *doc;

    *out = (struct answer){.err = ERR_UPSTREAM_EMPTY};
    out->skip = text.n > 0 ? (size_t)(text.p - body.p) : body.n;
    if (text.n == 0)
        return;
    out->err = ERR_UPSTREAM_MALFORMED;
    if (json_parse(text, pool, &doc, NULL) != ERR_OK)
        return;
    out->err = judge(d, json_root(doc), out);
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
