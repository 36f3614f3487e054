/* SPDX-License-Identifier: MIT */
/* Requests that are conversations: OpenAI's chat completions, Anthropic's messages, OpenAI's responses. */
#include "sim/ask.h"
#include "sim/text.h"

#define TOKENS_MAX INT32_MAX

struct reading {
    struct sim_prompt *prompt;
    bool fine;
};

/* The prompt of a conversation. */
static struct sim_prompt *only_prompt(struct arena *arena, struct sim_ask *out)
{
    out->prompts = ARENA_NEW(arena, struct sim_prompt);
    out->prompts_n = 1;
    return out->prompts;
}

static bool on_message(void *ud, struct json_value message)
{
    struct reading *r = ud;

    if (!json_is_object(message) || !json_is_string(json_get(message, "role"))) {
        r->fine = false;
        return false;
    }
    sim_ask_take(r->prompt, json_get(message, "content"));
    return true;
}

static bool read_messages(struct json_value messages, struct sim_prompt *prompt, struct sim_complaint *bad)
{
    struct reading r = {prompt, true};

    if (!json_is_array(messages) || json_count(messages) == 0)
        return sim_ask_complain(bad, "messages", "messages must be a list with at least one message.");
    json_each_element(messages, on_message, &r);
    return r.fine || sim_ask_complain(bad, "messages", "Every message must be an object with a role.");
}

static struct slice reasoning_of(struct json_value message)
{
    struct json_value r = json_get(message, "reasoning_content");

    return json_string(json_is_string(r) ? r : json_get(message, "reasoning"));
}

/* A last message of the assistant's may be the beginning of the answer. */
static bool read_last(struct json_value root, struct arena *arena, struct sim_ask *out,
                      struct sim_complaint *bad)
{
    struct json_value messages = json_get(root, "messages");
    size_t n = json_count(messages);
    struct json_value last = json_at(messages, n - 1);

    out->asks_to_continue =
        json_true(json_get(last, "prefix")) || json_true(json_get(root, "continue_final_message"));
    out->ends_with_answer = slice_eq(json_string(json_get(last, "role")), SLICE("assistant"));
    if (out->asks_to_continue && !out->ends_with_answer)
        return sim_ask_complain(bad, "messages", "Only a last message of the assistant's can be continued.");
    if (!out->ends_with_answer)
        return true;
    for (size_t i = 0; i + 1 < n; i++)
        sim_ask_take(&out->before, json_get(json_at(messages, i), "content"));
    out->said = arena_dup(arena, json_string(json_get(last, "content")));
    out->thought = arena_dup(arena, reasoning_of(last));
    return true;
}

static bool read_bounds(struct json_value root, struct sim_ask *out, struct sim_complaint *bad)
{
    struct json_value max = json_get(root, "max_completion_tokens");
    struct slice thinking = json_string(json_get(json_get(root, "thinking"), "type"));
    struct slice effort = json_string(json_get(root, "reasoning_effort"));
    int64_t n = 1;

    if (!sim_ask_is_given(max))
        max = json_get(root, "max_tokens");
    out->thinking = !slice_eq(thinking, SLICE("disabled")) && !slice_eq(effort, SLICE("none"));
    if (!sim_ask_count(max, "max_tokens", TOKENS_MAX, &out->max_tokens, bad) ||
        !sim_ask_count(json_get(root, "n"), "n", SIM_CHOICES_MAX, &n, bad))
        return false;
    out->choices_n = (uint32_t)n;
    return true;
}

static struct slice tool_of(struct json_value root, struct arena *arena)
{
    struct json_value name = json_get(json_get(json_at(json_get(root, "tools"), 0), "function"), "name");

    return json_is_string(name) ? arena_dup(arena, json_string(name)) : SLICE_NONE;
}

bool sim_ask_chat(struct json_value root, struct arena *arena, struct sim_ask *out, struct sim_complaint *bad)
{
    out->tool = tool_of(root, arena);
    return read_messages(json_get(root, "messages"), only_prompt(arena, out), bad) &&
           read_last(root, arena, out, bad) && read_bounds(root, out, bad);
}

bool sim_ask_messages(struct json_value root, struct arena *arena, struct sim_ask *out,
                      struct sim_complaint *bad)
{
    struct sim_prompt *prompt = only_prompt(arena, out);

    sim_ask_take(prompt, json_get(root, "system"));
    out->before = *prompt;
    if (!sim_ask_is_given(json_get(root, "max_tokens")))
        return sim_ask_complain(bad, "max_tokens", "max_tokens must be given.");
    return read_messages(json_get(root, "messages"), prompt, bad) && read_last(root, arena, out, bad) &&
           sim_ask_count(json_get(root, "max_tokens"), "max_tokens", TOKENS_MAX, &out->max_tokens, bad);
}

static bool on_item(void *ud, struct json_value item)
{
    sim_ask_take(ud, json_get(item, "content"));
    return true;
}

bool sim_ask_responses(struct json_value root, struct arena *arena, struct sim_ask *out,
                       struct sim_complaint *bad)
{
    struct json_value input = json_get(root, "input");
    struct sim_prompt *prompt = only_prompt(arena, out);

    sim_ask_take(prompt, json_get(root, "instructions"));
    if (!json_is_string(input) && json_count(input) == 0)
        return sim_ask_complain(bad, "input", "input must be a text or a list of items.");
    if (json_is_string(input))
        sim_ask_take(prompt, input);
    json_each_element(input, on_item, prompt);
    return sim_ask_count(json_get(root, "max_output_tokens"), "max_output_tokens", TOKENS_MAX,
                         &out->max_tokens, bad);
}
