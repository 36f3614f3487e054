/* SPDX-License-Identifier: MIT */
/* Reading a request: strictly, because a client or gateway that sends nonsense should hear of it from the
 * simulator before it hears of it from a provider. What only one API has is in ask_chat.c and ask_other.c. */
#include "sim/ask.h"

#include "sim/text.h"

#define MODEL_MAX_BYTES 256

bool sim_ask_complain(struct sim_complaint *bad, const char *param, const char *text)
{
    *bad = (struct sim_complaint){text, param};
    return false;
}

bool sim_ask_is_given(struct json_value v)
{
    return !json_is_absent(v) && !json_is_null(v);
}

static void take_text(struct sim_prompt *p, struct json_value text)
{
    struct slice s = json_string(text);

    if (!json_is_string(text))
        return;
    p->hash = sim_text_hash(s, p->hash);
    p->bytes += s.n;
}

static bool on_part(void *ud, struct json_value part)
{
    take_text(ud, json_get(part, "text"));
    return true;
}

void sim_ask_take(struct sim_prompt *p, struct json_value content)
{
    take_text(p, content);
    json_each_element(content, on_part, p);
}

bool sim_ask_count(struct json_value v, const char *param, int64_t max, int64_t *out,
                   struct sim_complaint *bad)
{
    int64_t n;

    if (!sim_ask_is_given(v))
        return true;
    n = json_is_number(v) ? json_int(v, 0) : 0;
    if (n < 1 || n > max)
        return sim_ask_complain(bad, param, "A count is no number, less than 1 or too large.");
    *out = n;
    return true;
}

static bool read_flags(struct json_value root, struct sim_ask *out, struct sim_complaint *bad)
{
    struct json_value stream = json_get(root, "stream"), options = json_get(root, "stream_options");

    if (sim_ask_is_given(stream) && !json_is_bool(stream))
        return sim_ask_complain(bad, "stream", "stream must be true or false.");
    if (sim_ask_is_given(options) && !json_is_object(options))
        return sim_ask_complain(bad, "stream_options", "stream_options must be an object.");
    out->stream = json_true(stream);
    if (sim_ask_is_given(options) && !out->stream)
        return sim_ask_complain(bad, "stream_options", "stream_options is only allowed when stream is true.");
    out->include_usage = json_true(json_get(options, "include_usage"));
    return true;
}

static bool read_root(struct json_value root, sim_ask_read read, struct arena *arena, struct sim_ask *out,
                      struct sim_complaint *bad)
{
    struct slice model = json_string(json_get(root, "model"));

    if (!json_is_object(root))
        return sim_ask_complain(bad, NULL, "The body must be a JSON object.");
    if (model.n == 0 || model.n > MODEL_MAX_BYTES)
        return sim_ask_complain(bad, "model", "model must be a name of 1 to 256 bytes.");
    out->model = arena_dup(arena, model);
    return read_flags(root, out, bad) && read(root, arena, out, bad);
}

bool sim_ask_parse(struct slice body, sim_ask_read read, struct json_pool *pool, struct arena *arena,
                   struct sim_ask *out, struct sim_complaint *bad)
{
    struct json_doc *doc;
    bool fine;

    *out = (struct sim_ask){.max_tokens = -1, .choices_n = 1};
    if (json_parse(body, pool, &doc, NULL) != ERR_OK)
        return sim_ask_complain(bad, NULL, "The body is not valid JSON.");
    fine = read_root(json_root(doc), read, arena, out, bad);
    json_free(&doc);
    return fine;
}
