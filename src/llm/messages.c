/* SPDX-License-Identifier: MIT */
/* Reads answers in Anthropic's Messages API (conventions 2.11): one message of content blocks.
 *
 * The type in the JSON is what counts; the stream's `event:` lines repeat it. */
#include "base/assert.h"
#include "llm/failure.h"
#include "llm/readers.h"

/* Besides those that failure_status knows: words that other providers use for anything. */
static const struct readers_status STATUSES[] = {
    {"invalid_request_error", 400}, {"not_found_error", 404}, {"request_too_large", 413}, {NULL, 0}};

/* input_tokens does not count what was read from a cache or written to it. The end of a stream may repeat
 * these without it: that tells nothing of the prompt. */
static void read_usage(struct json_value v, struct usage *out)
{
    struct json_value input = json_get(v, "input_tokens");
    int64_t cached = readers_tokens(json_get(v, "cache_read_input_tokens"));

    if (json_is_number(input))
        out->prompt_tokens =
            readers_tokens(input) + cached + readers_tokens(json_get(v, "cache_creation_input_tokens"));
    out->completion_tokens = readers_tokens(json_get(v, "output_tokens"));
    out->cached_tokens = cached;
    out->known = readers_are_counts(input, json_get(v, "output_tokens"));
}

static void on_message_start(const struct dialect *d, struct json_value root, struct event *out)
{
    struct json_value message = json_get(root, "message");

    (void)d;
    read_usage(json_get(message, "usage"), &out->usage);
    out->has_usage = out->usage.known;
    out->has_text = readers_says(json_get(message, "content"));
}

/* Text and thinking can be empty, as they begin; every other kind of block says something by being there. */
static bool block_says(struct json_value block)
{
    struct slice type = json_string(json_get(block, "type"));

    if (slice_eq(type, SLICE("text")) || slice_eq(type, SLICE("thinking")))
        return readers_says(json_get(block, "text")) || readers_says(json_get(block, "thinking"));
    return json_is_object(block);
}

static bool on_block(void *ud, struct json_value block)
{
    bool *says = ud;

    *says = block_says(block);
    return !*says;
}

static void on_block_start(const struct dialect *d, struct json_value root, struct event *out)
{
    (void)d;
    out->has_text = block_says(json_get(root, "content_block"));
}

static bool on_delta_member(void *ud, struct slice key, struct json_value v)
{
    struct event *out = ud;

    if (!slice_eq(key, SLICE("type")) && readers_says(v))
        out->has_text = true;
    return !out->has_text;
}

static void on_block_delta(const struct dialect *d, struct json_value root, struct event *out)
{
    (void)d;
    json_each(json_get(root, "delta"), on_delta_member, out);
}

static void on_message_delta(const struct dialect *d, struct json_value root, struct event *out)
{
    struct slice reason = json_string(json_get(json_get(root, "delta"), "stop_reason"));

    read_usage(json_get(root, "usage"), &out->usage);
    out->has_usage = out->usage.known;
    out->finished = reason.n > 0;
    out->plain_stop = slice_eq(reason, SLICE("end_turn"));
    if (readers_gave_up(d, reason))
        out->kind = EVENT_BUSY;
}

static void on_message_stop(const struct dialect *d, struct json_value root, struct event *out)
{
    (void)d, (void)root;
    out->kind = EVENT_DONE;
}

static void on_ping(const struct dialect *d, struct json_value root, struct event *out)
{
    (void)d, (void)root;
    out->kind = EVENT_WAITING;
}

static void on_error(const struct dialect *d, struct json_value root, struct event *out)
{
    readers_failure(d, root, out);
    if (out->error_status == 0)
        out->error_status = readers_status(STATUSES, json_string(json_get(json_get(root, "error"), "type")));
}

static const struct {
    const char *type;
    void (*read)(const struct dialect *d, struct json_value root, struct event *out);
} TYPES[] = {
    {"content_block_delta", on_block_delta},
    {"content_block_start", on_block_start},
    {"message_start", on_message_start},
    {"message_delta", on_message_delta},
    {"message_stop", on_message_stop},
    {"ping", on_ping},
    {"error", on_error},
};

/* Types that are not in the table (content_block_stop, and what is still to come) pass as parts of the answer
 * that say nothing. */
void messages_event(const struct dialect *d, struct json_value root, struct event *out)
{
    struct slice type = json_string(json_get(root, "type"));

    out->kind = EVENT_PAYLOAD;
    for (size_t i = 0; i < COUNT_OF(TYPES); i++) {
        if (slice_eq(type, slice_of(TYPES[i].type))) {
            TYPES[i].read(d, root, out);
            return;
        }
    }
    if (failure_is_truthy(json_get(root, "error")) || failure_is_flat(root))
        on_error(d, root, out);
    else if (type.n == 0)
        out->kind = EVENT_MALFORMED;
}

enum err messages_judge(const struct dialect *d, struct json_value root, struct answer *out)
{
    struct json_value content = json_get(root, "content");
    struct slice reason = json_string(json_get(root, "stop_reason"));
    bool says = false;

    read_usage(json_get(root, "usage"), &out->usage);
    if (failure_is_truthy(json_get(root, "error")) || (json_is_absent(content) && failure_is_flat(root)))
        return readers_failed(d, root, out);
    if (!json_is_array(content))
        return ERR_UPSTREAM_MALFORMED;
    if (readers_gave_up(d, reason))
        return ERR_UPSTREAM_BUSY;
    json_each_element(content, on_block, &says);
    if (says || (reason.n > 0 && !slice_eq(reason, SLICE("end_turn"))))
        return ERR_OK;
    return ERR_UPSTREAM_EMPTY;
}
