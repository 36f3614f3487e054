/* SPDX-License-Identifier: MIT */
/* The table of dialects: facts of the providers' own documentation, one row each. */
#include "llm/dialect.h"

#include "base/assert.h"

#define TEXT(s)            \
    {                      \
        (s), sizeof(s) - 1 \
    }
#define NO_TEXT \
    {           \
        NULL, 0 \
    }
#define ROWS(member, table) .member = (table), .member##_n = COUNT_OF(table)

/* -- finish reasons that are failures -------------------------------------------------------------------- */

/* The plain row also serves the many providers that copied OpenAI's API: hosts of DeepSeek's models pass
 * its reason on, Zhipu reports a failure in the middle of a stream as "network_error". */
static const struct slice openai_failed[] = {TEXT("insufficient_system_resource"), TEXT("network_error")};
static const struct slice deepseek_failed[] = {TEXT("insufficient_system_resource"), TEXT("aborted")};
/* vLLM and SGLang: the engine dropped the request. (vLLM's "repetition" is an end like "length".) */
static const struct slice abort_failed[] = {TEXT("abort")};
/* Another gateway passes on what any of them says. */
static const struct slice tidegate_failed[] = {TEXT("insufficient_system_resource"), TEXT("aborted"),
                                               TEXT("abort"), TEXT("network_error")};

/* -- request ids ----------------------------------------------------------------------------------------- */

static const struct slice openai_ids[] = {TEXT("x-request-id")};
static const struct slice deepseek_ids[] = {TEXT("x-request-id"), TEXT("x-deepseek-request-id")};
static const struct slice anthropic_ids[] = {TEXT("request-id"), TEXT("x-request-id")};

/* -- what refusals say ----------------------------------------------------------------------------------- */

#define WORD(status, word, means)            \
    {                                        \
        TEXT(word), NO_TEXT, status, (means) \
    }
#define WORDS(status, text, means)           \
    {                                        \
        NO_TEXT, TEXT(text), status, (means) \
    }

/* "Unavailable" is llama-server's word for loading, "overloaded" TGI's for full: many use both through the
 * plain row. OpenAI answers 429 to an account without money, and its SDKs would retry that for ever. */
static const struct dialect_sign openai_signs[] = {
    WORD(0, "insufficient_quota", REFUSAL_QUOTA),
    WORD(429, "billing_hard_limit_reached", REFUSAL_QUOTA),
    WORD(429, "overloaded", REFUSAL_BUSY),
    WORD(503, "unavailable_error", REFUSAL_LOADING),
};

static const struct dialect_sign llama_signs[] = {
    WORD(503, "unavailable_error", REFUSAL_LOADING),
    WORDS(503, "Loading model", REFUSAL_LOADING),
};

/* Both are 503 by documentation. Proxies and older versions wrap them in a 500, or in an event of a stream.
 */
static const struct dialect_sign ollama_signs[] = {
    WORDS(0, "maximum pending requests exceeded", REFUSAL_BUSY),
};

static const struct dialect_sign sglang_signs[] = {
    WORDS(0, "The request queue is full", REFUSAL_BUSY),
};

/* 429 without Retry-After and with this code, and 400 where the organisation's own limit is reached. */
static const struct dialect_sign anthropic_signs[] = {
    WORD(0, "overloaded_error", REFUSAL_BUSY),
    WORD(0, "billing_error", REFUSAL_QUOTA),
    WORD(0, "enforced_spend_limit_reached", REFUSAL_QUOTA),
    WORDS(400, "credit balance is too low", REFUSAL_QUOTA),
};

/* What the gateway behind this one says of its own providers (docs/errors.md), for which it has one status.
 */
static const struct dialect_sign tidegate_signs[] = {
    WORD(0, "upstream_loading", REFUSAL_LOADING),
    WORD(0, "queue_full", REFUSAL_BUSY),
    WORD(0, "wait_too_long", REFUSAL_BUSY),
    WORD(0, "upstream_busy", REFUSAL_BUSY),
    WORD(0, "gateway_draining", REFUSAL_BUSY),
    WORD(0, "memory_budget_exhausted", REFUSAL_BUSY),
    WORD(504, "deadline_exceeded", REFUSAL_BUSY),
    WORD(0, "upstream_balance_exhausted", REFUSAL_QUOTA),
    WORD(0, "upstream_credential_refused", REFUSAL_CREDENTIAL),
};

/* -- the rows -------------------------------------------------------------------------------------------- */

#define MODELS .models_path = TEXT("/models")
#define SPEAKS(surface, path) [SURFACE_##surface] = TEXT(path)
#define OPENAI_PATHS                                                        \
    SPEAKS(CHAT, "/chat/completions"), SPEAKS(COMPLETIONS, "/completions"), \
        SPEAKS(EMBEDDINGS, "/embeddings"), SPEAKS(RESPONSES, "/responses")
/* The engines, and another gateway, have Anthropic's route beside them. */
#define EVERY_PATH OPENAI_PATHS, SPEAKS(MESSAGES, "/messages")

static const struct dialect dialects[DIALECT_N] = {
    [DIALECT_OPENAI] =
        {
            .name = "openai",
            .path = {OPENAI_PATHS},
            MODELS,
            ROWS(failed_finish, openai_failed),
            ROWS(request_id_headers, openai_ids),
            ROWS(signs, openai_signs),
        },
    [DIALECT_DEEPSEEK] =
        {
            .name = "deepseek",
            .messages_api_key = true,
            .path = {SPEAKS(CHAT, "/chat/completions"), SPEAKS(RESPONSES, "/responses"),
                     SPEAKS(COMPLETIONS, "/beta/completions"), /* fill in the middle */
                     SPEAKS(MESSAGES, "/anthropic/v1/messages")},
            MODELS,
            .chat_base = TEXT("/beta"),
            .usage_on_last_content = true,
            .blank_lines_wait = true,
            .no_developer = true,
            ROWS(failed_finish, deepseek_failed),
            ROWS(request_id_headers, deepseek_ids),
        },
    [DIALECT_LLAMA] =
        {
            .name = "llama",
            .path = {EVERY_PATH},
            MODELS,
            .no_developer = true,
            ROWS(request_id_headers, openai_ids),
            ROWS(signs, llama_signs),
        },
    [DIALECT_VLLM] =
        {
            .name = "vllm",
            .path = {EVERY_PATH},
            MODELS,
            .no_developer = true,
            ROWS(failed_finish, abort_failed),
            ROWS(request_id_headers, openai_ids),
        },
    [DIALECT_SGLANG] =
        {
            .name = "sglang",
            .path = {EVERY_PATH},
            MODELS,
            .no_developer = true,
            ROWS(failed_finish, abort_failed),
            ROWS(request_id_headers, openai_ids),
            ROWS(signs, sglang_signs),
        },
    [DIALECT_OLLAMA] =
        {
            .name = "ollama",
            .path = {EVERY_PATH},
            MODELS,
            .no_developer = true,
            ROWS(request_id_headers, openai_ids),
            ROWS(signs, ollama_signs),
        },
    [DIALECT_ANTHROPIC] =
        {
            .name = "anthropic",
            .messages_api_key = true,
            /* Chat through what Anthropic calls its compatibility layer. */
            .path = {SPEAKS(MESSAGES, "/messages"), SPEAKS(CHAT, "/chat/completions")},
            MODELS,
            ROWS(request_id_headers, anthropic_ids),
            ROWS(signs, anthropic_signs),
        },
    [DIALECT_TIDEGATE] =
        {
            .name = "tidegate",
            .path = {EVERY_PATH},
            MODELS,
            ROWS(failed_finish, tidegate_failed),
            ROWS(request_id_headers, openai_ids),
            ROWS(signs, tidegate_signs),
        },
};

const struct dialect *dialect_get(enum dialect_id id)
{
    ASSERT((unsigned)id < DIALECT_N);
    return &dialects[id];
}

struct slice dialect_base(const struct dialect *d, enum surface_id surface, struct slice base)
{
    if (surface != SURFACE_CHAT && d->chat_base.n > 0 && slice_ends(base, d->chat_base))
        base.n -= d->chat_base.n;
    return base;
}

bool dialect_takes_api_key(const struct dialect *d, enum surface_id surface)
{
    return surface == SURFACE_MESSAGES && d->messages_api_key;
}
