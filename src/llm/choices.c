/* SPDX-License-Identifier: MIT */
/* Reads the answers of chat and text completions: a list of choices.
 *
 * Why callbacks: this runs for every event of every stream. Each object is walked once, and names are told
 * apart by their length before any byte is compared. */
#include "llm/failure.h"
#include "llm/readers.h"

/* What an answer's top level holds; of doubled members the last. */
struct top {
    struct json_value choices, usage, error, object;
    const char *first_name, *usage_name;
    size_t usages_n;
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

    if (top->first_name == NULL)
        top->first_name = key.p;
    if (slice_eq(key, SLICE("choices"))) {
        top->choices = v;
    } else if (slice_eq(key, SLICE("usage"))) {
        top->usage = v;
        top->usage_name = key.p;
        top->usages_n++;
    } else if (slice_eq(key, SLICE("error"))) {
        top->error = v;
    } else if (slice_eq(key, SLICE("object"))) {
        top->object = v;
    }
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

    if (is_part(key) && readers_says(v))
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
    if (readers_gave_up(look->dialect, reason))
        look->busy = true;
}

static bool on_choice_member(void *ud, struct slice key, struct json_value v)
{
    struct look *look = ud;

    if (slice_eq(key, SLICE("delta")) || slice_eq(key, SLICE("message")))
        json_each(v, on_part, look);
    else if (slice_eq(key, SLICE("finish_reason")))
        read_finish(look, json_string(v));
    else if (slice_eq(key, SLICE("text")) && readers_says(v)) /* of a text completion */
        look->text = true;
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

/* A success that is none: an error object where the answer should stand. */
static bool is_failure(const struct top *top, struct json_value root)
{
    if ((!json_is_absent(top->error) && failure_is_truthy(top->error)) ||
        slice_eq(json_string(top->object), SLICE("error")))
        return true;
    return json_is_absent(top->choices) && json_is_absent(top->usage) && failure_is_flat(root);
}

void choices_event(const struct dialect *d, struct json_value root, struct event *out)
{
    struct top top = {0};
    struct look look;

    json_each(root, on_top, &top);
    out->usage_member = !json_is_absent(top.usage);
    if (top.usages_n == 1)
        out->usage_behind = (size_t)(top.usage_name - top.first_name);
    out->has_usage = json_is_object(top.usage);
    if (out->has_usage)
        readers_usage(top.usage, &out->usage);
    look = look_at(d, top.choices);
    out->has_text = look.text;
    out->finished = look.finished;
    out->plain_stop = look.finished && !look.other_end;
    if (is_failure(&top, root))
        readers_failure(d, root, out);
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

/* An answer that has ended well but says nothing is left for the callers to judge: ERR_UPSTREAM_EMPTY, with
 * *ended set. */
static enum err judge(const struct dialect *d, struct json_value root, struct answer *out, bool *ended)
{
    struct top top = {0};
    struct look look;

    json_each(root, on_top, &top);
    if (json_is_object(top.usage))
        readers_usage(top.usage, &out->usage);
    look = look_at(d, top.choices);
    *ended = look.finished;
    if (is_failure(&top, root))
        return readers_failed(d, root, out);
    if (look.failed)
        return ERR_UPSTREAM_ERROR;
    if (look.malformed)
        return ERR_UPSTREAM_MALFORMED;
    if (look.busy)
        return ERR_UPSTREAM_BUSY;
    return look.text || look.other_end ? ERR_OK : ERR_UPSTREAM_EMPTY;
}

enum err choices_judge(const struct dialect *d, struct json_value root, struct answer *out)
{
    bool ended;

    return judge(d, root, out, &ended);
}

enum err choices_judge_text(const struct dialect *d, struct json_value root, struct answer *out)
{
    bool ended;
    enum err e = judge(d, root, out, &ended);

    return e == ERR_UPSTREAM_EMPTY && ended ? ERR_OK : e;
}
