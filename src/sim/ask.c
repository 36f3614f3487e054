/* SPDX-License-Identifier: MIT */
/* Reading a chat completion request: strictly, because a client or gateway that sends nonsense should hear of
 * it from the simulator before it hears of it from a provider. */
#include "sim/ask.h"

#include "sim/text.h"

#define MODEL_MAX_BYTES 256

struct reading {
    struct sim_ask *ask;
    bool fine;
};

static void take_text(struct sim_ask *a, struct json_value text)
{
    struct slice s = json_string(text);

    if (!json_is_string(text))
        return;
    a->hash = sim_text_hash(s, a->hash);
    a->text_bytes += s.n;
}

static bool on_part(void *ud, struct json_value part)
{
    take_text(ud, json_get(part, "text"));
    return true;
}

static bool on_message(void *ud, struct json_value message)
{
    struct reading *r = ud;
    struct json_value content = json_get(message, "content");

    if (!json_is_object(message) || !json_is_string(json_get(message, "role"))) {
        r->fine = false;
        return false;
    }
    take_text(r->ask, content);
    json_each_element(content, on_part, r->ask);
    return true;
}

static bool complain(struct sim_complaint *bad, const char *param, const char *text)
{
    *bad = (struct sim_complaint){text, param};
    return false;
}

static bool is_given(struct json_value v)
{
    return !json_is_absent(v) && !json_is_null(v);
}

static bool read_messages(struct json_value root, struct sim_ask *out, struct sim_complaint *bad)
{
    struct reading r = {out, true};
    struct json_value messages = json_get(root, "messages");

    if (!json_is_array(messages) || json_count(messages) == 0)
        return complain(bad, "messages", "messages must be a list with at least one message.");
    json_each_element(messages, on_message, &r);
    if (!r.fine)
        return complain(bad, "messages", "Every message must be an object with a role.");
    return true;
}

static bool read_flags(struct json_value root, struct sim_ask *out, struct sim_complaint *bad)
{
    struct json_value stream = json_get(root, "stream"), options = json_get(root, "stream_options");
    struct json_value n = json_get(root, "n");

    if (is_given(stream) && !json_is_bool(stream))
        return complain(bad, "stream", "stream must be true or false.");
    if (is_given(options) && !json_is_object(options))
        return complain(bad, "stream_options", "stream_options must be an object.");
    out->stream = json_true(stream);
    if (is_given(options) && !out->stream)
        return complain(bad, "stream_options", "stream_options is only allowed when stream is true.");
    out->include_usage = json_true(json_get(options, "include_usage"));
    if (is_given(n) && json_int(n, 0) != 1)
        return complain(bad, "n", "The simulator makes one choice: n must be 1.");
    return true;
}

static bool read_bounds(struct json_value root, struct sim_ask *out, struct sim_complaint *bad)
{
    struct json_value max = json_get(root, "max_completion_tokens");
    struct slice thinking = json_string(json_get(json_get(root, "thinking"), "type"));
    struct slice effort = json_string(json_get(root, "reasoning_effort"));

    if (!is_given(max))
        max = json_get(root, "max_tokens");
    out->max_tokens = -1;
    if (is_given(max)) {
        out->max_tokens = json_is_number(max) ? json_int(max, 0) : 0;
        if (out->max_tokens < 1)
            return complain(bad, "max_tokens", "The largest number of tokens must be at least 1.");
    }
    out->thinking = !slice_eq(thinking, SLICE("disabled")) && !slice_eq(effort, SLICE("none"));
    return true;
}

static bool read_root(struct json_value root, struct arena *arena, struct sim_ask *out,
                      struct sim_complaint *bad)
{
    struct slice model = json_string(json_get(root, "model"));

    if (!json_is_object(root))
        return complain(bad, NULL, "The body must be a JSON object.");
    if (model.n == 0 || model.n > MODEL_MAX_BYTES)
        return complain(bad, "model", "model must be a name of 1 to 256 bytes.");
    out->model = arena_dup(arena, model);
    return read_messages(root, out, bad) && read_flags(root, out, bad) && read_bounds(root, out, bad);
}

bool sim_ask_parse(struct slice body, struct json_pool *pool, struct arena *arena, struct sim_ask *out,
                   struct sim_complaint *bad)
{
    struct json_doc *doc;
    bool fine;

    *out = (struct sim_ask){.max_tokens = -1};
    if (json_parse(body, pool, &doc, NULL) != ERR_OK)
        return complain(bad, NULL, "The body is not valid JSON.");
    fine = read_root(json_root(doc), arena, out, bad);
    json_free(&doc);
    return fine;
}
