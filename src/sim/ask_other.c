/* SPDX-License-Identifier: MIT */
/* Requests with one prompt or a list of them: text completions and embeddings. A prompt is a text or a list
 * of token ids. */
#include "sim/ask.h"
#include "sim/text.h"

#define TOKEN_BYTES 4
#define TEXT_TOKENS 16 /* max_tokens of a text completion that says nothing else */
#define TOKENS_MAX INT32_MAX
#define NUMBERS_MAX (1024 * 1024) /* of the embeddings of a request */

struct list_reading {
    struct sim_ask *ask;
    bool fine;
};

/* A token id counts as its four bytes, little-endian. */
static bool take_token(struct sim_prompt *p, struct json_value v)
{
    int64_t id = json_is_number(v) ? json_int(v, -1) : -1;
    char bytes[TOKEN_BYTES];

    for (int i = 0; i < TOKEN_BYTES; i++)
        bytes[i] = (char)((uint64_t)id >> 8 * i & 0xff);
    p->hash = sim_text_hash((struct slice){bytes, sizeof bytes}, p->hash);
    p->bytes += TOKEN_BYTES;
    return id >= 0;
}

static bool on_token(void *ud, struct json_value v)
{
    struct list_reading *r = ud;

    r->fine = take_token(&r->ask->prompts[r->ask->prompts_n - 1], v);
    return r->fine;
}

static bool take_prompt(struct list_reading *r, struct json_value v)
{
    struct sim_prompt *p = &r->ask->prompts[r->ask->prompts_n++];

    *p = (struct sim_prompt){0, 0};
    if (json_is_string(v)) {
        sim_ask_take(p, v);
        return true;
    }
    r->fine = json_is_array(v) && json_count(v) > 0;
    json_each_element(v, on_token, r);
    return r->fine;
}

static bool on_prompt(void *ud, struct json_value v)
{
    return take_prompt(ud, v);
}

static bool read_prompts(struct json_value v, const char *param, struct arena *arena, struct sim_ask *out,
                         struct sim_complaint *bad)
{
    struct list_reading r = {out, true};
    size_t n = json_is_array(v) && !json_is_number(json_at(v, 0)) ? json_count(v) : 1;

    if (n == 0 || n > SIM_PROMPTS_MAX)
        return sim_ask_complain(bad, param, "There must be 1 to 2048 prompts.");
    out->prompts = arena_alloc(arena, n * sizeof *out->prompts);
    if (json_is_array(v) && !json_is_number(json_at(v, 0)))
        json_each_element(v, on_prompt, &r);
    else
        (void)take_prompt(&r, v);
    return r.fine || sim_ask_complain(bad, param, "A prompt must be a text or a list of token ids.");
}

bool sim_ask_text(struct json_value root, struct arena *arena, struct sim_ask *out, struct sim_complaint *bad)
{
    int64_t n = 1;

    out->max_tokens = TEXT_TOKENS;
    if (!read_prompts(json_get(root, "prompt"), "prompt", arena, out, bad) ||
        !sim_ask_count(json_get(root, "max_tokens"), "max_tokens", TOKENS_MAX, &out->max_tokens, bad) ||
        !sim_ask_count(json_get(root, "n"), "n", SIM_CHOICES_MAX, &n, bad))
        return false;
    out->choices_n = (uint32_t)n;
    return n * out->prompts_n <= SIM_PROMPTS_MAX ||
           sim_ask_complain(bad, "n", "There must be at most 2048 choices in all.");
}

bool sim_ask_embeddings(struct json_value root, struct arena *arena, struct sim_ask *out,
                        struct sim_complaint *bad)
{
    struct json_value format = json_get(root, "encoding_format");
    int64_t dimensions = 0;

    if (!read_prompts(json_get(root, "input"), "input", arena, out, bad) ||
        !sim_ask_count(json_get(root, "dimensions"), "dimensions", SIM_DIMENSIONS_MAX, &dimensions, bad))
        return false;
    if (out->stream)
        return sim_ask_complain(bad, "stream", "Embeddings do not stream.");
    if (dimensions * out->prompts_n > NUMBERS_MAX)
        return sim_ask_complain(bad, "dimensions", "There must be at most 1048576 numbers in all.");
    out->dimensions = (uint32_t)dimensions;
    out->base64 = slice_eq(json_string(format), SLICE("base64"));
    if (sim_ask_is_given(format) && !out->base64 && !slice_eq(json_string(format), SLICE("float")))
        return sim_ask_complain(bad, "encoding_format", "encoding_format must be float or base64.");
    return true;
}
