/* SPDX-License-Identifier: MIT */
/* What the readers of answers share. */
#include "llm/readers.h"

#include "llm/failure.h"
#include "llm/redact.h"
#include "llm/refusal.h"

/* No request has more tokens. A larger count is nonsense, and believed it would use up a key's limits and
 * spoil the sums of metrics. */
#define TOKENS_MAX INT64_C(100000000)

int64_t readers_tokens(struct json_value v)
{
    int64_t n = json_int(v, 0);

    return n < 0 || n > TOKENS_MAX ? 0 : n;
}

bool readers_are_counts(struct json_value prompt, struct json_value answer)
{
    return (json_is_number(prompt) || json_is_number(answer)) && json_int(prompt, 0) <= TOKENS_MAX &&
           json_int(answer, 0) <= TOKENS_MAX;
}

/* Cached tokens stand in OpenAI's details, at DeepSeek also beside them, at Moonshot only beside them. */
void readers_usage(struct json_value v, struct usage *out)
{
    struct json_value prompt = json_get(v, "prompt_tokens"), completion = json_get(v, "completion_tokens");
    struct json_value cached = json_get(json_get(v, "prompt_tokens_details"), "cached_tokens");
    struct json_value reasoning = json_get(json_get(v, "completion_tokens_details"), "reasoning_tokens");

    if (!json_is_number(cached))
        cached = json_get(v, "prompt_cache_hit_tokens");
    if (!json_is_number(cached))
        cached = json_get(v, "cached_tokens");
    out->prompt_tokens = readers_tokens(prompt);
    out->completion_tokens = readers_tokens(completion);
    out->cached_tokens = readers_tokens(cached);
    out->reasoning_tokens = readers_tokens(reasoning);
    out->known = readers_are_counts(prompt, completion);
}

void readers_usage_io(struct json_value v, struct usage *out)
{
    struct json_value in = json_get(v, "input_tokens"), answer = json_get(v, "output_tokens");

    out->prompt_tokens = readers_tokens(in);
    out->completion_tokens = readers_tokens(answer);
    out->cached_tokens = readers_tokens(json_get(json_get(v, "input_tokens_details"), "cached_tokens"));
    out->reasoning_tokens =
        readers_tokens(json_get(json_get(v, "output_tokens_details"), "reasoning_tokens"));
    out->known = readers_are_counts(in, answer);
}

bool readers_gave_up(const struct dialect *d, struct slice reason)
{
    for (size_t i = 0; i < d->failed_finish_n; i++) {
        if (slice_eq(reason, d->failed_finish[i]))
            return true;
    }
    return false;
}

bool readers_says(struct json_value v)
{
    return json_string(v).n > 0 || json_count(v) > 0;
}

void readers_failure(const struct dialect *d, struct json_value root, struct event *out)
{
    struct failure f = failure_read(root);

    out->kind = EVENT_ERROR;
    out->error_status = failure_status(&f);
    out->refusal = refusal_of(d, out->error_status, &f);
    redact_text(f.message, out->error_text, sizeof out->error_text);
}

enum err readers_failed(const struct dialect *d, struct json_value root, struct answer *out)
{
    struct failure f = failure_read(root);

    out->error_status = failure_status(&f);
    out->refusal = refusal_of(d, out->error_status, &f);
    return json_is_object(root) || f.message.n > 0 ? ERR_UPSTREAM_ERROR : ERR_UPSTREAM_MALFORMED;
}

int readers_status(const struct readers_status *table, struct slice word)
{
    while (table->word != NULL && !slice_eq(word, slice_of(table->word)))
        table++;
    return table->status;
}
