/* SPDX-License-Identifier: MIT */
/* Reads answers in OpenAI's Responses API (conventions 2.8): a list of output items, streamed as typed events
 * of which the last carries the whole response. */
#include "base/assert.h"
#include "llm/failure.h"
#include "llm/readers.h"

/* error.code of a response that has failed, besides what failure_status knows. What is not listed is the
 * server's failure. */
static const struct readers_status STATUSES[] = {
    {"server_is_overloaded", 503},    {"invalid_prompt", 400},
    {"context_length_exceeded", 400}, {"invalid_image", 400},
    {"invalid_image_format", 400},    {"invalid_base64_image", 400},
    {"invalid_image_url", 400},       {"invalid_image_mode", 400},
    {"image_too_large", 400},         {"image_too_small", 400},
    {"image_parse_error", 400},       {"image_content_policy_violation", 400},
    {"image_file_too_large", 400},    {"unsupported_image_media_type", 400},
    {"empty_image_file", 400},        {"failed_to_download_image", 400},
    {"image_file_not_found", 400},    {NULL, 0},
};

/* A message and reasoning begin empty; every other kind of item (a call of a function, a search) says
 * something by being there. */
static bool item_says(struct json_value item)
{
    struct slice type = json_string(json_get(item, "type"));

    if (!slice_eq(type, SLICE("message")) && !slice_eq(type, SLICE("reasoning")))
        return json_is_object(item);
    return readers_says(json_get(item, "content")) || readers_says(json_get(item, "summary"));
}

static bool on_item(void *ud, struct json_value item)
{
    bool *says = ud;

    *says = item_says(item);
    return !*says;
}

static bool output_says(struct json_value response)
{
    bool says = false;

    json_each_element(json_get(response, "output"), on_item, &says);
    return says;
}

static void on_failed(const struct dialect *d, struct json_value root, struct event *out)
{
    struct json_value code = json_get(json_get(root, "error"), "code");

    readers_failure(d, root, out);
    if (out->error_status == 0)
        out->error_status =
            readers_status(STATUSES, json_string(json_is_absent(code) ? json_get(root, "code") : code));
}

static void read_response_usage(struct json_value response, struct event *out)
{
    readers_usage_io(json_get(response, "usage"), &out->usage);
    out->has_usage = out->usage.known;
}

static void on_end(const struct dialect *d, struct json_value root, struct event *out)
{
    struct json_value response = json_get(root, "response");
    struct slice reason = json_string(json_get(json_get(response, "incomplete_details"), "reason"));

    read_response_usage(response, out);
    out->kind = readers_gave_up(d, reason) ? EVENT_BUSY : EVENT_DONE;
    out->finished = true;
    out->has_text = output_says(response);
    out->plain_stop = slice_eq(json_string(json_get(root, "type")), SLICE("response.completed"));
}

static void on_part(struct slice type, struct json_value root, struct event *out)
{
    static const char *const MEMBERS[] = {"delta", "text", "arguments", "refusal", "input", "code"};

    if (slice_ends(type, SLICE(".delta")) || slice_ends(type, SLICE(".done"))) {
        for (size_t i = 0; i < COUNT_OF(MEMBERS) && !out->has_text; i++)
            out->has_text = readers_says(json_get(root, MEMBERS[i]));
    }
    if (slice_starts(type, SLICE("response.output_item.")))
        out->has_text = item_says(json_get(root, "item"));
}

void responses_event(const struct dialect *d, struct json_value root, struct event *out)
{
    struct slice type = json_string(json_get(root, "type"));

    out->kind = EVENT_PAYLOAD;
    if (slice_eq(type, SLICE("response.completed")) || slice_eq(type, SLICE("response.incomplete"))) {
        on_end(d, root, out);
    } else if (slice_eq(type, SLICE("response.failed")) || slice_eq(type, SLICE("response.cancelled"))) {
        read_response_usage(json_get(root, "response"), out);
        on_failed(d, json_get(root, "response"), out);
    } else if (slice_eq(type, SLICE("error")) || failure_is_truthy(json_get(root, "error")) ||
               (type.n == 0 && failure_is_flat(root))) {
        on_failed(d, root, out);
    } else if (slice_eq(type, SLICE("keepalive")) || slice_eq(type, SLICE("ping"))) {
        out->kind = EVENT_WAITING;
    } else if (type.n == 0) {
        out->kind = EVENT_MALFORMED;
    } else {
        on_part(type, root, out);
    }
}

enum err responses_judge(const struct dialect *d, struct json_value root, struct answer *out)
{
    struct slice status = json_string(json_get(root, "status"));
    struct slice reason = json_string(json_get(json_get(root, "incomplete_details"), "reason"));
    struct json_value output = json_get(root, "output");

    readers_usage_io(json_get(root, "usage"), &out->usage);
    if (failure_is_truthy(json_get(root, "error")) || slice_eq(status, SLICE("failed")) ||
        slice_eq(status, SLICE("cancelled")) || (json_is_absent(output) && failure_is_flat(root)))
        return readers_failed(d, root, out);
    if (slice_eq(status, SLICE("queued")) || slice_eq(status, SLICE("in_progress")))
        return ERR_OK; /* in the background: the client asks again */
    if (!json_is_array(output))
        return ERR_UPSTREAM_MALFORMED;
    if (readers_gave_up(d, reason))
        return ERR_UPSTREAM_BUSY;
    return output_says(root) || slice_eq(status, SLICE("incomplete")) ? ERR_OK : ERR_UPSTREAM_EMPTY;
}
